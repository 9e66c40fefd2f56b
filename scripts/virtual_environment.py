"""Makes ``.venv``, everything from pip that the checkout needs, and keeps it whole."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ros_wheels
from interpreters import Python
from setup_tools import ROOT, SetupError, digest, read_stamp, run, say, write_stamp

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python3"
VENV_STAMP = VENV / "focdepth_setup.json"


def previous_python(ros: Sequence[Path]) -> str | None:
    """The interpreter that ``.venv`` was made with, if it was for this ROS 2."""
    stamp = read_stamp(VENV_STAMP)
    return stamp.get("python") if stamp.get("ros") == [str(prefix) for prefix in ros] else None


def ensure(python: Python, ros: Sequence[Path]) -> dict[str, str]:
    """Make ``.venv`` if it is not there, outdated or damaged.

    Parameters
    ----------
    python : Python
        The interpreter to make it with.
    ros : sequence of Path
        Prefixes of the sourced ROS 2, which is then used; empty: its wheels are installed.

    Returns
    -------
    dict of str to str
        Environment variables for building with it.

    Raises
    ------
    SetupError
        If pip fails, or ``.venv`` is somebody else's.
    """
    made_for = {
        "place": str(VENV),
        "python": str(python.path),
        "version": python.name,
        "ros": [str(prefix) for prefix in ros],
    }
    names = ["base", "develop", "docs", "test"]
    if not ros:  # photographs, too: scikit-image from pip asks for a newer NumPy than Humble has
        names += ["simulation", "datasets", "evaluation", "bags", "cluster", "web"]
        names += ["ros", "ros-build"]
    sources = [ROOT / "requirements" / f"{name}.txt" for name in names]
    contents = digest([*sources, Path(ros_wheels.__file__)])

    environ = _environment(ros)
    stamp = read_stamp(VENV_STAMP)
    if VENV.exists():
        problem = _problem(stamp, made_for, environ)
        if problem:
            say(f".venv {problem}: making it anew")
            shutil.rmtree(VENV)
            stamp = {}
    if not stamp:
        say(f"making .venv with {python.path} ({python.name})")
        VENV.mkdir()
        stamp = dict(made_for)
        write_stamp(VENV_STAMP, stamp)
        options = ["--system-site-packages"] if ros else []
        run(
            [python.path, "-m", "venv", *options, "--prompt", "focdepth_ros", VENV],
            dict(os.environ) if ros else ros_wheels.without_other_environments(os.environ),
            "setup-venv.log",
        )
    if stamp.get("contents") != contents:
        say("installing Python packages" + ("" if "contents" in stamp else " (about a minute)"))
        _install(sources, environ, ros)
        stamp |= {"contents": contents, "distributions": _distributions()}
        write_stamp(VENV_STAMP, stamp)
    return environ


def _environment(ros: Sequence[Path]) -> dict[str, str]:
    if not ros:
        return ros_wheels.environment(VENV, os.environ)
    return {
        **os.environ,
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(VENV),
    }


def _problem(
    stamp: Mapping[str, Any], made_for: Mapping[str, object], environ: Mapping[str, str]
) -> str | None:
    """Why ``.venv`` must be made anew; None if it need not."""
    works = PYTHON.exists() and _succeeds("pass", environ)
    if not stamp:
        if works:
            raise SetupError(
                f"{VENV} was not made by make setup",
                f"delete it or move it away (rm -r {VENV}), then run make setup again",
            )
        return "is damaged (no interpreter in it runs)"
    if not works:
        return "is damaged (its interpreter does not run)"
    if any(stamp.get(name) != value for name, value in made_for.items()):
        return "was made for another interpreter, another ROS 2 or another place"
    if "distributions" not in stamp:
        return "was not finished"
    lost = sorted(set(stamp["distributions"]) - set(_distributions()))
    lost = lost or _lost_files()
    if lost:
        return f"is damaged ({len(lost)} of its packages or files are lost, {lost[0]} for one)"
    return None


def site_packages() -> Path:
    """Where pip installs to."""
    return next(VENV.glob("lib/python3*/site-packages"), VENV / "lib/no-site-packages")


def _distributions() -> list[str]:
    return sorted(path.name.split("-")[0] for path in site_packages().glob("*.dist-info"))


def _lost_files() -> list[str]:
    """Files that pip installed and that are not there any more."""
    directory = str(site_packages())
    lost = []
    for record in Path(directory).glob("*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8") as file:
            names = [row[0] for row in csv.reader(file) if row and not row[0].endswith(".pyc")]
        lost += [name for name in names if not os.path.exists(os.path.join(directory, name))]
    return lost


def _install(sources: Sequence[Path], environ: Mapping[str, str], ros: Sequence[Path]) -> None:
    requirements = [
        line
        for source in sources
        for line in source.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith(("#", "-r"))
    ]
    if ros:
        requirements = _not_of_system(requirements, environ)
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    # PIP_USER would install beside the virtual environment.
    settings = {name: value for name, value in environ.items() if name != "PIP_USER"}
    run(
        [PYTHON, "-m", "pip", "install", *options, "--prefer-binary", *requirements],
        settings,
        "setup-pip.log",
    )
    if not ros:
        numpy_include = _output("import numpy; print(numpy.get_include())", environ)
        ros_wheels.relocate(VENV, numpy_include)
        ros_wheels.write_local_setup(VENV)


def _not_of_system(requirements: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Leave out what must stay the system's own.

    cv_bridge is compiled against the NumPy and OpenCV that came with ROS 2; pip does not
    recognise the latter, and would put newer ones in front of both.
    """
    kept = list(requirements)
    if _succeeds("import cv2", environ):
        kept = [line for line in kept if not line.startswith("opencv")]
    if _succeeds("import numpy", environ):
        version = _output("import numpy; print(numpy.__version__)", environ)
        kept = [line for line in kept if not line.startswith("numpy")] + [f"numpy=={version}"]
    return kept


def _succeeds(code: str, environ: Mapping[str, str]) -> bool:
    return subprocess.run([PYTHON, "-c", code], env=environ, capture_output=True).returncode == 0


def _output(code: str, environ: Mapping[str, str]) -> str:
    return subprocess.check_output([PYTHON, "-c", code], env=environ, text=True).strip()
