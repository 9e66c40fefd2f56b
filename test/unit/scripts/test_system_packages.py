import os
import shutil
from pathlib import Path

import pytest
import setup_tools
import system_packages
from interpreters import Python
from setup_tools import SetupError

SYSTEM_PYTHON = Python(
    path=Path("/usr/bin/python3"),
    version=(3, 12),
    machine="x86_64",
    has_ensurepip=True,
    has_headers=True,
    has_rclpy=False,
)


class Machine:
    """A PATH with chosen programs on it, and an apt-get that notes how it was called."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.calls = directory / "apt-get.calls"

    def give(self, *tools: str, script: str = "") -> None:
        for tool in tools:
            path = self.directory / tool
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)

    def apt_get_calls(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    result = Machine(tmp_path)
    result.give("apt-get", script=f'echo "$*" >> {result.calls}')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(setup_tools, "LOGS", tmp_path / "log")
    return result


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_nothing_missing_nothing_done(machine: Machine, as_user: None) -> None:
    machine.give("c++", "cc", "make")
    system_packages.ensure_compiler_and_headers(SYSTEM_PYTHON)
    assert machine.apt_get_calls() == []


def test_root_installs_exactly_what_is_missing(machine: Machine, as_root: None) -> None:
    machine.give("cc", "make")
    python = Python(**{**vars(SYSTEM_PYTHON), "has_ensurepip": False, "has_headers": False})
    system_packages.ensure_compiler_and_headers(python)
    assert machine.apt_get_calls() == [
        "install -y --no-install-recommends g++ python3.12-venv python3.12-dev"
    ]


def test_package_lists_are_fetched_where_there_are_none(machine: Machine, as_root: None) -> None:
    machine.give("make", "cc")
    lists = machine.directory / "lists"
    touch = shutil.which("touch", path="/usr/bin:/bin")
    machine.give(
        "apt-get",
        script=f'echo "$*" >> {machine.calls}; '
        f'if [ "$1" = update ]; then {touch} {lists}; else [ -e {lists} ]; fi',
    )
    system_packages.ensure_compiler_and_headers(SYSTEM_PYTHON)
    assert [call.split()[0] for call in machine.apt_get_calls()] == ["install", "update", "install"]


def test_user_with_sudo_installs(machine: Machine, as_user: None) -> None:
    machine.give("make", "cc")
    machine.give("sudo", script='shift; exec "$@"')
    machine.give("true")
    system_packages.ensure_compiler_and_headers(SYSTEM_PYTHON)
    assert machine.apt_get_calls() == ["install -y --no-install-recommends g++"]


def test_user_is_told_the_command(machine: Machine, as_user: None) -> None:
    with pytest.raises(SetupError) as caught:
        system_packages.ensure_compiler_and_headers(SYSTEM_PYTHON)
    assert "missing system packages: g++ gcc make" in str(caught.value)
    assert "to do: sudo apt-get update && sudo apt-get install -y g++ gcc make" in str(caught.value)
    assert machine.apt_get_calls() == []


def test_a_browser_is_installed_on_debian_only(
    machine: Machine, as_root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_packages, "_is_debian", lambda: False)
    system_packages.ensure_browser()
    assert machine.apt_get_calls() == []
    monkeypatch.setattr(system_packages, "_is_debian", lambda: True)
    system_packages.ensure_browser()
    assert machine.apt_get_calls() == ["install -y --no-install-recommends chromium"]
    machine.give("google-chrome")
    system_packages.ensure_browser()
    assert len(machine.apt_get_calls()) == 1


def test_failure_of_apt_is_told_with_the_command(machine: Machine, as_root: None) -> None:
    machine.give("apt-get", script="echo E: no network; exit 100")
    with pytest.raises(SetupError, match="E: no network") as caught:
        system_packages.ensure_compiler_and_headers(SYSTEM_PYTHON)
    assert str(caught.value).count("to do:") == 1


def test_python_that_apt_cannot_complete_is_named(machine: Machine, as_root: None) -> None:
    machine.give("c++", "cc", "make")
    python = Python(
        **{**vars(SYSTEM_PYTHON), "path": Path("/opt/own/bin/python3"), "has_headers": False}
    )
    with pytest.raises(SetupError, match="/opt/own/bin/python3 was installed without its venv"):
        system_packages.ensure_compiler_and_headers(python)
    assert machine.apt_get_calls() == []


def test_missing_packages_of_the_sourced_ros_are_named(
    machine: Machine, as_user: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    index = tmp_path / "ros/share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    for package in set(system_packages._ROS_PACKAGES) - {"ament_cmake_pytest"}:
        (index / package).touch()
    with pytest.raises(SetupError, match="missing system packages: ros-jazzy-ament-cmake-pytest\n"):
        system_packages.ensure_ros_packages([tmp_path / "ros"])
