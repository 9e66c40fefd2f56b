"""What ``pip install`` compiles: the graph cut, and the messages where ROS 2 comes as wheels.

The messages are built by the same CMakeLists.txt as under colcon, into a temporary prefix, and
copied from there into the wheel. Under an installed, sourced ROS 2 pip leaves them out: colcon
builds and installs them there. ``FOCDEPTH_MESSAGES=0`` leaves them out, too.
Everything else about the package is in pyproject.toml.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))

import interpreters  # noqa: E402
import ros_wheels  # noqa: E402

GRAPH_CUT = Extension(
    "focdepth_ros.classical.lib_focdepth_graph_cut",
    [
        "focdepth_ros/classical/_graph_cut.cpp",
        "focdepth_ros/classical/_weighted_median.cpp",
    ],
    depends=[
        "focdepth_ros/classical/_coarse_to_fine.h",
        "focdepth_ros/classical/_expansion.h",
        "focdepth_ros/classical/_grid_cut.h",
    ],
    extra_compile_args=["-std=c++17", "-O3", "-g0", "-DNDEBUG", "-pthread"],
    extra_link_args=["-pthread"],
    language="c++",
    optional=True,  # without it the graph cut backend says that it cannot be used, and why
)

# A wheel is installed anywhere: its executables take the interpreter of the same environment.
RELOCATABLE_SHEBANG = """#!/bin/sh
'''exec' "$(dirname -- "$0")/../../bin/python3" "$0" "$@"
' '''
"""


def messages_wanted() -> bool:
    """Whether this build makes the messages."""
    return (
        os.environ.get("FOCDEPTH_MESSAGES", "1") != "0"
        and not interpreters.sourced_ros()
        and not ros_wheels.lack_of_wheels(platform.machine(), sys.version_info[:2])
        and shutil.which("c++") is not None
    )


def build_requirements() -> list[str]:
    """What pip puts into the build environment beside setuptools."""
    if not messages_wanted():
        return []
    lines = (ROOT / "requirements" / "ros-build.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def data_files(prefix: Path, *patterns: str) -> list[tuple[str, list[str]]]:
    """Files under `prefix` that are installed in the same place under the environment."""
    files = [path for pattern in patterns for path in sorted(prefix.glob(pattern))]
    return [(str(p.parent.relative_to(prefix)), [str(p)]) for p in files if p.is_file()]


class BuildElsewhere(build):
    """Builds in a temporary directory: ``build`` is colcon's, and an old one would be shipped."""

    def initialize_options(self) -> None:
        """Choose the directory."""
        super().initialize_options()
        self._directory = tempfile.TemporaryDirectory(prefix="focdepth_ros-")
        self.build_base = self._directory.name


class BuildWithMessages(build_ext):
    """Compiles the graph cut, then the messages."""

    def get_ext_filename(self, fullname: str) -> str:
        """Name of a library that ctypes loads: no tag of a Python version."""
        return fullname.replace(".", "/") + ".so"

    def run(self) -> None:
        """Build both into the wheel."""
        super().run()
        if messages_wanted() and not self.inplace:
            self._build_messages()

    def _build_messages(self) -> None:
        wheels = [Path(entry).parents[2] for entry in sys.path if entry.endswith("site-packages")]
        wheels = [at for at in wheels if (at / "share/rosidl_default_generators/cmake").exists()]
        if not wheels:
            raise RuntimeError(
                "the packages of requirements/ros-build.txt are not in the build environment; "
                "install them first, or build with FOCDEPTH_MESSAGES=0"
            )
        import numpy

        ros_wheels.relocate(wheels[0], numpy.get_include())
        environ = ros_wheels.environment(wheels[0], os.environ)
        environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p.endswith("-packages"))
        temporary = Path(self.build_temp).resolve()
        prefix = temporary / "prefix"
        cmake = shutil.which("cmake", path=environ["PATH"]) or "cmake"
        configure = [cmake, "-S", str(ROOT), "-B", str(temporary / "cmake")]
        options = [
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_TESTING=OFF",
            f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DPython3_EXECUTABLE={sys.executable}",
        ]
        subprocess.run([*configure, *options], env=environ, check=True)
        install = [cmake, "--build", str(temporary / "cmake"), "--parallel", "--target", "install"]
        subprocess.run(install, env=environ, check=True)

        package = Path(self.build_lib) / "focdepth_ros"
        built = next(prefix.glob("lib/python3*/*-packages")) / "focdepth_ros"
        unwanted = shutil.ignore_patterns("*.c", "__pycache__")
        shutil.copytree(built / "msg", package / "msg", ignore=unwanted)
        for library in built.glob("*_s__*.so"):
            shutil.copy2(library, package)
        for executable in prefix.glob("lib/focdepth_ros/*"):
            _, program = executable.read_text(encoding="utf-8").split("\n", 1)
            executable.write_text(RELOCATABLE_SHEBANG + program, encoding="utf-8")
        patterns = ["lib/*.so", "lib/focdepth_ros/*", "share/ament_index/**/*"]
        patterns += ["share/focdepth_ros/msg/*"]
        self.distribution.data_files = [
            *(self.distribution.data_files or []),
            *data_files(prefix, *patterns),
        ]


setup(
    cmdclass={"build": BuildElsewhere, "build_ext": BuildWithMessages},
    ext_modules=[GRAPH_CUT],
    setup_requires=build_requirements(),
    data_files=[
        (f"share/focdepth_ros/{directory}", files)
        for directory, files in data_files(Path(), "package.xml", "launch/*", "config/**/*")
    ],
)
