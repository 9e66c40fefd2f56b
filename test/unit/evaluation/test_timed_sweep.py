"""How long the steps of a sweep take, and what latency that makes."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from benchmark_backends import ADD_SECONDS, FINISH_SECONDS, SlowBackend
from moody_backend import Moody

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.timed_sweep import SweepTimes, timed_sweep, use_threads
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack_folder.reading import load_stack


@pytest.mark.parametrize(
    ("adds", "rate", "latency"),
    [
        ((0.01, 0.01, 0.02), 10.0, 0.02 + 0.05),  # it keeps up: the last frame, then the answer
        ((0.2, 0.2, 0.2), 10.0, 0.6 - 0.2 + 0.05),  # twice too slow: two periods behind
        ((0.35, 0.01, 0.01), 10.0, 0.37 - 0.2 + 0.05),  # one slow frame, not made up for
        ((0.15, 0.01, 0.01), 10.0, 0.01 + 0.05),  # one slow frame, made up for
    ],
)
def test_latency_counts_what_is_behind(
    adds: tuple[float, ...], rate: float, latency: float
) -> None:
    times = SweepTimes(adds, 0.05)
    assert times.latency(rate) == pytest.approx(latency)
    assert times.total == pytest.approx(sum(adds) + 0.05)


def test_steps_are_timed_one_by_one(stack_folders: Path) -> None:
    backend = SlowBackend()
    pipeline = DepthPipeline(backend, min_confidence=0.0)
    stack = load_stack(stack_folders / "b")
    for _ in range(2):
        estimate, times = timed_sweep(pipeline, "slow", stack)
    assert estimate.backend == "slow"
    assert len(times.adds) == len(stack)
    assert min(times.adds) >= ADD_SECONDS
    assert FINISH_SECONDS <= times.finish < times.total
    # Features of slices that are known would be taken from the sweep before.
    assert len({id(item) for item in (*backend.taken, *stack.slices)}) == 3 * len(stack)


def test_the_answer_of_a_fallback_is_not_timed(stack_folders: Path) -> None:
    pipeline = DepthPipeline(Moody({"finish": RuntimeError("no more")}))
    with pytest.raises(EvaluationError, match="'moody' gave no answer, 'graph_cut' did"):
        timed_sweep(pipeline, "moody", load_stack(stack_folders / "b"))


def test_threads_can_be_limited() -> None:
    before = cv2.getNumThreads()
    try:
        use_threads(1)
        assert cv2.getNumThreads() == 1
    finally:
        use_threads(before)
