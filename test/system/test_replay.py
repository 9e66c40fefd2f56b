"""A bag is evaluated offline, live and directly; the figures are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags")
pytest.importorskip("jinja2")

from bag_copies import rewritten
from cli_runs import run
from replay_run import Scores, replay, scores_in

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.bags.sweeps import find_sweeps
from focdepth_ros.bags.writing import GROUND_TRUTH, IMAGES, STATES, record_camera
from focdepth_ros.datasets.bag_sweeps import LEFT_OUT
from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.evaluation.scene_scoring import scored_sample
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.simulation import RenderOptions, SimulatedCamera, render_random_sweep
from focdepth_ros.stack import FocalStack, Slice

SLICES, SWEEPS = 6, 3
SIZE = {"width": 160, "height": 120}


def offline(bag: Path, folder: Path, *arguments: str) -> Scores:
    options = ("--backend", "graph_cut", "--output", folder, "--no-pictures", *arguments)
    assert run("bag", "eval", bag, *options) in (0, 1)
    return scores_in(folder)


def assert_same_figures(one: Scores, other: Scores) -> None:
    assert one.keys() == other.keys()
    for scene, score in one.items():
        assert bool(score["error"]) == bool(other[scene]["error"]), (score, other[scene])
        assert score["figures"] == pytest.approx(other[scene]["figures"], abs=1e-6), scene
        assert score["curve"] == pytest.approx(other[scene]["curve"], abs=1e-6), scene
        size = ("slices", "width", "height", "backend")
        if not score["error"]:
            assert [score[name] for name in size] == [other[scene][name] for name in size]


def test_live_offline_and_directly_are_the_same(tmp_path: Path) -> None:
    simulated = render_random_sweep(1003, slices=SLICES, **SIZE)
    camera = SimulatedCamera(simulated, pattern="far_to_near")
    record_camera(tmp_path / "bag", camera, depth=simulated.depth, sweeps=SWEEPS)

    live = replay(tmp_path / "bag", tmp_path)
    assert set(live.exit_codes.values()) == {0}, live.logs
    assert_same_figures(live.scores, offline(tmp_path / "bag", tmp_path / "offline"))
    assert_same_figures(live.scores, directly(camera, simulated.depth))
    for name in ("report.html", "scenes.csv", "summary.json"):
        assert (tmp_path / "live" / name).is_file()
    assert f"report: {tmp_path / 'live' / 'report.html'}" in live.logs["evaluator_node"]
    pictures = {path.name for path in (tmp_path / "live" / "pictures").rglob("*.jpg")}
    assert {"image.jpg", "truth.jpg", "graph_cut-error.jpg"} <= pictures


def directly(camera: SimulatedCamera, depth: np.ndarray) -> Scores:
    """Scores of the sweeps of a camera, without a bag."""
    pipeline = DepthPipeline(create_backend("graph_cut"), min_confidence=0.0)
    slices: dict[int, list[Slice]] = {}
    for frame in camera.frames(sweeps=SWEEPS):
        item = Slice(frame.image, frame.focus_distance, frame.stamp)
        slices.setdefault(frame.sweep_id, []).append(item)
    scores = {}
    for number, items in slices.items():
        stack = FocalStack(items, camera.intrinsics, reference=len(items) - 1)
        sample = LabelledStack(f"sweep_{number:04d}", stack, depth)
        score, _ = scored_sample(sample, "graph_cut", pipeline)
        scores[sample.name] = score.to_dict()
    return scores


def test_an_awkward_bag(tmp_path: Path) -> None:
    """A moving, breathing camera without sweep ids, cut at both ends, one truth missing."""
    options = RenderOptions(breathing=1.0, shake_translation=2.0)
    moving = render_random_sweep(1005, slices=SLICES, options=options, **SIZE)
    camera = SimulatedCamera(moving, pattern="ping_pong", frame_rate=8.0)
    record_camera(tmp_path / "whole", camera, depth=moving.depth, sweeps=5)
    frames = 5 * SLICES

    def change(topic: str, number: int, message: Any) -> Any:
        if topic in (IMAGES, STATES) and (number < 2 or number >= frames - 2):
            return None
        if topic == GROUND_TRUTH and number == 2:
            return None
        return replace(message, sweep_id=0) if topic == STATES else message

    bag = rewritten(tmp_path / "whole", tmp_path / "bag", change)
    reasons = [sweep.end_reason for sweep in find_sweeps(bag).sweeps]
    assert reasons == ["reversal"] * 4 + ["flush"]

    live = replay(bag, tmp_path)
    expected = offline(bag, tmp_path / "offline")
    assert_same_figures(live.scores, expected)
    failed = [scene for scene, score in live.scores.items() if score["error"]]
    assert failed == ["sweep_0003"]
    assert "no ground truth on /ground_truth/depth within 0.5 s" in expected[failed[0]]["error"]
    assert "no ground truth on /ground_truth/depth within 0.5 s" in live.scores[failed[0]]["error"]
    assert live.exit_codes == {"depth_node": 0, "evaluator_node": 1, "bag_player_node": 0}
    page = (tmp_path / "live" / "report.html").read_text(encoding="utf-8")
    assert "no ground truth on /ground_truth/depth" in page


def test_frames_and_answers_that_are_missing_are_named(tmp_path: Path) -> None:
    simulated = render_random_sweep(1003, slices=SLICES, **SIZE)
    camera = SimulatedCamera(simulated, frame_rate=15.0)
    record_camera(tmp_path / "whole", camera, depth=simulated.depth, sweeps=SWEEPS)

    def change(topic: str, number: int, message: Any) -> Any:
        if topic == IMAGES and number in (SLICES + 2, SLICES + 3):
            return replace(message, encoding="odd")
        return message

    bag = rewritten(tmp_path / "whole", tmp_path / "bag", change)
    live = replay(bag, tmp_path, depth={"backend": "argmax"}, evaluator={"pictures": False})
    assert live.exit_codes["evaluator_node"] == 1
    assert set(live.scores) == {"sweep_0001", "sweep_0002", "sweep_0003", LEFT_OUT}
    assert "unknown encoding (2)" in live.scores[LEFT_OUT]["error"]
    assert live.scores["sweep_0002"]["slices"] == SLICES - 2
    assert not (tmp_path / "live" / "pictures").exists()
