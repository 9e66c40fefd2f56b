"""What the demonstration says and leaves behind when it does not run to its end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_sweep import small_sweep

from focdepth_ros.stack import FocalStack, Slice
from focdepth_ros.stack_folder.saving import save_stack

COMMAND = [sys.executable, "-m", "focdepth_ros.ros.demo"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_signal_ends_the_nodes_too(tmp_path: Path, number: signal.Signals) -> None:
    save_stack(tmp_path / "stack", small_sweep().stack)
    options = ["--sweeps", "1000", "--stack", tmp_path / "stack", "--output", tmp_path]
    with subprocess.Popen(
        [*COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As for what a script starts in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:  # until the first sweep is answered
            if "graph_cut" in line:
                break
        nodes = children_of(demo.pid)
        assert len(nodes) == 2
        demo.send_signal(number)
        rest = demo.stdout.read()
        assert demo.wait(30.0) == 130, rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert not any(Path(f"/proc/{pid}").exists() for pid in nodes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "magic"], "depth_node has died: .*there is no backend 'magic'"),
        (["--pattern", "spiral"], "sim_camera_node has died: .*'pattern' is 'spiral'"),
        (["--stack", "nowhere"], "nowhere: no such folder"),
        (["--stack", "relative"], "relative has no focus distances, .* its stack.yaml"),
        (["--sweeps", "0"], "--sweeps is 0; it must be at least 1"),
    ],
)
def test_failures_are_explained(tmp_path: Path, options: list[str], words: str) -> None:
    grey = np.zeros((4, 4), np.uint8)
    save_stack(tmp_path / "relative", FocalStack([Slice(grey, None), Slice(grey, None)]))
    done = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=90, check=False, cwd=tmp_path
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert re.search(words, said), said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_camera_that_is_too_fast_is_explained(tmp_path: Path) -> None:
    options = ["--sweeps", "30", "--rate", "600", "--output", str(tmp_path)]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=90)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1, said
    assert re.search(r"\d+ of 30 sweeps have no answer; .* slow the camera down: --rate 300", said)


_FRAMES_LOST = """
import sys
from focdepth_ros.errors import MessageError
from focdepth_ros.ros import demo

def stack_of(observer, sweep):
    raise MessageError("1 of the 10 images were received", reason="frames lost")

demo.DemoObserver.stack_of = stack_of
sys.exit(demo.main())
"""


@pytest.mark.slow
def test_a_camera_too_fast_for_the_pictures_is_explained_all_the_same(tmp_path: Path) -> None:
    options = ["--sweeps", "30", "--rate", "600", "--output", str(tmp_path)]
    command = [sys.executable, "-c", _FRAMES_LOST, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1, said
    assert "no pictures: 1 of the 10 images were received" in said
    assert "slow the camera down: --rate 300" in said


@pytest.mark.slow
def test_without_a_rate_a_slow_computer_is_given_time(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280), np.uint8)
    slices = [
        Slice(cv2.GaussianBlur(noise, (0, 0), sigma), distance)
        for distance, sigma in ((0.5, 3.0), (0.7, 2.0), (1.0, 1.0), (1.5, 2.0), (3.0, 3.0))
    ]
    save_stack(tmp_path / "stack", FocalStack(slices))
    # As if 1000 images per second were the usual: more than any computer works on.
    start = "from focdepth_ros.ros import demo; demo._RATE = 1000.0; raise SystemExit(demo.main())"
    options = ["--sweeps", "12", "--stack", tmp_path / "stack", "--output", tmp_path]
    done = subprocess.run(
        [sys.executable, "-c", start, *options], capture_output=True, text=True, timeout=240
    )
    said = " ".join(done.stdout.split())
    assert done.returncode == 0, said
    assert re.search(
        r"at 1000 images per second they come faster .* works; trying again at 500", said
    )


def children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in children.split()]
