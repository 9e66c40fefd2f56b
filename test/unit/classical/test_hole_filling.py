"""Hole filling on surfaces whose continuation is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.classical.hole_filling import fill_holes
from focdepth_ros.errors import BackendError, OptionError
from focdepth_ros.stack import FloatImage, ImageArray

SHAPE = (61, 90)


def plain_guide(shape: tuple[int, ...] = SHAPE) -> ImageArray:
    return np.full(shape, 90, np.uint8)


def with_hole(rows: slice, columns: slice) -> NDArray[np.bool_]:
    known = np.ones(SHAPE, np.bool_)
    known[rows, columns] = False
    return known


def plane() -> FloatImage:
    rows, columns = np.indices(SHAPE, dtype=np.float32)
    return np.asarray(2.0 + 0.05 * columns + 0.02 * rows, dtype=np.float32)


@pytest.mark.parametrize("colour", [False, True])
def test_known_values_stay_exactly(colour: bool) -> None:
    rng = np.random.default_rng(0)
    index = rng.uniform(0.0, 9.0, SHAPE).astype(np.float32)
    known = rng.random(SHAPE) < 0.3
    guide = rng.integers(0, 256, (*SHAPE, 3) if colour else SHAPE, dtype=np.uint8)
    before = index.copy(), known.copy(), guide.copy()
    filled = fill_holes(index, known, guide)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[known], index[known])
    assert np.isfinite(filled).all()
    # A membrane has its highest and lowest points where it is held.
    assert filled.min() >= index[known].min() - 1e-4
    assert filled.max() <= index[known].max() + 1e-4
    for array, copy in zip((index, known, guide), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_what_is_not_known_has_no_influence() -> None:
    known = with_hole(np.s_[20:40], np.s_[30:70])
    garbage = plane()
    garbage[~known] = 1e6
    holes = plane()
    holes[~known] = np.nan
    np.testing.assert_array_equal(
        fill_holes(garbage, known, plain_guide()), fill_holes(holes, known, plain_guide())
    )
    np.testing.assert_array_equal(
        fill_holes(holes, np.ones(SHAPE, np.bool_), plain_guide()),
        fill_holes(holes, known, plain_guide()),
    )


@pytest.mark.parametrize("side", [3, 12, 40])
def test_a_plane_is_continued_as_a_plane(side: int) -> None:
    known = with_hole(np.s_[10 : 10 + side], np.s_[25 : 25 + side])
    filled = fill_holes(plane(), known, plain_guide())
    across = 0.05 * side + 0.02 * side
    assert np.abs(filled - plane()).max() < 0.12 * across


def test_a_large_hole_is_filled_without_a_step() -> None:
    known = np.zeros(SHAPE, np.bool_)
    known[:, 0] = known[:, -1] = True
    index = np.zeros(SHAPE, np.float32)
    index[:, -1] = 8.9
    filled = fill_holes(index, known, plain_guide())
    assert np.abs(np.diff(filled, axis=0)).max() < 0.02
    assert 0.0 <= np.diff(filled, axis=1).min()
    assert np.diff(filled, axis=1).max() < 0.3


def test_two_surfaces_meet_at_the_edge_of_the_guide() -> None:
    index = np.full(SHAPE, 1.0, np.float32)
    index[:, 45:] = 7.0
    guide = plain_guide((*SHAPE, 3))
    guide[:, 45:, 1] = 200
    known = with_hole(np.s_[15:45], np.s_[30:60])
    filled = fill_holes(index, known, guide)
    assert np.abs(filled - index).max() < 0.2 * 6.0
    blind = fill_holes(index, known, plain_guide())
    assert np.abs(blind - index).mean() > 3 * np.abs(filled - index).mean()


def test_what_edges_enclose_still_gets_a_value() -> None:
    guide = plain_guide()
    guide[20:40, 30:60] = 255
    known = with_hole(np.s_[20:40], np.s_[30:60])
    index = np.full(SHAPE, 3.5, np.float32)
    np.testing.assert_allclose(fill_holes(index, known, guide), 3.5, atol=1e-4)


def test_one_known_pixel_speaks_for_all() -> None:
    known = np.zeros(SHAPE, np.bool_)
    known[50, 80] = True
    index = np.full(SHAPE, 2.25, np.float32)
    np.testing.assert_allclose(fill_holes(index, known, plain_guide()), 2.25, atol=1e-5)


def test_nothing_known_stays_unknown() -> None:
    nothing = np.zeros(SHAPE, np.bool_)
    assert np.isnan(fill_holes(plane(), nothing, plain_guide())).all()
    unknown = np.full(SHAPE, np.nan, np.float32)
    assert np.isnan(fill_holes(unknown, ~nothing, plain_guide())).all()


def test_without_holes_nothing_changes() -> None:
    np.testing.assert_array_equal(
        fill_holes(plane(), np.ones(SHAPE, np.bool_), plain_guide()), plane()
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (5, 3)])
def test_the_smallest_images(shape: tuple[int, int]) -> None:
    index = np.full(shape, 4.5, np.float32)
    known = np.zeros(shape, np.bool_)
    known[-1, -1] = True
    np.testing.assert_allclose(fill_holes(index, known, plain_guide(shape)), 4.5, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.0, -2.0, float("nan"), float("inf")])
def test_refuses_a_sigma_that_is_none(sigma: float) -> None:
    with pytest.raises(OptionError, match=f"guide_sigma={sigma} is not above 0 and finite"):
        fill_holes(plane(), with_hole(np.s_[:3], np.s_[:3]), plain_guide(), guide_sigma=sigma)


def test_refuses_what_does_not_fit_together() -> None:
    known = with_hole(np.s_[:3], np.s_[:3])
    for positions, mask, guide in (
        (plane()[1:], known, plain_guide()),
        (plane(), known[:, 1:], plain_guide()),
        (plane(), known, plain_guide()[1:]),
    ):
        with pytest.raises(BackendError, match="do not fit together"):
            fill_holes(positions, mask, guide)
