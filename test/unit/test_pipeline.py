"""What is not known is NaN, and a backend that dies does not take the sweep along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from synthetic_motion import moving_sweep, seen, similarity
from synthetic_sweeps import SIZE, same_image, texture, two_surfaces

from focdepth_ros.alignment import AlignmentConfig
from focdepth_ros.backends.argmax import ArgmaxBackend, ArgmaxConfig
from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.backends.registry import create_backend, list_backends
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import BackendError, OptionError, SliceError, StackError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline, SweepRun
from focdepth_ros.stack import FocalStack, Slice

SPEC = SweepSpec(height=SIZE[0], width=SIZE[1])
USABLE = [info.name for info in list_backends() if info.unusable_because is None]
BEST = USABLE[0]


class Moody(Backend):
    """Answers like `argmax`, unless it is told at which step to raise what."""

    name = "moody"
    summary = "fails when asked to"
    config_class = ArgmaxConfig

    def __init__(self, fails: dict[str, Exception] | None = None) -> None:
        self.fails = fails or {}

    def fail_at(self, step: str) -> None:
        if step in self.fails:
            raise self.fails[step]

    def start(self, spec: SweepSpec) -> Accumulator:
        self.fail_at("start")
        return _MoodyAccumulator(self, ArgmaxBackend().start(spec))


class _MoodyAccumulator(Accumulator):
    def __init__(self, backend: Moody, inner: Accumulator) -> None:
        self._backend = backend
        self._inner = inner

    def add(self, item: Slice) -> None:
        # Stamps count up: it fails half way.
        if item.stamp == 4:
            self._backend.fail_at("add")
        self._inner.add(item)

    def finish(self) -> DepthEstimate:
        self._backend.fail_at("finish")
        return self._inner.finish()


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
    assert estimate.backend == BEST
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
    assert estimate.backend == BEST
    assert estimate.warnings == (f"backend 'moody' failed: {reason}",)
    expected = DepthPipeline().estimate(FocalStack(slices))
    np.testing.assert_array_equal(estimate.depth, expected.depth)
    np.testing.assert_array_equal(estimate.all_in_focus, expected.all_in_focus)


def test_the_next_sweep_is_the_backends_again() -> None:
    slices = two_surfaces()
    backend = Moody({"add": RuntimeError("once")})
    pipeline = DepthPipeline(backend)
    assert pipeline.estimate(FocalStack(slices)).backend == BEST
    backend.fails = {}
    again = pipeline.estimate(FocalStack(slices))
    assert again.backend == ArgmaxBackend.name
    assert again.warnings == ()


@pytest.mark.skipif(BEST != "graph_cut", reason="graph_cut cannot be used here")
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


@pytest.mark.parametrize("fails", [{}, {"start": RuntimeError("lost")}], ids=["well", "failed"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (resized, "64x47 px, the sweep 64x48"),
        (without_distance, "no focus distance"),
        (in_grey, "mono or all RGB"),
        (repeated, "already has a slice"),
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

    for name in USABLE:
        monkeypatch.setattr(type(create_backend(name)), "start", broken)
    pipeline = DepthPipeline(Moody({"start": RuntimeError("lost")}))
    failures = "^no backend could answer: backend 'moody' failed: lost; "
    with pytest.raises(BackendError, match=failures) as raised:
        pipeline.estimate(FocalStack(two_surfaces()))
    for name in USABLE:
        assert f"backend '{name}' failed: {name} is broken" in str(raised.value)


def test_relative_sweeps_go_through() -> None:
    stack = FocalStack([Slice(item.image, None) for item in two_surfaces()])
    estimate = DepthPipeline().estimate(stack)
    assert not estimate.metric
    known = ~np.isnan(estimate.depth)
    assert np.mean(known) > 0.5
    np.testing.assert_array_equal(estimate.depth[known], estimate.slice_index[known])


HANDHELD = [similarity(1.0 + 0.005 * i, 0.2 * i, (1.5 * i, -1.0 * i)) for i in range(6)]


def bad_slice(kind: str, distance: float | None = 9.0) -> Slice:
    image = np.zeros_like(seen(np.eye(3))) if kind == "black" else seen(np.eye(3), seed=9)
    return Slice(image, distance)


def streamed(slices: list[Slice], *, backend: Backend | None = None) -> SweepRun:
    height, width = slices[0].size
    run = DepthPipeline(backend or ArgmaxBackend(), min_confidence=0.0).start(
        SweepSpec(height=height, width=width, metric=slices[0].focus_distance is not None)
    )
    for item in slices:
        run.add(item)
    return run


def test_a_moving_camera_is_aligned_and_without_it_is_not() -> None:
    moving, still = FocalStack(moving_sweep(HANDHELD)), FocalStack(moving_sweep([np.eye(3)] * 6))
    truth = DepthPipeline(ArgmaxBackend(), min_confidence=0.0).estimate(still)

    def error(method: str) -> float:
        pipeline = DepthPipeline(
            ArgmaxBackend(), alignment=AlignmentConfig(method=method), min_confidence=0.0
        )
        estimate = pipeline.estimate(moving)
        assert estimate.left_out == 0
        assert estimate.timings["align"] >= 0.0
        assert estimate.all_in_focus is not None
        assert truth.all_in_focus is not None
        apart = cv2.absdiff(estimate.all_in_focus, truth.all_in_focus)[20:-20, 20:-20]
        return float(apart.mean())

    assert error("auto") < 0.3 * error("none")


@pytest.mark.parametrize("fails", [{}, {"finish": RuntimeError("lost")}], ids=["well", "failed"])
@pytest.mark.parametrize("kind", ["black", "another scene"])
def test_a_slice_that_cannot_be_aligned_is_left_out_and_the_answer_is_as_without(
    kind: str, fails: dict[str, Exception]
) -> None:
    slices = moving_sweep(HANDHELD)
    run = streamed([*slices[:2], bad_slice(kind), *slices[2:]], backend=Moody(fails))
    assert len(run) == len(slices)
    estimate = run.finish()
    assert estimate.left_out == 1
    assert estimate.warnings[0].startswith("slice 3 at 9 m left out: ")
    expected = streamed(slices, backend=Moody(fails)).finish()
    np.testing.assert_array_equal(estimate.slice_index, expected.slice_index)
    np.testing.assert_array_equal(estimate.all_in_focus, expected.all_in_focus)


@pytest.mark.parametrize("kind", ["black", "another scene"])
def test_a_bad_first_slice_does_not_spoil_the_sweep(kind: str) -> None:
    slices = moving_sweep(HANDHELD)
    estimate = streamed([bad_slice(kind), *slices]).finish()
    assert estimate.left_out == 1
    (warning,) = estimate.warnings
    assert warning.startswith("slice 1 at 9 m left out: ")
    np.testing.assert_array_equal(estimate.slice_index, streamed(slices).finish().slice_index)


def test_a_replaced_first_slice_is_no_longer_the_grid() -> None:
    slices = moving_sweep(HANDHELD)
    elsewhere = Slice(seen(similarity(shift=(9.0, 5.0))), slices[0].focus_distance)
    estimate = streamed([elsewhere, *slices]).finish()
    assert estimate.left_out == 0
    np.testing.assert_array_equal(estimate.slice_index, streamed(slices).finish().slice_index)


def test_too_few_slices_that_fit_are_too_few_and_each_reason_is_named() -> None:
    slices = [moving_sweep(HANDHELD)[0], bad_slice("black", 8.0), bad_slice("another scene", 9.0)]
    with pytest.raises(StackError, match="at least 2 slices, this one has 1; slice 2 at 8 m left"):
        streamed(slices).finish()


def test_the_answer_comes_on_the_grid_of_the_slice_asked_for() -> None:
    slices = moving_sweep(HANDHELD)
    on_first = streamed(slices).finish()
    on_last = streamed(slices).finish(reference=slices[-1])
    # What the first shows at a place, the last shows where it has moved to.
    x, y = 100, 80
    moved = HANDHELD[-1] @ (x, y, 1.0)
    column, row = (round(float(value)) for value in moved[:2])
    first = on_first.all_in_focus[y - 8 : y + 9, x - 8 : x + 9].astype(float)
    last = on_last.all_in_focus[row - 8 : row + 9, column - 8 : column + 9].astype(float)
    assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.8
    unmoved = on_last.all_in_focus[y - 8 : y + 9, x - 8 : x + 9].astype(float)
    assert np.corrcoef(first.ravel(), unmoved.ravel())[0, 1] < 0.5
    unknown = np.isnan(on_last.depth)
    assert 0.0 < unknown.mean() < 0.2
    np.testing.assert_array_equal(on_last.confidence[unknown], 0.0)
    same = streamed(slices).finish(reference=slices[0])
    np.testing.assert_array_equal(same.depth, on_first.depth)


def test_a_whole_stack_is_answered_on_the_grid_of_its_reference() -> None:
    slices = moving_sweep(HANDHELD)
    pipeline = DepthPipeline(ArgmaxBackend(), min_confidence=0.0)
    estimate = pipeline.estimate(FocalStack(slices, reference=3))
    expected = streamed(slices).finish(reference=slices[3])
    np.testing.assert_array_equal(estimate.depth, expected.depth)
    np.testing.assert_array_equal(estimate.all_in_focus, expected.all_in_focus)


def test_where_the_reference_is_left_out_the_nearest_slice_stands_in() -> None:
    slices = moving_sweep(HANDHELD)
    bad = bad_slice("black")
    run = streamed([*slices, bad])
    assert run.reference_taken(bad) is slices[-1]
    estimate = run.finish(reference=bad)
    assert estimate.warnings[-1] == "the answer is on the grid of slice 6 at 1 m instead"
    expected = streamed(slices).finish(reference=slices[-1])
    np.testing.assert_array_equal(estimate.depth, expected.depth)


def test_identical_slices_are_no_reason_to_move_them() -> None:
    image = seen(np.eye(3))
    estimate = streamed([Slice(image, 1.0 + i) for i in range(5)]).finish()
    assert estimate.left_out == 0
    assert estimate.warnings == ()
