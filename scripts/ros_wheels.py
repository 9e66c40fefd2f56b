"""Makes ROS 2 wheels usable for building packages.

The wheels bring CMake files that name the paths of the machine they were built on, and no
environment scripts. `relocate` corrects the former, `write_local_setup` adds the latter, and
`environment` gives the variables with which CMake and colcon find everything.

Only the standard library is used: `setup.py` and `setup_environment.py` run before anything
is installed.
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Mapping
from pathlib import Path

# One wheel starts Python a second time with LD_LIBRARY_PATH set, unless this variable is there.
# A process of another environment that inherits the two would load the libraries of the first.
_BOOTSTRAP_GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"

_BUILD_MACHINE = r"/opt/python/cp3\d+-cp3\d+"


def lack_of_wheels(machine: str, version: tuple[int, int]) -> str | None:
    """Why there are no ROS 2 wheels for a machine and a Python version; None if there are."""
    if machine != "x86_64":
        return f"ROS 2 wheels exist for x86_64, not for {machine}"
    if not (3, 10) <= version <= (3, 13):
        return "ROS 2 wheels exist for Python 3.10 to 3.13, not for {}.{}".format(*version)
    return None


def relocate(prefix: Path, numpy_include: str) -> None:
    """Point the CMake files of the wheels under `prefix` to this machine's paths.

    Parameters
    ----------
    prefix : Path
        Where the wheels were installed: a virtual environment, or pip's build environment.
    numpy_include : str
        ``numpy.get_include()`` of the NumPy to compile against.
    """
    site_packages = next(prefix.glob("lib/python3*/site-packages"))
    replacements = [
        (rf"{_BUILD_MACHINE}/lib/python3\.\d+/site-packages/numpy/_core/include", numpy_include),
        (rf"{_BUILD_MACHINE}/lib/python3\.\d+/site-packages", str(site_packages)),
        (rf"{_BUILD_MACHINE}/include/python3\.\d+", sysconfig.get_path("include")),
        (_BUILD_MACHINE, str(prefix)),
    ]
    for path in prefix.glob("share/*/cmake/*.cmake"):
        text = path.read_text(encoding="utf-8")
        corrected = text
        for pattern, replacement in replacements:
            corrected = re.sub(pattern, replacement.replace("\\", r"\\"), corrected)
        if corrected != text:
            # A new file, as some installers link files to a cache that others use, too.
            temporary = path.with_suffix(".new")
            temporary.write_text(corrected, encoding="utf-8")
            temporary.replace(path)


def write_local_setup(prefix: Path) -> None:
    """Write ``local_setup.sh``, ``.bash`` and ``.zsh``, so that colcon chains `prefix`.

    The ``setup.bash`` of a workspace that was built on top of `prefix` then sources it as it
    would an installed ROS 2.
    """
    lines = ["# Makes the ROS 2 wheels of this environment known to ament and CMake."]
    for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
        lines += [
            f'case ":${{{name}-}}:" in',
            f'  *":{prefix}:"*) ;;',
            f'  *) export {name}="{prefix}${{{name}:+:${{{name}}}}}" ;;',
            "esac",
        ]
    for suffix in ("sh", "bash", "zsh"):
        (prefix / f"local_setup.{suffix}").write_text("\n".join(lines) + "\n", encoding="utf-8")


def without_other_environments(environ: Mapping[str, str]) -> dict[str, str]:
    """Copy of `environ` without what another virtual environment or workspace left in it."""
    clean = dict(environ)
    if clean.pop(_BOOTSTRAP_GUARD, None) is not None:
        clean.pop("LD_LIBRARY_PATH", None)
    for name in (
        "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "CONDA_PREFIX",
        "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV",
    ):  # fmt: skip
        clean.pop(name, None)
    return clean


def environment(prefix: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for building on top of the wheels under `prefix`."""
    result = without_other_environments(environ)
    result["PATH"] = f"{prefix / 'bin'}{os.pathsep}{environ['PATH']}"
    result["AMENT_PREFIX_PATH"] = result["CMAKE_PREFIX_PATH"] = str(prefix)
    return result
