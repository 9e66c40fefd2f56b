"""What pip builds, holds and installs."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from shutil import copy2

import pytest

import focdepth_ros

pytest.importorskip("setuptools", minversion="77")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NAME = f"focdepth_ros-{focdepth_ros.__version__}"
SHARED = f"{NAME}.data/data/share/focdepth_ros"
FOLDERS = ("config", "focdepth_ros", "launch", "msg", "requirements", "scripts")
FILES = ("CMakeLists.txt", "LICENSE", "MANIFEST.in", "README.md", "package.xml", "pyproject.toml",
         "setup.py")  # fmt: skip
# What lies about in a checkout that is worked in.
STRAY = ("build/lib/focdepth_ros/old.py", "demo_output/depth.png", "focdepth_ros/notes.txt",
         "focdepth_ros/__pycache__/stack.cpython-310.pyc", "focdepth_ros/classical/old.so",
         "focdepth_ros/classical/_graph_cut.o", "focdepth_ros/weights/best.safetensors.part",
         "install/focdepth_ros/lib/old.so", "test/data/stack.npy")  # fmt: skip
ENVIRONMENT = {**os.environ, "FOCDEPTH_MESSAGES": "0", "PYTHONPATH": ""}


def run(*command: object, cwd: Path) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(kind: str, source: Path, target: Path) -> Path:
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))"
    return target / run(sys.executable, "-c", code, cwd=source).splitlines()[-1]


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("which files belong to the package is known in a checkout of git only")
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return {name for name in listed.splitlines() if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def sdist(tracked: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = tmp_path_factory.mktemp("checkout")
    for name in tracked | set(STRAY):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        if name in tracked:
            copy2(ROOT / name, checkout / name)
        else:
            (checkout / name).write_bytes(b"stray")
    return built("sdist", checkout, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, as pip does it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return built("wheel", folder / NAME, tmp_path_factory.mktemp("wheel"))


def test_source_distribution_holds_what_builds_the_package_and_no_more(
    sdist: Path, tracked: set[str]
) -> None:
    with tarfile.open(sdist) as archive:
        found = {item.name.removeprefix(f"{NAME}/") for item in archive if item.isfile()}
    made = {name for name in found if ".egg-info/" in name} | {"PKG-INFO", "setup.cfg"}
    belongs = {name for name in tracked if name.split("/")[0] in FOLDERS or name in FILES}
    assert found - made == belongs
    assert sdist.stat().st_size < 8e6


def test_wheel_holds_what_runs_and_no_more(wheel: Path, tracked: set[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    code = {name for name in tracked if name.startswith("focdepth_ros/")}
    code = {name for name in code if not name.endswith((".cpp", ".h"))}
    shared = {name for name in tracked if name.startswith(("config/", "launch/"))}
    expected = code | {f"{SHARED}/{name}" for name in shared | {"package.xml"}}
    expected.add("focdepth_ros/classical/lib_focdepth_graph_cut.so")
    assert {name for name in found if ".dist-info/" not in name} == expected
    assert {"focdepth_ros/py.typed", "focdepth_ros/weights/index.yaml"} <= expected
    assert f"{NAME}.dist-info/licenses/LICENSE" in found
    assert wheel.stat().st_size < 8e6


def test_works_in_a_fresh_environment_without_ros(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    focdepth = python.with_name("focdepth")
    run(focdepth, "simulate", "stack", "--size", "96x72", "--slices", 5, cwd=tmp_path)
    told = run(focdepth, "estimate", "stack", "--backend", "graph_cut", cwd=tmp_path)
    assert "graph_cut: depth of" in told
    assert (tmp_path / "stack_depth" / "depth.npy").exists()
    assert "focdepthformer_tiny" in run(focdepth, "weights", cwd=tmp_path)
    assert "rclpy" not in run(python, "-m", "pip", "list", cwd=tmp_path)
