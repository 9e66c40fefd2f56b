"""Finds the ROS 2 that is sourced, and the Python interpreter to build on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ros_wheels import lack_of_wheels, without_other_environments
from setup_tools import ROOT, SetupError, say


@dataclass(frozen=True)
class Python:
    """An interpreter and what it can do."""

    path: Path
    version: tuple[int, int]
    machine: str
    has_ensurepip: bool
    has_headers: bool
    has_rclpy: bool

    @property
    def name(self) -> str:
        """As in ``python3.11``."""
        return "python{}.{}".format(*self.version)


_FACTS = """
import importlib.util, json, os, platform, sys, sysconfig
def present(module):
    return importlib.util.find_spec(module) is not None
print(json.dumps({
    # Of an environment: what it was made from, as it may be the one that is made anew.
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "version": sys.version_info[:2],
    "machine": platform.machine(),
    "has_ensurepip": present("venv") and present("ensurepip"),
    "has_headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "has_rclpy": present("rclpy"),
}))
"""


def sourced_ros() -> list[Path]:
    """Prefixes of the sourced ROS 2 and of workspaces on top of it; empty if none is sourced.

    This checkout and its wheels, which ``source env.sh`` puts there too, do not count.
    """
    named = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    prefixes = [Path(name) for name in named if not Path(name).is_relative_to(ROOT)]
    has_rclpy = any(
        (prefix / "share/ament_index/resource_index/packages/rclpy").exists()
        and not (prefix / "pyvenv.cfg").exists()  # the wheels of another virtual environment
        for prefix in prefixes
    )
    return prefixes if has_rclpy else []


def hint_at_installed_ros() -> None:
    """Say so if a ROS 2 is installed but not sourced."""
    found = sorted(Path("/opt/ros").glob("*/setup.bash"))
    if found:
        say(f"no ROS 2 is sourced, taking the wheels; to use yours, first: source {found[-1]}")


_CANDIDATES = (
    "python3", "/usr/bin/python3", "python3.12", "python3.11", "python3.10", "python3.13",
)  # fmt: skip


def choose_python(ros: list[Path], previous: str | None) -> Python:
    """The interpreter named by ``PYTHON``, or `previous`, or the first one that will do.

    Raises
    ------
    SetupError
        If none will do, with what is wrong with each.
    """
    asked = os.environ.get("PYTHON")
    candidates = [asked] if asked else list(_CANDIDATES)
    if previous and not asked:
        candidates.insert(0, previous)
    environ = dict(os.environ) if ros else without_other_environments(os.environ)
    complaints = []
    for candidate in candidates:
        found = shutil.which(candidate)
        python = _inspect(found, environ) if found else None
        if python is None:
            if asked:
                complaints.append(f"PYTHON={asked} does not run")
        elif ros and not python.has_rclpy:
            complaints.append(f"{found} cannot import the rclpy of the sourced ROS 2")
        elif not ros and (lack := lack_of_wheels(python.machine, python.version)):
            complaints.append(f"{found}: {lack}")
        else:
            return python
    raise SetupError(
        "no usable Python interpreter: " + ("; ".join(complaints) or "python3 is not installed"),
        "name one (make setup PYTHON=/path/to/python3.12), or install ROS 2 Humble or Jazzy "
        "and source it first",
    )


def _inspect(command: str, environ: Mapping[str, str]) -> Python | None:
    try:
        answer = subprocess.run(
            [command, "-c", _FACTS], env=environ, capture_output=True, text=True, check=True
        ).stdout
        facts = json.loads(answer)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    facts["path"], facts["version"] = Path(facts["path"]), tuple(facts["version"])
    return Python(**facts)
