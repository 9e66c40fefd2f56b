"""The all-in-focus image alone: the same picture, and nothing is done that only depth needs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from moody_backend import Moody
from synthetic_motion import moving_sweep, similarity
from synthetic_sweeps import SIZE, two_surfaces

from focdepth_ros.backends import argmax, graph_cut
from focdepth_ros.backends.base import Backend, SweepSpec
from focdepth_ros.backends.registry import create_backend, list_backends
from focdepth_ros.errors import BackendError, OptionError, SliceError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import FocalStack, Slice

USABLE = {info.name for info in list_backends() if info.unusable_because is None}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("argmax", {}),
    ("graph_cut", {}),
    ("graph_cut", {"aif_blend": False}),
    ("graph_cut", {"all_in_focus": "depth"}),
    ("graph_cut", {"solver": "exact"}),
]
WITHOUT_METRES = SweepSpec(*SIZE, metric=False, depth=False, by_position=True)


@pytest.fixture(params=OPTIONS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    name, options = request.param
    if name not in USABLE:
        pytest.skip(f"{name} cannot be used here")
    return create_backend(name, **options)


def by_positions(slices: list[Slice]) -> list[Slice]:
    """The slices as of a camera that knows no metres."""
    return [replace(item, focus_distance=None, lens_position=-item.dioptre) for item in slices]


def streamed(pipeline: DepthPipeline, slices: list[Slice], spec: SweepSpec) -> DepthEstimate:
    run = pipeline.start(spec)
    for item in slices:
        run.add(item)
    return run.finish(reference=slices[-1])


def assert_without_depth(estimate: DepthEstimate, size: tuple[int, int]) -> None:
    assert estimate.depth.shape == estimate.confidence.shape == estimate.slice_index.shape == size
    assert estimate.depth.dtype == estimate.confidence.dtype == estimate.slice_index.dtype
    assert np.isnan(estimate.depth).all()
    assert not estimate.confidence.any()


def test_the_picture_is_that_of_the_usual_answer(backend: Backend) -> None:
    stack = FocalStack(two_surfaces(noise=6.0))
    usual, alone = (backend.estimate(stack, depth=depth) for depth in (True, False))
    np.testing.assert_array_equal(alone.all_in_focus, usual.all_in_focus)
    assert_without_depth(alone, SIZE)
    assert (alone.backend, alone.metric) == (usual.backend, usual.metric)
    assert 0.0 <= alone.slice_index.min() <= alone.slice_index.max() <= len(stack) - 1


def test_of_a_moving_camera_too(backend: Backend) -> None:
    motions = [similarity(1.0 + 0.005 * i, 0.2 * i, (1.5 * i, -1.0 * i)) for i in range(6)]
    stack = FocalStack(moving_sweep(motions), reference=5)
    usual, alone = (DepthPipeline(backend).estimate(stack, depth=d) for d in (True, False))
    assert usual.all_in_focus is not None
    np.testing.assert_array_equal(alone.all_in_focus, usual.all_in_focus)
    assert np.isnan(alone.depth).all()


@pytest.mark.parametrize(
    "order", [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 4, 5, 6, 0, 1, 2]]
)
def test_lens_positions_do_where_there_are_no_metres(backend: Backend, order: list[int]) -> None:
    """The last order is that of a window over the jump of a saw-tooth."""
    slices = [two_surfaces()[i] for i in order]
    pipeline = DepthPipeline(backend)
    usual = streamed(pipeline, slices, SweepSpec(*SIZE))
    alone = streamed(pipeline, by_positions(slices), WITHOUT_METRES)
    np.testing.assert_array_equal(alone.all_in_focus, usual.all_in_focus)
    assert not alone.metric
    assert_without_depth(alone, SIZE)


def test_it_does_not_matter_in_which_sense_positions_count(backend: Backend) -> None:
    rising = by_positions(two_surfaces())
    falling = [replace(item, lens_position=-(item.lens_position or 0.0)) for item in rising]
    pipeline = DepthPipeline(backend)
    one, other = (streamed(pipeline, each, WITHOUT_METRES) for each in (rising, falling))
    assert one.all_in_focus is not None
    assert other.all_in_focus is not None
    apart = np.abs(one.all_in_focus.astype(float) - other.all_in_focus)
    assert np.mean(apart > 1.0) < 0.02


def test_a_slice_at_the_same_position_replaces_the_last(backend: Backend) -> None:
    slices = by_positions(two_surfaces())
    spoilt = replace(slices[3], image=np.zeros_like(slices[3].image))
    pipeline = DepthPipeline(backend)
    whole = streamed(pipeline, slices, WITHOUT_METRES)
    again = streamed(pipeline, [*slices[:3], spoilt, *slices[3:]], WITHOUT_METRES)
    np.testing.assert_array_equal(again.all_in_focus, whole.all_in_focus)


def test_nothing_is_done_that_only_depth_needs() -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("only depth needs this")

    stack = FocalStack(two_surfaces())
    for module, name in (
        (graph_cut, "cut_fast"),
        (graph_cut, "weighted_median"),
        (graph_cut, "focus_confidence"),
        (graph_cut, "answer_from_positions"),
        (argmax, "focus_confidence"),
    ):
        chosen = create_backend(module.__name__.rsplit(".", 1)[1])
        with patch.object(module, name, never):
            assert chosen.estimate(stack, depth=False).all_in_focus is not None
            with pytest.raises(AssertionError, match="only depth needs this"):
                chosen.estimate(stack)


@pytest.mark.parametrize("step", ["start", "add", "finish"])
def test_another_backend_answers_for_one_that_fails(step: str) -> None:
    pipeline = DepthPipeline(Moody({step: BackendError("out of sorts")}))
    stack = FocalStack(two_surfaces())
    answer = pipeline.estimate(stack, depth=False)
    assert "out of sorts" in answer.warnings[0]
    expected = DepthPipeline(create_backend(answer.backend)).estimate(stack)
    np.testing.assert_array_equal(answer.all_in_focus, expected.all_in_focus)
    assert_without_depth(answer, SIZE)


class Unaware(Moody):
    """Of a backend that does not ask whether depth is wanted."""

    def start(self, spec: SweepSpec) -> Any:
        return super().start(replace(spec, depth=True))


def test_depth_that_nobody_wants_is_not_told() -> None:
    stack = FocalStack(two_surfaces())
    assert np.isfinite(DepthPipeline(Unaware(), min_confidence=0.0).estimate(stack).depth).any()
    pipeline = DepthPipeline(Unaware(), min_confidence=0.0, fill_holes=True)
    assert_without_depth(pipeline.estimate(stack, depth=False), SIZE)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"depth": False, "all_in_focus": False}, "without depth and without all-in-focus image"),
        ({"by_position": True}, "a metric sweep is in the order of its focus distances"),
    ],
)
def test_what_does_not_go_together_is_named(wrong: dict[str, bool], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        SweepSpec(*SIZE, **wrong)  # type: ignore[arg-type]


def test_slices_that_do_not_belong_to_a_sweep_by_position_are_named() -> None:
    slices = by_positions(two_surfaces())
    run = DepthPipeline(create_backend("argmax")).start(WITHOUT_METRES)
    with pytest.raises(SliceError, match="slice has no lens position, but the sweep is in the"):
        run.add(replace(slices[0], lens_position=None))
    run.add(slices[0])
    run.add(slices[1])
    with pytest.raises(SliceError, match=re.escape("already has a slice at lens position -2.5")):
        run.add(replace(slices[0]))
    assert len(run) == 2


def test_a_slice_left_out_is_named_by_its_position() -> None:
    slices = by_positions(two_surfaces(size=(120, 160)))
    slices[2] = replace(slices[2], image=np.zeros_like(slices[2].image))
    spec = replace(WITHOUT_METRES, height=120, width=160)
    answer = streamed(DepthPipeline(create_backend("argmax")), slices, spec)
    assert answer.left_out == 1
    assert answer.warnings[0].startswith("slice 3 at lens position -1.9 left out: ")
