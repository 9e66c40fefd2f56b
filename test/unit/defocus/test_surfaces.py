from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.classical.graph_cut import MAX_LABELS, library_missing_because
from focdepth_ros.defocus.surfaces import LABELS_PER_SWEEP, candidate_dioptres, cut_surfaces

pytestmark = pytest.mark.skipif(
    library_missing_because() is not None, reason="the compiled library is missing"
)

SIZE = (32, 40)
SWEEP = 2.0
CANDIDATES = candidate_dioptres(0.5, 2.5, SWEEP)
EVEN = np.full(SIZE, 128, np.uint8)


def errors_of(
    dioptre: float | NDArray[np.float64], strength: float | NDArray[np.float64] = 1.0
) -> NDArray[np.float32]:
    """Parabolas with their least value, 0.01, at a dioptre."""
    away = CANDIDATES[:, None, None] - np.broadcast_to(dioptre, SIZE)
    return np.asarray(0.01 + strength * away**2, np.float32)


def cut(
    errors: NDArray[np.float32], guide: NDArray[np.uint8] = EVEN, smoothness: float = 2.0
) -> NDArray[np.float32]:
    return cut_surfaces(errors.copy(), CANDIDATES, guide, sweep=SWEEP, smoothness=smoothness)


def test_candidates_cover_the_range_as_finely_as_the_sweep_asks() -> None:
    assert len(CANDIDATES) == LABELS_PER_SWEEP + 1
    assert (CANDIDATES[0], CANDIDATES[-1]) == (0.5, 2.5)
    assert len(candidate_dioptres(0.0, 100.0, 0.1)) == MAX_LABELS
    assert len(candidate_dioptres(0.5, 0.51, 2.0)) == 3


def test_depth_lies_between_the_candidates() -> None:
    for dioptre in (1.234, 1.25, 1.27):
        np.testing.assert_allclose(cut(errors_of(dioptre)), dioptre, atol=0.004)


def test_rounding_below_zero_spoils_nothing() -> None:
    errors = errors_of(1.234) - np.float32(0.01)  # as of a stack without noise
    errors[np.abs(errors) < 1e-3] -= np.float32(1e-3)
    np.testing.assert_allclose(cut(errors), 1.234, atol=0.06)


def test_depth_reaches_the_ends_of_the_range_and_no_further() -> None:
    ends = np.where(np.arange(SIZE[1]) < 20, -1.0, 9.0)
    expected = np.broadcast_to(np.clip(ends, CANDIDATES[0], CANDIDATES[-1]), SIZE)
    np.testing.assert_allclose(cut(errors_of(ends)), expected, atol=1e-6)


def test_single_pixels_that_stand_out_follow_their_neighbours() -> None:
    dioptre = np.full(SIZE, 1.0)
    dioptre[8::8, 8::8] = 2.2
    errors = errors_of(dioptre, np.where(dioptre == 1.0, 1.0, 0.02))
    assert np.abs(cut(errors, smoothness=0.0) - dioptre).max() < 0.02
    np.testing.assert_allclose(cut(errors), 1.0, atol=0.03)


def test_what_has_no_texture_takes_the_depth_of_what_looks_like_it() -> None:
    """Between two surfaces the border is where the picture has one."""
    columns = np.broadcast_to(np.arange(SIZE[1]), SIZE)
    dioptre = np.where(columns < 12, 1.0, 2.0)
    open_there = (columns >= 8) & (columns < 32)
    errors = errors_of(dioptre, np.where(open_there, 1e-7, 1.0))
    for border in (14, 26):
        guide = np.where(columns < border, 60, 180).astype(np.uint8)
        expected = np.where(columns < border, 1.0, 2.0)
        np.testing.assert_allclose(cut(errors, guide), expected, atol=0.05)


def test_a_step_between_surfaces_stays() -> None:
    dioptre = np.where(np.arange(SIZE[1]) < 20, 0.8, 2.1)
    np.testing.assert_allclose(cut(errors_of(dioptre)), np.broadcast_to(dioptre, SIZE), atol=0.01)


def test_what_counts_is_the_share_of_the_error() -> None:
    """A model that explains little, or much contrast, has no more say."""
    rng = np.random.default_rng(2)
    errors = errors_of(1.5 + 0.2 * rng.standard_normal(SIZE))
    np.testing.assert_allclose(cut(errors), cut(np.float32(1000.0) * errors), atol=1e-3)


def test_without_any_error() -> None:
    assert np.isfinite(cut(np.zeros((len(CANDIDATES), *SIZE), np.float32))).all()
