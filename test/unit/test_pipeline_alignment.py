"""Alignment on the way through the pipeline: what is left out, and on whose grid the answer is."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from moody_backend import Moody
from synthetic_motion import moving_sweep, seen, similarity

from focdepth_ros.backends.argmax import ArgmaxBackend
from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.errors import StackError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline, SweepRun
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.stack import FocalStack, Slice

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


@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_slice_that_is_replaced_leaves_no_trace(place: int) -> None:
    """Whether it was worked on before it was replaced is a matter of time in a live system."""
    slices = moving_sweep(HANDHELD)
    shaken = seen(similarity(1.02, 0.5, (-6.0, 9.0)))
    replaced = Slice(shaken, slices[place].focus_distance)
    run = streamed([*slices[:place], replaced, *slices[place:]])
    expected = streamed(slices)
    one, other = (each.finish(reference=slices[-1]) for each in (run, expected))
    np.testing.assert_array_equal(one.depth, other.depth)
    np.testing.assert_array_equal(one.confidence, other.confidence)


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
    (warning,) = estimate.alignment_warnings
    assert warning.startswith("slice 3 at 9 m left out: ")
    assert estimate.backend_warnings == ()
    failures = (estimate.fallback,) if fails else ()
    assert estimate.warnings == (warning, *failures)
    expected = streamed(slices, backend=Moody(fails)).finish()
    np.testing.assert_array_equal(estimate.slice_index, expected.slice_index)
    np.testing.assert_array_equal(estimate.all_in_focus, expected.all_in_focus)


class Unsure(ArgmaxBackend):
    """Warns of itself."""

    def start(self, spec: SweepSpec) -> Accumulator:
        return _UnsureAccumulator(super().start(spec))


class _UnsureAccumulator(Accumulator):
    def __init__(self, inner: Accumulator) -> None:
        self._inner = inner

    def add(self, item: Slice) -> None:
        self._inner.add(item)

    def finish(self) -> DepthEstimate:
        return replace(self._inner.finish(), warnings=("it had too little time",))


def test_warnings_of_the_backend_are_told_from_those_of_the_alignment() -> None:
    slices = moving_sweep(HANDHELD)
    estimate = streamed([*slices[:2], bad_slice("black"), *slices[2:]], backend=Unsure()).finish()
    assert estimate.backend_warnings == ("it had too little time",)
    (warning,) = estimate.alignment_warnings
    assert warning.startswith("slice 3 at 9 m left out: ")
    assert estimate.warnings == ("it had too little time", warning)


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


@pytest.mark.parametrize("backwards", [False, True], ids=["near to far", "far to near"])
def test_positions_of_a_metric_sweep_count_the_slices_left_out(backwards: bool) -> None:
    whole = moving_sweep([np.eye(3)] * 6)
    black = bad_slice("black", 0.5 * (whole[2].focus_distance + whole[3].focus_distance))
    parted = [*whole[:3], black, *whole[3:]]
    if backwards:
        whole, parted = whole[::-1], parted[::-1]
    expected, found = streamed(whole).finish(), streamed(parted).finish()
    assert found.left_out == 1
    places = [0, 1, 2, 4, 5, 6]  # near is first, whichever way the sweep went
    counted = np.interp(expected.slice_index, range(6), places)
    np.testing.assert_allclose(found.slice_index, counted, atol=1e-5)
    np.testing.assert_allclose(found.depth, expected.depth, rtol=1e-5)


def test_a_slice_left_out_at_the_focus_of_another_has_no_place_of_its_own() -> None:
    whole = moving_sweep([np.eye(3)] * 6)
    black = bad_slice("black", whole[2].focus_distance)
    expected = streamed(whole).finish().slice_index
    for number in (2, 3):  # before the slice that is taken, and after it
        found = streamed([*whole[:number], black, *whole[number:]]).finish()
        assert found.left_out == 1
        np.testing.assert_array_equal(found.slice_index, expected)


def test_positions_of_a_relative_sweep_count_the_slices_left_out() -> None:
    still = [np.eye(3)] * 6
    whole = [Slice(item.image, None) for item in moving_sweep(still)]
    black = Slice(np.zeros_like(whole[0].image), None)
    expected = streamed(whole).finish().slice_index
    shifted = streamed([black, *whole]).finish()
    assert shifted.left_out == 1
    np.testing.assert_allclose(shifted.slice_index, expected + 1.0, atol=1e-5)
    np.testing.assert_array_equal(shifted.depth, shifted.slice_index)
    parted = streamed([*whole[:3], black, *whole[3:]]).finish()
    np.testing.assert_allclose(parted.slice_index, expected + (expected > 2.5), atol=1e-5)
