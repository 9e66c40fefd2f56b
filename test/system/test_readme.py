"""Every command of the README is run: as it stands, but on small scenes.

A command that `RUNS` does not know fails, so that none gets in untried.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import test_launch_files
from documents import README, ROOT, blocks, commands
from live_run import SIZE

from focdepth_ros.files.image_io import write_image
from focdepth_ros.simulation import render_random_sweep
from focdepth_ros.stack_folder.saving import save_stack

COMMANDS = [" ".join(words) for block in blocks(README, "bash") for words in commands(block)]
SMALL = ["--size", "96x72", "--slices", "4"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are run, one after the other."""
    folder = tmp_path_factory.mktemp("readme")
    sweep = render_random_sweep(1000, **SIZE)
    save_stack(folder / "my_stacks" / "one", sweep.stack, depth=sweep.depth)
    write_middlebury(folder / "DIR")
    return folder


def write_middlebury(folder: Path) -> None:
    """A scene of each year, in the layout of its authors."""
    rng = np.random.default_rng(0)
    for year in ("Art", "Aloe"):
        (folder / year).mkdir(parents=True)
        write_image(folder / year / "view1.png", rng.integers(0, 256, (72, 96, 3), np.uint8))
        disparity = np.tile(np.linspace(40, 120, 96).astype(np.uint8), (72, 1))
        write_image(folder / year / "disp1.png", disparity)
        (folder / year / "dmin.txt").write_text("200\n", encoding="utf-8")


def focdepth(place: Path, command: str, *more: str) -> str:
    words = [sys.executable, "-m", "focdepth_ros.cli", *command.split()[1:], *more]
    return finished(words, place)


def finished(words: list[str], place: Path) -> str:
    done = subprocess.run(
        words, cwd=place, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def recipe(target: str) -> str:
    """What make would do, the set-up before it included."""
    return finished(["make", "--dry-run", target], ROOT)


def make_demo(place: Path, command: str) -> None:
    assert "python3 -m focdepth_ros.ros.demo" in recipe("demo")
    options = ["--sweeps", "2", "--stack", str(place / "my_stacks" / "one")]
    said = finished([sys.executable, "-m", "focdepth_ros.ros.demo", *options], place)
    assert "sheet.png" in said
    assert (place / "demo_output" / "sheet.png").stat().st_size > 10_000
    assert (place / "demo_output" / "cloud.ply").is_file()


def make_test(place: Path, command: str) -> None:
    """It is what runs this; what it would do is looked at only."""
    planned = recipe("test")
    assert [word for word in ("ruff", "mypy", "-m pytest") if word not in planned] == []


def make_setup(place: Path, command: str) -> None:
    """It was run before, by ``make test``; its parts have tests in test/unit/scripts."""
    assert "scripts/setup_environment.py" in recipe("setup")


def source_env(place: Path, command: str) -> None:
    if not (ROOT / ".venv").exists():
        pytest.skip("make setup was not run here")
    said = finished(["bash", "-c", f"cd {ROOT} && {command} && focdepth --version"], place)
    assert re.search(r"^focdepth \d", said, re.MULTILINE)


def simulate(place: Path, command: str) -> None:
    focdepth(place, command, *SMALL)
    assert (place / "my_stack" / "stack.yaml").is_file()


def estimate(place: Path, command: str) -> None:
    focdepth(place, command)
    written = {path.name for path in (place / "my_depth").iterdir()}
    assert {"depth.npy", "all_in_focus.png", "confidence.npy", "cloud.ply"} <= written


def fuse(place: Path, command: str) -> None:
    focdepth(place, command)
    assert (place / "my_stack_fused" / "all_in_focus.png").is_file()


def view(place: Path, command: str) -> None:
    """Recorded, which ends by itself; the page that it serves has tests in test/unit/viewer."""
    pytest.importorskip("rerun")
    focdepth(place, command, "--save", "seen.rrd")
    assert (place / "seen.rrd").stat().st_size > 10_000


def web(place: Path, command: str) -> None:
    """Started, asked for its page and ended; what one can do there is in test/unit/web."""
    if not all(map(find_spec, ("gradio", "uvicorn"))):
        pytest.skip("gradio is not installed")
    words = [sys.executable, "-m", "focdepth_ros.cli", *command.split()[1:], "--port", "0"]
    with subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = None
            while found is None:
                found = re.match(r"open (http://\S+) in a browser", next(process.stdout))
            with urllib.request.urlopen(found[1], timeout=60) as page:
                assert b'"title":"Depth from focus"' in page.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def rosdep(place: Path, command: str) -> None:
    if shutil.which("rosdep") is None:
        pytest.skip("rosdep is not installed")
    (place / "src").symlink_to(ROOT)
    finished([*command.split(), "--simulate"], place)


def colcon(place: Path, command: str) -> None:
    """``make setup`` has built it; here whether colcon finds the package by that name."""
    if shutil.which("colcon") is None:
        pytest.skip("colcon is not installed")
    chosen = command.split()[2:]
    found = finished(["colcon", "list", "--base-paths", str(ROOT), "--names-only", *chosen], place)
    assert found.split() == ["focdepth_ros"]


def source_install(place: Path, command: str) -> None:
    if not (ROOT / "install" / "setup.bash").is_file():
        pytest.skip("this checkout was not built")
    check = "test -n \"$(python3 -c 'import focdepth_ros.msg as m; print(m.__file__)')\""
    finished(["bash", "-c", f"cd {ROOT} && {command} && {check}"], place)


def launch(place: Path, command: str) -> None:
    """Those of the launch files have tests of their own, with what each starts."""
    tests = {
        "simulate.launch.py": "test_simulation_is_launched_in_a_namespace",
        "camera_ros.launch.py": "test_a_driver_is_launched_with_a_sweep_and_depth",
    }
    assert hasattr(test_launch_files, tests[command.split()[3]])


def benchmark(place: Path, command: str) -> None:
    pytest.importorskip("jinja2")
    small = command.replace("--scenes 30", "--scenes 1 --sizes 96x72 --slices 4")
    focdepth(place, small, "-b", "argmax", "--repeat", "1", "--force")
    assert (place / "evaluation" / "benchmark" / "benchmark.md").is_file()


def evaluate(place: Path, command: str) -> None:
    pytest.importorskip("jinja2")
    said = focdepth(place, command, "-b", "argmax", "--output", "evaluated")
    assert "argmax" in said
    assert (place / "evaluated" / "report.html").is_file()


RUNS: dict[str, Callable[[Path, str], None]] = {
    "make demo": make_demo,
    "make test": make_test,
    "make setup": make_setup,
    "source env.sh": source_env,
    "source install/setup.bash": source_install,
    "rosdep install": rosdep,
    "colcon build": colcon,
    "ros2 launch": launch,
    "focdepth simulate": simulate,
    "focdepth estimate": estimate,
    "focdepth fuse": fuse,
    "focdepth view": view,
    "focdepth web": web,
    "focdepth benchmark": benchmark,
    "focdepth evaluate": evaluate,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(command: str, place: Path) -> None:
    run = RUNS.get(" ".join(command.split()[:2]))
    assert run is not None, f"'{command}' is run by nothing: add it to RUNS"
    run(place, command)


def test_the_readme_is_no_book() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120
    assert len(COMMANDS) >= 14
