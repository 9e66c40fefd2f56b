from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.defocus.post_processing import remove_outliers, total_variation
from focdepth_ros.errors import OptionError

MODES = ["keep", "mean", "unknown"]


def plane() -> NDArray[np.float32]:
    rows, columns = np.mgrid[:40, :50].astype(np.float32)
    return np.asarray(0.5 + 0.002 * columns + 0.001 * rows, np.float32)


def noisy_patch() -> tuple[NDArray[np.float32], tuple[slice, slice]]:
    dioptre = plane()
    where = np.s_[14:24, 20:32]
    dioptre[where] = np.random.default_rng(0).uniform(0.0, 2.0, (10, 12))
    return dioptre, where


def test_total_variation_is_that_of_a_window_over_its_pixels() -> None:
    values = np.random.default_rng(1).uniform(0, 1, (20, 25)).astype(np.float32)
    window = values[5:13, 9:17].astype(np.float64)  # one more, for the differences of the last
    across, down = np.abs(np.diff(window[:7], axis=1)), np.abs(np.diff(window[:, :7], axis=0))
    assert total_variation(values)[8, 12] == pytest.approx(across.mean() + down.mean(), rel=1e-5)


def test_total_variation_of_a_plane_is_its_slope_up_to_the_border_and_around_holes() -> None:
    dioptre = plane()
    dioptre[10:20, 30:33] = np.nan
    variation = total_variation(dioptre)
    known = np.isfinite(dioptre)
    np.testing.assert_allclose(variation[known], 0.003, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1)])
def test_maps_of_one_row_or_column(shape: tuple[int, int]) -> None:
    assert not total_variation(np.full(shape, 0.3, np.float32)).any()
    cleaned, replaced = remove_outliers(np.full(shape, 0.3, np.float32), 0.0, "mean")
    np.testing.assert_array_equal(cleaned, np.float32(0.3))
    assert not replaced.any()


@pytest.mark.parametrize("mode", MODES)
def test_a_smooth_surface_stays_as_it_is(mode: str) -> None:
    cleaned, replaced = remove_outliers(plane(), 0.01, mode)
    np.testing.assert_array_equal(cleaned, plane())
    assert not replaced.any()


def test_a_noisy_patch_becomes_unknown() -> None:
    dioptre, where = noisy_patch()
    before = dioptre.copy()
    cleaned, replaced = remove_outliers(dioptre, 0.2)
    np.testing.assert_array_equal(dioptre, before)
    assert replaced[where].all()
    np.testing.assert_array_equal(np.isnan(cleaned), replaced)
    np.testing.assert_array_equal(cleaned[~replaced], dioptre[~replaced])
    assert replaced.sum() < 2.5 * 120  # with a rim of half a window


def test_a_noisy_patch_is_filled_from_around_it() -> None:
    dioptre, where = noisy_patch()
    cleaned, replaced = remove_outliers(dioptre, 0.2, "mean")
    assert replaced[where].all()
    np.testing.assert_allclose(cleaned, plane(), atol=0.02)
    np.testing.assert_array_equal(cleaned[~replaced], dioptre[~replaced])


def test_keep_changes_nothing() -> None:
    dioptre, _ = noisy_patch()
    cleaned, replaced = remove_outliers(dioptre, 0.2, "keep")
    np.testing.assert_array_equal(cleaned, dioptre)
    assert not replaced.any()


@pytest.mark.parametrize("mode", MODES)
def test_what_was_unknown_before_stays_unknown_and_is_no_outlier(mode: str) -> None:
    dioptre, _ = noisy_patch()
    dioptre[:5] = np.nan
    cleaned, replaced = remove_outliers(dioptre, 0.2, mode)
    assert np.isnan(cleaned[:5]).all()
    assert not replaced[:5].any()
    if mode == "mean":
        assert np.isfinite(cleaned[5:]).all()


def test_an_edge_between_two_surfaces_counts_a_seventh_of_its_height() -> None:
    dioptre = np.full((30, 30), 0.5, np.float32)
    dioptre[:, 15:] = 1.2
    assert total_variation(dioptre).max() == pytest.approx(0.1, rel=1e-4)
    assert not remove_outliers(dioptre, 0.11)[1].any()


def test_a_diagonal_edge_counts_at_most_two_sevenths_of_its_height() -> None:
    rows, columns = np.mgrid[:30, :30]
    dioptre = np.where(columns > rows, 1.2, 0.5).astype(np.float32)
    inside = np.s_[4:-4, 4:-4]  # the window is smaller at the border
    assert 0.1 < total_variation(dioptre)[inside].max() <= 0.2
    assert not remove_outliers(dioptre, 0.2)[1][inside].any()


def test_a_wide_hole_is_filled_smoothly_between_its_rims() -> None:
    width = 400
    expected = np.linspace(0.2, 1.0, width, dtype=np.float32)[None].repeat(60, 0)
    dioptre = expected.copy()
    dioptre[:, 50:350] = np.random.default_rng(0).uniform(0.0, 5.0, (60, 300))
    cleaned, replaced = remove_outliers(dioptre, 0.5, "mean")
    assert replaced[:, 60:340].all()
    assert cleaned.min() >= 0.19
    assert cleaned.max() <= 1.01
    assert np.diff(cleaned.mean(axis=0)).min() > -0.02  # from the one level to the other
    assert cleaned[:, 199:201].mean() == pytest.approx(0.6, abs=0.15)


def test_where_everything_is_noise_nothing_is_known() -> None:
    noise = np.random.default_rng(2).uniform(0.0, 2.0, (30, 40)).astype(np.float32)
    for mode in ("mean", "unknown"):
        cleaned, replaced = remove_outliers(noise, 0.01, mode)
        assert replaced.all()
        assert np.isnan(cleaned).all()


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_a_threshold_that_makes_no_sense_is_refused(threshold: float) -> None:
    with pytest.raises(OptionError, match="threshold of outliers is"):
        remove_outliers(plane(), threshold)


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OptionError, match="mode 'median' of outliers is not known; use keep, mean"):
        remove_outliers(plane(), 0.1, "median")
