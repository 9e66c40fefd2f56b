"""The all-in-focus image of the backend `focdepthformer`, with depth and alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from streamed import SPEC, stream
from synthetic_sweeps import SIZE, two_surfaces
from torch import Tensor

from focdepth_ros.backends.base import Backend, SweepSpec
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.models import answers
from focdepth_ros.stack import FocalStack


def assert_close(one: DepthEstimate, other: DepthEstimate) -> None:
    np.testing.assert_allclose(one.slice_index, other.slice_index, atol=1e-4)
    np.testing.assert_allclose(one.confidence, other.confidence, atol=1e-4)
    np.testing.assert_allclose(one.depth, other.depth, rtol=1e-3)


def test_the_sharpest_slices_are_found_only_where_they_are_used(
    create: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Tensor] = []
    sharpest = answers.sharpest_slices

    def counted(slices: Any, order: Tensor) -> Any:
        asked.append(order)
        return sharpest(slices, order)

    by_sharpness, by_depth = create(), create(all_in_focus="depth")
    for backend in (by_sharpness, by_depth):
        backend.start(SPEC)
    monkeypatch.setattr(answers, "sharpest_slices", counted)
    stack = FocalStack(two_surfaces())
    by_sharpness.estimate(stack, all_in_focus=False)
    by_depth.estimate(stack)
    assert asked == []
    by_sharpness.estimate(stack)
    assert len(asked) == 1


@pytest.mark.parametrize("options", [{}, {"aif_blend": False}, {"all_in_focus": "depth"}], ids=str)
@pytest.mark.parametrize("depth", [True, False])
def test_the_picture_is_that_of_opencv(
    create: Callable[..., Backend], options: dict[str, Any], depth: bool
) -> None:
    """To the rounding, but where a slice was a close choice; the slices come from far to near."""
    stack = FocalStack(two_surfaces()[::-1])
    ours = create(precision="fp32", **options)
    ours._runner._paints = True  # type: ignore[attr-defined]
    theirs = create(precision="fp32", **{**options, "device": "cpu"})
    found = ours.estimate(stack, depth=depth).all_in_focus
    expected = theirs.estimate(stack, depth=depth).all_in_focus
    assert found is not None
    assert expected is not None
    assert np.mean(np.abs(found.astype(int) - expected) > 1) < 5e-3


def test_the_picture_alone_is_the_same_without_the_transformer(
    create: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = FocalStack(two_surfaces())
    backend = create()
    usual = backend.estimate(stack)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("only depth needs this")

    fresh = create()
    for part in ("encoder", "decoder", "lstm"):
        monkeypatch.setattr(getattr(fresh._runner.network, part), "forward", never)  # type: ignore[attr-defined]
    for _ in range(2):  # the second time it knows the slices
        alone = fresh.estimate(stack, depth=False)
        np.testing.assert_array_equal(alone.all_in_focus, usual.all_in_focus)
        assert np.isnan(alone.depth).all()
        assert not alone.confidence.any()
    with pytest.raises(AssertionError, match="only depth needs this"):
        fresh.estimate(stack)
    monkeypatch.undo()
    assert_close(fresh.estimate(stack), usual)


def test_the_picture_alone_of_a_window_over_the_jump_of_a_saw_tooth(backend: Backend) -> None:
    slices = two_surfaces()
    usual = stream(backend, slices)
    jumping = [
        replace(item, focus_distance=None, lens_position=-item.dioptre)
        for item in (*slices[4:], *slices[:4])
    ]
    spec = SweepSpec(*SIZE, metric=False, depth=False, by_position=True)
    alone = stream(backend, jumping, spec)
    np.testing.assert_array_equal(alone.all_in_focus, usual.all_in_focus)


def test_a_picture_made_of_the_depth_needs_the_network(create: Callable[..., Backend]) -> None:
    stack, backend = FocalStack(two_surfaces()), create(all_in_focus="depth")
    alone, usual = backend.estimate(stack, depth=False), backend.estimate(stack)
    np.testing.assert_array_equal(alone.all_in_focus, usual.all_in_focus)


def test_a_picture_of_the_depth_of_a_window_over_the_jump_of_a_saw_tooth(
    create: Callable[..., Backend],
) -> None:
    """Slices that come out of order are those of the same sweep in order."""
    slices = [
        replace(item, focus_distance=None, lens_position=-item.dioptre) for item in two_surfaces()
    ]
    backend = create(all_in_focus="depth")
    spec = SweepSpec(*SIZE, metric=False, depth=False, by_position=True)
    expected = stream(backend, slices, spec)
    for order in ([*slices[4:], *slices[:4]], slices[::-1]):
        found = stream(backend, order, spec)
        difference = np.abs(found.slice_index - expected.slice_index)
        assert np.mean(difference > 0.5) < 0.01
