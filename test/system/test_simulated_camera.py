"""Simulated camera → depth node → observer, each in a process of its own, against the truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from live_run import LiveRun, live_run

from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.geometry import back_project, pixel_rays
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.stack import FocalStack
from focdepth_ros.stack_folder.saving import save_stack

# Always guessing the middle of the scene is off by more than five times as much.
MAX_ABS_REL = 0.08
MIN_COVERAGE = 0.5


def assert_depth_is_right(run: LiveRun, simulated: SimulatedStack) -> None:
    guess = np.full_like(simulated.depth, np.median(simulated.depth))
    assert depth_metrics(guess, simulated.depth)["abs_rel"] > 5 * MAX_ABS_REL
    for sweep in run.sweeps:
        measures = depth_metrics(sweep.depth, simulated.depth)
        assert measures["abs_rel"] < MAX_ABS_REL
        assert measures["coverage"] > MIN_COVERAGE
        assert sweep.info.coverage == pytest.approx(measures["coverage"], abs=1e-5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, domain: int) -> LiveRun:
    return live_run(tmp_path_factory.mktemp("live"), 3)


def test_every_sweep_is_answered_whole(run: LiveRun) -> None:
    assert [sweep.info.sequence for sweep in run.sweeps] == [1, 2, 3]
    for sweep in run.sweeps:
        assert len(sweep.info.stamps) == 10
        assert sweep.info.end_reason == "complete"
        assert sweep.info.backend == "graph_cut"
        assert sweep.info.fallback_reason == ""
        assert list(sweep.info.dropped_counts) == []


def test_depth_is_that_of_the_scene(run: LiveRun, simulated: SimulatedStack) -> None:
    np.testing.assert_array_equal(run.truth, simulated.depth)
    assert_depth_is_right(run, simulated)


def test_unsure_pixels_are_unknown(run: LiveRun) -> None:
    sweep = run.sweeps[-1]
    confidence = sweep.estimate().confidence
    np.testing.assert_array_equal(np.isnan(sweep.depth), confidence < DEFAULT_MIN_CONFIDENCE)


def test_cloud_is_the_depth_in_space(run: LiveRun, simulated: SimulatedStack) -> None:
    sweep = run.sweeps[-1]
    points, colours = sweep.points()
    assert simulated.stack.intrinsics is not None
    expected = back_project(sweep.depth, simulated.stack.intrinsics)
    np.testing.assert_allclose(points, expected, rtol=1e-5, atol=1e-5)
    known = np.isfinite(points[..., 2])
    np.testing.assert_array_equal(colours[known], sweep.estimate().all_in_focus[known])


def test_all_in_focus_image_is_sharp_everywhere(run: LiveRun, simulated: SimulatedStack) -> None:
    def error(image: np.ndarray) -> float:
        # Where the depth is known: nothing else tells from which slice to take a pixel.
        known = np.isfinite(run.sweeps[-1].depth)
        difference = image[known].astype(float) - simulated.all_in_focus[known]
        return float(np.sqrt(np.mean(difference**2)))

    picture = run.sweeps[-1].estimate().all_in_focus
    assert picture is not None
    assert error(picture) < 0.6 * min(error(item.image) for item in simulated.stack.slices)


def test_stamps_and_frames_are_those_of_the_last_frame(run: LiveRun) -> None:
    for sweep in run.sweeps:
        newest = max(stamp.sec * 10**9 + stamp.nanosec for stamp in sweep.info.stamps)
        for topic, message in sweep.messages.items():
            assert stamp_of(message.header) == newest, topic
            assert message.header.frame_id == "camera_optical_frame", topic


def test_frames_come_with_what_the_lens_did(run: LiveRun, simulated: SimulatedStack) -> None:
    assert len(run.stack) == len(simulated.stack)
    np.testing.assert_allclose(run.stack.dioptres, simulated.stack.dioptres, rtol=1e-6)
    assert run.stack.intrinsics is not None
    assert simulated.stack.intrinsics is not None
    rays = pixel_rays(run.stack.intrinsics)
    np.testing.assert_array_equal(rays, pixel_rays(simulated.stack.intrinsics))


def test_an_interrupt_ends_both_nodes_cleanly(run: LiveRun) -> None:
    assert run.exit_codes == {"depth_node": 0, "sim_camera_node": 0}


def assert_same_images(played: FocalStack, saved: FocalStack) -> None:
    by_focus = [sorted(stack.slices, key=lambda item: item.dioptre) for stack in (played, saved)]
    for one, other in zip(*by_focus, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_ping_pong_of_a_stack_folder_without_sweep_ids(
    simulated: SimulatedStack, tmp_path: Path, domain: int
) -> None:
    save_stack(tmp_path / "stack", simulated.stack)
    camera = {
        "stack": str(tmp_path / "stack"),
        "pattern": "ping_pong",
        "provide_sweep_ids": False,
    }
    run = live_run(tmp_path, 3, camera=camera)
    reasons = [sweep.info.end_reason for sweep in run.sweeps]
    assert reasons == ["reversal", "reversal", "timeout"]
    assert [len(sweep.info.stamps) for sweep in run.sweeps] == [10] * 3
    assert_same_images(run.stack, simulated.stack)
    assert_depth_is_right(run, simulated)


@pytest.mark.slow
def test_a_stack_folder_is_played(simulated: SimulatedStack, tmp_path: Path, domain: int) -> None:
    save_stack(tmp_path / "stack", simulated.stack, depth=simulated.depth)
    # More sweeps than are waited for: the first may pass before everybody has found each other.
    camera = {"stack": str(tmp_path / "stack"), "pattern": "far_to_near", "sweeps": 8}
    slices = len(simulated.stack)
    run = live_run(tmp_path, 2, camera=camera, depth={"backend": "graph_cut"}, slices=slices)
    assert_same_images(run.stack, simulated.stack)
    assert_depth_is_right(run, simulated)


def test_demo_leaves_its_pictures(simulated: SimulatedStack, tmp_path: Path) -> None:
    save_stack(tmp_path / "stack", simulated.stack, depth=simulated.depth)
    options = ["--sweeps", "2", "--stack", tmp_path / "stack", "--output", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "focdepth_ros.ros.demo", *options],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "yes" in done.stdout or "no" in done.stdout
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 1000
    header = (tmp_path / "cloud.ply").read_bytes()[:300].decode("ascii", "replace")
    assert header.startswith("ply\nformat binary_little_endian")


@pytest.mark.slow
def test_no_sweep_is_lost_in_a_hundred(tmp_path: Path, domain: int) -> None:
    run = live_run(tmp_path, 100)
    assert [sweep.info.sequence for sweep in run.sweeps] == list(range(1, 101))
    assert list(run.sweeps[-1].info.dropped_counts) == []
    assert all(len(sweep.info.stamps) == 10 for sweep in run.sweeps)
