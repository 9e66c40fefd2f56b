"""What is not known is NaN, and a backend that dies does not take the sweep along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from moody_backend import Moody
from synthetic_sweeps import SIZE, same_image, texture, two_surfaces

from focdepth_ros.backends.argmax import ArgmaxBackend
from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.backends.cooldown import Cooldown
from focdepth_ros.backends.registry import create_backend, list_backends
from focdepth_ros.backends.unavailable import UnavailableBackend
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import (
    BackendError,
    DeviceError,
    OptionError,
    SliceError,
    StackError,
    WeightsError,
)
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline, SweepRun
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.stack import FocalStack, Slice

SPEC = SweepSpec(height=SIZE[0], width=SIZE[1])
USABLE = [info.name for info in list_backends() if info.unusable_because is None]
# What answers when the chosen one fails, best first.
SIMPLE = [name for name in ("graph_cut", "argmax") if name in USABLE]
SIMPLER = SIMPLE[0]
ON_CPU = {"graph_cut": {"device": "cpu"}, "argmax": {}}[SIMPLER]


def run_over(run: SweepRun, slices: list[Slice]) -> DepthEstimate:
    for item in slices:
        run.add(item)
    return run.finish()


def test_depth_is_nan_exactly_where_the_confidence_is_too_low() -> None:
    stack = FocalStack(two_surfaces(noise=12.0))
    every = create_backend().estimate(stack)
    for limit in (0.2, 0.5, DEFAULT_MIN_CONFIDENCE, 0.95):
        estimate = DepthPipeline(min_confidence=limit).estimate(stack)
        unsure = every.confidence < limit
        np.testing.assert_array_equal(np.isnan(estimate.depth), unsure)
        np.testing.assert_array_equal(estimate.depth[~unsure], every.depth[~unsure])
        np.testing.assert_array_equal(estimate.confidence, every.confidence)
        np.testing.assert_array_equal(estimate.slice_index, every.slice_index)
        assert estimate.depth.dtype == np.float32
    assert 0.02 < np.mean(every.confidence < DEFAULT_MIN_CONFIDENCE) < 0.98


def test_zero_answers_every_pixel() -> None:
    stack = same_image(texture())
    assert not np.isnan(DepthPipeline(min_confidence=0.0).estimate(stack).depth).any()
    assert np.isnan(DepthPipeline().estimate(stack).depth).all()


@pytest.mark.parametrize("metric", [True, False])
@pytest.mark.parametrize("all_in_focus", [True, False])
def test_holes_are_filled_on_request_and_marked(metric: bool, all_in_focus: bool) -> None:
    # Half of the picture is plain: nothing tells its focus.
    slices = []
    for item in two_surfaces():
        image = item.image.copy()
        image[: SIZE[0] // 2] = 128
        slices.append(Slice(image, item.focus_distance if metric else None))
    stack = FocalStack(slices)
    plain = DepthPipeline().estimate(stack, all_in_focus=all_in_focus)
    filled = DepthPipeline(fill_holes=True).estimate(stack, all_in_focus=all_in_focus)
    unknown = np.isnan(plain.depth)
    assert unknown[: SIZE[0] // 4].mean() > 0.9
    assert np.isfinite(filled.depth).all()
    np.testing.assert_array_equal(filled.depth[~unknown], plain.depth[~unknown])
    np.testing.assert_array_equal(filled.confidence[~unknown], plain.confidence[~unknown])
    np.testing.assert_array_equal(filled.confidence == 0.0, unknown)
    known = plain.depth[~unknown]
    assert filled.depth[unknown].min() >= known.min() - 1e-4
    assert filled.depth[unknown].max() <= known.max() + 1e-4


def test_where_nothing_is_known_nothing_can_be_filled() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
    stack = FocalStack([Slice(image, 1.0 + i) for i, image in enumerate(images)])
    aligned = AlignmentConfig("none")
    answer = DepthPipeline(alignment=aligned, min_confidence=1.0, fill_holes=True).estimate(stack)
    assert np.isnan(answer.depth).all()
    np.testing.assert_array_equal(answer.confidence, 0.0)


@pytest.mark.parametrize("limit", [-0.1, 1.1, float("nan")])
def test_min_confidence_out_of_range_is_named(limit: float) -> None:
    with pytest.raises(OptionError, match=f"min_confidence {limit} is not in \\[0, 1\\]"):
        DepthPipeline(min_confidence=limit)


def test_the_best_usable_backend_answers_by_default() -> None:
    estimate = DepthPipeline().estimate(FocalStack(two_surfaces()))
    assert estimate.backend == SIMPLER
    assert estimate.warnings == ()


def test_streaming_equals_the_whole_stack() -> None:
    slices = two_surfaces()
    pipeline = DepthPipeline()
    streamed = run_over(pipeline.start(SPEC), slices[::-1])
    at_once = pipeline.estimate(FocalStack(slices))
    np.testing.assert_array_equal(streamed.depth, at_once.depth)
    np.testing.assert_array_equal(streamed.confidence, at_once.confidence)


def test_the_all_in_focus_image_is_made_only_if_wanted() -> None:
    stack = FocalStack(two_surfaces())
    assert DepthPipeline().estimate(stack).all_in_focus is not None
    assert DepthPipeline().estimate(stack, all_in_focus=False).all_in_focus is None


def test_says_how_long_it_took() -> None:
    timings = DepthPipeline().estimate(FocalStack(two_surfaces())).timings
    assert {"add", "finish"} <= set(timings)
    assert all(seconds >= 0.0 for seconds in timings.values())


def test_a_backend_of_ones_own_answers_while_it_can() -> None:
    slices = two_surfaces()
    estimate = DepthPipeline(Moody(), min_confidence=0.0).estimate(FocalStack(slices))
    expected = ArgmaxBackend().estimate(FocalStack(slices))
    np.testing.assert_array_equal(estimate.depth, expected.depth)
    assert estimate.warnings == ()


@pytest.mark.parametrize("step", ["start", "add", "finish"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("device ran out of memory"), "device ran out of memory"),
        (MemoryError(), "MemoryError"),
        (BackendError("no weights"), "no weights"),
    ],
    ids=["RuntimeError", "without a message", "BackendError"],
)
def test_falls_back_and_says_why(step: str, error: Exception, reason: str) -> None:
    slices = two_surfaces()
    run = DepthPipeline(Moody({step: error})).start(SPEC)
    estimate = run_over(run, slices)
    assert estimate.backend == SIMPLER
    assert estimate.warnings == (f"backend 'moody' failed: {reason}",)
    expected = DepthPipeline(create_backend(SIMPLER, **ON_CPU)).estimate(FocalStack(slices))
    np.testing.assert_array_equal(estimate.depth, expected.depth)
    np.testing.assert_array_equal(estimate.all_in_focus, expected.all_in_focus)


@pytest.mark.parametrize("step", ["start", "add"])
def test_the_simpler_backend_takes_every_slice_as_it_comes(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = two_surfaces()
    simpler = type(create_backend(SIMPLER))
    started: list[Accumulator] = []
    start = simpler.start

    def watched(self: Backend, spec: SweepSpec) -> Accumulator:
        started.append(start(self, spec))
        return started[-1]

    monkeypatch.setattr(simpler, "start", watched)
    run = DepthPipeline(Moody({step: DeviceError("lost")})).start(SPEC)
    for item in slices:
        run.add(item)
    (accumulator,) = started  # nothing is left to be done over again at the end
    depth = accumulator.finish().slice_index
    np.testing.assert_array_equal(run.finish().slice_index, depth)


def test_the_next_sweep_is_the_backends_again() -> None:
    slices = two_surfaces()
    backend = Moody({"add": RuntimeError("once")})
    pipeline = DepthPipeline(backend)
    assert pipeline.estimate(FocalStack(slices)).backend == SIMPLER
    backend.fails = {}
    again = pipeline.estimate(FocalStack(slices))
    assert again.backend == ArgmaxBackend.name
    assert again.warnings == ()


class Clock:
    """Time that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("step", ["start", "add", "finish"])
def test_a_backend_whose_device_failed_is_left_alone_for_a_while(step: str) -> None:
    stack, clock = FocalStack(two_surfaces()), Clock()
    backend = Moody({step: DeviceError("the GPU has too little memory")})
    pipeline = DepthPipeline(backend)
    pipeline.cooldown = Cooldown(10.0, clock=clock)
    first = pipeline.estimate(stack)
    assert first.warnings == ("backend 'moody' failed: the GPU has too little memory",)

    backend.fails = {}
    clock.now += 4.0
    resting = pipeline.estimate(stack)
    assert resting.backend == SIMPLER
    assert resting.warnings == (
        "backend 'moody' is not tried for another 6.0 s after it failed: the GPU has too little "
        "memory",
    )
    np.testing.assert_array_equal(resting.depth, first.depth)

    clock.now += 6.0
    assert pipeline.estimate(stack).backend == ArgmaxBackend.name


def test_a_device_that_fails_again_is_left_alone_again() -> None:
    stack, clock = FocalStack(two_surfaces()), Clock()
    pipeline = DepthPipeline(Moody({"finish": DeviceError("lost")}))
    pipeline.cooldown = Cooldown(10.0, clock=clock)
    for _ in range(2):
        assert pipeline.estimate(stack).warnings == ("backend 'moody' failed: lost",)
        assert "not tried for another 10.0 s" in pipeline.estimate(stack).warnings[0]
        clock.now += 10.0


def test_a_bad_sweep_does_not_stop_the_next_one() -> None:
    backend = Moody({"finish": BackendError("more slices than labels")})
    pipeline = DepthPipeline(backend)
    run = pipeline.start(SPEC)
    with pytest.raises(SliceError):
        run.add(resized(two_surfaces()[0]))
    assert pipeline.estimate(FocalStack(two_surfaces())).backend == SIMPLER
    backend.fails = {}
    assert pipeline.estimate(FocalStack(two_surfaces())).backend == ArgmaxBackend.name


def test_without_a_cooldown_the_next_sweep_is_tried_again() -> None:
    pipeline = DepthPipeline(Moody({"start": DeviceError("lost")}), cooldown_s=0.0)
    for _ in range(2):
        answer = pipeline.estimate(FocalStack(two_surfaces()))
        assert answer.warnings == ("backend 'moody' failed: lost",)


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_a_cooldown_that_is_none_is_named(seconds: float) -> None:
    with pytest.raises(OptionError, match=f"cooldown_s {seconds} is not a number of seconds"):
        DepthPipeline(Moody(), cooldown_s=seconds)


def test_a_backend_that_cannot_be_had_is_answered_for() -> None:
    backend = UnavailableBackend("network", WeightsError("no weights at /x"))
    answer = DepthPipeline(backend).estimate(FocalStack(two_surfaces()))
    assert answer.backend == SIMPLER
    assert answer.warnings == ("backend 'network' failed: no weights at /x",)


def test_a_backend_whose_device_failed_at_first_is_tried_again() -> None:
    stack, clock = FocalStack(two_surfaces()), Clock()
    failing = True

    def create() -> Backend:
        if failing:
            raise DeviceError("still in use")
        return Moody()

    pipeline = DepthPipeline(UnavailableBackend("moody", DeviceError("in use"), create))
    pipeline.cooldown = Cooldown(10.0, clock=clock)
    assert pipeline.estimate(stack).warnings == ("backend 'moody' failed: in use",)
    assert "not tried for another 10.0 s" in pipeline.estimate(stack).warnings[0]
    clock.now += 10.0
    assert pipeline.estimate(stack).warnings == ("backend 'moody' failed: still in use",)
    failing = False
    clock.now += 10.0
    for _ in range(2):
        assert pipeline.estimate(stack).warnings == ()


@pytest.mark.skipif(SIMPLER != "graph_cut", reason="graph_cut cannot be used here")
def test_graph_cut_falls_back_to_argmax() -> None:
    image = texture((4, 5))
    stack = FocalStack([Slice(image, 1.0 + i) for i in range(257)])  # it has 256 labels
    estimate = DepthPipeline(create_backend("graph_cut")).estimate(stack)
    assert estimate.backend == "argmax"
    (warning,) = estimate.warnings
    assert warning.startswith("backend 'graph_cut' failed: graph cut has 257 labels")


@pytest.mark.parametrize("fails", [{}, {"start": RuntimeError("lost")}], ids=["well", "failed"])
def test_a_repeated_distance_replaces_the_last_slice(fails: dict[str, Exception]) -> None:
    slices = two_surfaces()
    spoilt = Slice(np.zeros_like(slices[3].image), slices[3].focus_distance)
    run = DepthPipeline(Moody(fails)).start(SPEC)
    estimate = run_over(run, [*slices[:3], spoilt, *slices[3:]])
    assert len(run) == len(slices)
    expected = DepthPipeline(Moody(fails)).estimate(FocalStack(slices))
    np.testing.assert_array_equal(estimate.depth, expected.depth)


def resized(item: Slice) -> Slice:
    return Slice(item.image[:-1], 9.0)


def without_distance(item: Slice) -> Slice:
    return Slice(item.image, None)


def in_grey(item: Slice) -> Slice:
    return Slice(np.ascontiguousarray(item.image[..., 0]), 9.0)


def repeated(item: Slice) -> Slice:
    return Slice(item.image, item.focus_distance)


def repeated_but_for_rounding(item: Slice) -> Slice:
    assert item.focus_distance is not None
    return Slice(item.image, item.focus_distance * (1.0 + 1e-12))


@pytest.mark.parametrize("fails", [{}, {"start": RuntimeError("lost")}], ids=["well", "failed"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (resized, "64x47 px, the sweep 64x48"),
        (without_distance, "no focus distance"),
        (in_grey, "mono or all RGB"),
        (repeated, "already has a slice"),
        (repeated_but_for_rounding, "already has a slice"),
    ],
)
def test_a_slice_that_does_not_belong_is_refused_and_the_sweep_goes_on(
    spoil: Callable[[Slice], Slice], message: str, fails: dict[str, Exception]
) -> None:
    slices = two_surfaces()
    run = DepthPipeline(Moody(fails)).start(SPEC)
    for item in slices[:3]:
        run.add(item)
    with pytest.raises(SliceError, match=message):
        run.add(spoil(slices[0]))
    assert len(run) == 3
    estimate = run_over(run, slices[3:])
    expected = DepthPipeline(Moody(fails)).estimate(FocalStack(slices))
    np.testing.assert_array_equal(estimate.depth, expected.depth)
    assert estimate.warnings == expected.warnings


@pytest.mark.parametrize("fails", [{}, {"start": RuntimeError("lost")}], ids=["well", "failed"])
@pytest.mark.parametrize("count", [0, 1])
def test_needs_two_slices(count: int, fails: dict[str, Exception]) -> None:
    run = DepthPipeline(Moody(fails)).start(SPEC)
    for item in two_surfaces()[:count]:
        run.add(item)
    with pytest.raises(StackError, match=f"at least 2 slices, this one has {count}"):
        run.finish()


def test_when_nobody_can_answer_every_reason_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Backend, spec: SweepSpec) -> Any:
        raise RuntimeError(f"{self.name} is broken")

    for name in SIMPLE:
        monkeypatch.setattr(type(create_backend(name)), "start", broken)
    pipeline = DepthPipeline(Moody({"start": RuntimeError("lost")}))
    failures = "^no backend could answer: backend 'moody' failed: lost; "
    with pytest.raises(BackendError, match=failures) as raised:
        pipeline.estimate(FocalStack(two_surfaces()))
    for name in SIMPLE:
        assert f"backend '{name}' failed: {name} is broken" in str(raised.value)


def test_relative_sweeps_go_through() -> None:
    stack = FocalStack([Slice(item.image, None) for item in two_surfaces()])
    estimate = DepthPipeline().estimate(stack)
    assert not estimate.metric
    known = ~np.isnan(estimate.depth)
    assert np.mean(known) > 0.5
    np.testing.assert_array_equal(estimate.depth[known], estimate.slice_index[known])
