"""Builds the package with colcon into ``build`` and ``install``, and keeps the result whole."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from setup_tools import ROOT, SetupError, digest, read_stamp, run, say, write_stamp
from virtual_environment import PYTHON, VENV, VENV_STAMP, site_packages

_BUILD = ROOT / "build"
_INSTALL = ROOT / "install"
_PREFIX = _INSTALL / "focdepth_ros"
_STAMP = _INSTALL / "focdepth_setup.json"

# colcon links to these: their content may change without a new build, their names may not.
_LINKED = ("focdepth_ros/**/*.py", "launch/*", "config/**/*")
_COMPILED = (
    "CMakeLists.txt", "package.xml", "scripts/executable.py.in", "msg/*.msg",
    "focdepth_ros/**/*.cpp", "focdepth_ros/**/*.h",
)  # fmt: skip


def ensure(environ: Mapping[str, str]) -> None:
    """Build if what is compiled has changed, files came or went, or the result is damaged.

    Raises
    ------
    SetupError
        If the build fails.
    """
    linked = [str(path) for pattern in _LINKED for path in sorted(ROOT.glob(pattern))]
    compiled = [path for pattern in _COMPILED for path in sorted(ROOT.glob(pattern))]
    # Another interpreter, ROS 2 or NumPy changes the stamp of .venv, and needs another build.
    made_from = digest([*linked, *compiled, VENV_STAMP])
    stamp = read_stamp(_STAMP)
    if stamp.get("made_from") == made_from and all(map(os.path.exists, stamp["files"])):
        _link_into_virtual_environment()  # which may be newer than the build
        return
    say("building with colcon")
    interpreter = read_stamp(VENV_STAMP)["python"]
    if stamp.get("interpreter", interpreter) != interpreter:
        _delete()
    had_build = _BUILD.exists() or _INSTALL.exists()
    _STAMP.unlink(missing_ok=True)
    try:
        _build(environ)
    except SetupError:
        if not had_build:
            raise
        say("that failed on top of the last build: building from scratch")
        _delete()
        _build(environ)
    files = [os.path.join(at, name) for at, _, names in os.walk(_INSTALL) for name in names]
    files = [name for name in files if os.path.exists(name) and not name.endswith(".pyc")]
    write_stamp(_STAMP, {"made_from": made_from, "interpreter": interpreter, "files": files})


def _delete() -> None:
    for directory in (_BUILD, _INSTALL):
        shutil.rmtree(directory, ignore_errors=True)


def _build(environ: Mapping[str, str]) -> None:
    options = ["--symlink-install", "--event-handlers", "console_direct+"]
    run(
        [VENV / "bin/colcon", "build", *options, "--cmake-args", f"-DPython3_EXECUTABLE={PYTHON}"],
        environ,
        "setup-build.log",
    )
    _link_into_virtual_environment()
    imports = "import rclpy; from focdepth_ros.msg import FocusState, SweepInfo"
    answer = subprocess.run(
        [PYTHON, "-c", imports], env=environ, cwd=VENV, capture_output=True, text=True
    )
    if answer.returncode != 0:
        raise SetupError(
            f"the messages were built but cannot be imported:\n{answer.stderr.strip()}",
            "run make distclean, then make setup",
        )


def _link_into_virtual_environment() -> None:
    """Let ``.venv/bin/python`` find package and messages also where env.sh was not sourced.

    That is how editors and debuggers start it.
    """
    messages = next(_PREFIX.glob("**/focdepth_ros/msg/__init__.py"))  # Humble: under local/lib
    installed = messages.parents[2]
    path_file = site_packages() / "focdepth_ros_checkout.pth"
    path_file.write_text(f"{ROOT}\n{installed}\n", encoding="utf-8")
    # The middleware loads the libraries of messages by their bare names.
    for library in _PREFIX.glob("lib/libfocdepth_ros__*.so"):
        link = VENV / "lib" / library.name
        link.unlink(missing_ok=True)
        link.symlink_to(library)
