"""Accuracy on simulated scenes that nothing was tuned on."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import pytest

from focdepth_ros.backends.registry import create_backend, list_backends
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.simulation import (
    SimulatedStack,
    random_scene,
    render_stack,
)
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED

UNUSABLE = {info.name: info.unusable_because for info in list_backends()}
pytestmark = pytest.mark.skipif(
    UNUSABLE["graph_cut"] is not None, reason=str(UNUSABLE["graph_cut"])
)


@lru_cache(maxsize=1)
def scenes() -> list[SimulatedStack]:
    # Without photographs the scenes are the same whatever is installed.
    return [
        render_stack(random_scene(seed, photographs=()), seed=seed)
        for seed in range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + 3)
    ]


@cache
def mean_scores(backend: str, min_confidence: float) -> dict[str, float]:
    pipeline = DepthPipeline(create_backend(backend), min_confidence=min_confidence)
    rows = [
        depth_metrics(pipeline.estimate(scene.stack, all_in_focus=False).depth, scene.depth)
        for scene in scenes()
    ]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def test_graph_cut_beats_the_baseline_over_all_pixels() -> None:
    graph_cut = mean_scores("graph_cut", 0.0)
    argmax = mean_scores("argmax", 0.0)
    assert graph_cut["coverage"] == argmax["coverage"] == 1.0
    for measure in ("abs_rel", "rmse", "mae", "rmse_log"):
        assert graph_cut[measure] < argmax[measure]
    assert graph_cut["delta1"] > argmax["delta1"]


def test_confidence_leaves_out_the_errors_and_little_else() -> None:
    every = mean_scores("graph_cut", 0.0)
    sure = mean_scores("graph_cut", DEFAULT_MIN_CONFIDENCE)
    assert sure["coverage"] >= 0.7
    assert sure["abs_rel"] <= 0.5 * every["abs_rel"]
    assert sure["rmse"] < every["rmse"]


@pytest.mark.parametrize("backend", ["graph_cut", "argmax"])
def test_the_more_confident_the_more_often_right(backend: str) -> None:
    limits = (0.0, 0.25, 0.5, 0.75, 0.9)
    errors = [mean_scores(backend, limit)["abs_rel"] for limit in limits]
    assert errors == sorted(errors, reverse=True)
