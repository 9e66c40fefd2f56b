"""Installs what no virtual environment can bring: a compiler, Python headers, ROS 2 packages.

Apt does it where that needs no password; else one message names the command to run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from interpreters import Python
from setup_tools import SetupError, run, say

# Without these packages of a ROS 2 installation the build or the nodes fail.
_ROS_PACKAGES = (
    "ament_cmake", "ament_cmake_pytest", "diagnostic_msgs", "launch_ros", "rclpy",
    "rosidl_default_generators", "sensor_msgs", "std_msgs",
)  # fmt: skip

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def ensure_compiler_and_headers(python: Python) -> None:
    """Install the compiler, and what `python` lacks to make environments and build modules.

    Raises
    ------
    SetupError
        If something is missing and cannot be installed from here.
    """
    tools = {"c++": "g++", "cc": "gcc", "make": "make"}
    missing = [package for tool, package in tools.items() if shutil.which(tool) is None]
    if not python.has_ensurepip:
        missing.append(f"{python.name}-venv")
    if not python.has_headers:
        missing.append(f"{python.name}-dev")
    of_system = python.path.resolve().parent == Path("/usr/bin")
    if not of_system and not (python.has_ensurepip and python.has_headers):
        raise SetupError(
            f"{python.path} was installed without its venv module or its C headers",
            "take another interpreter, such as: make setup PYTHON=/usr/bin/python3",
        )
    _install(missing)


def ensure_ros_packages(prefixes: Sequence[Path]) -> None:
    """Install the packages of the sourced ROS 2 that are missing.

    Raises
    ------
    SetupError
        If that cannot be done from here.
    """
    index = "share/ament_index/resource_index/packages"
    missing = [
        package
        for package in _ROS_PACKAGES
        if not any((prefix / index / package).exists() for prefix in prefixes)
    ]
    if missing:
        distribution = os.environ.get("ROS_DISTRO", "<distribution>")
        _install([f"ros-{distribution}-{package.replace('_', '-')}" for package in missing])


def ensure_browser() -> None:
    """Install Chromium for the browser tests where that is one package of Debian.

    Elsewhere, as on Ubuntu where it comes as a snap, nothing is done: the tests are skipped, and
    say how to get one.

    Raises
    ------
    SetupError
        If it is missing and cannot be installed from here.
    """
    if any(shutil.which(name) for name in _BROWSERS) or not _is_debian():
        return
    _install(["chromium"])


def _is_debian() -> bool:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return "ID=debian" in lines


def _install(packages: Sequence[str]) -> None:
    if not packages:
        return
    names = " ".join(packages)
    problem = f"missing system packages: {names}"
    remedy = f"sudo apt-get update && sudo apt-get install -y {names}"
    if shutil.which("apt-get") is None:
        raise SetupError(problem + " (Debian's names; apt-get is not here)", "install them")
    if os.geteuid() == 0:
        apt_get = ["apt-get"]
    elif _sudo_without_password():
        apt_get = ["sudo", "-n", "apt-get"]
    else:
        raise SetupError(problem, remedy)
    say(f"installing system packages: {names}")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*apt_get, "install", "-y", "--no-install-recommends", *packages]
    try:
        run(install, environ, "setup-apt.log")
    except SetupError:
        # A fresh machine has no package lists, a neglected one outdated lists.
        try:
            run([*apt_get, "update"], environ, "setup-apt-update.log")
            run(install, environ, "setup-apt.log")
        except SetupError as error:
            raise SetupError(f"{problem}; {error.problem}", remedy) from error


def _sudo_without_password() -> bool:
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0
