"""Guided upsampling: steps go to the edges of the image, surfaces as they are."""

from __future__ import annotations

import numpy as np
import pytest

from focdepth_ros.classical.guided_upsampling import upsample_guided
from focdepth_ros.classical.refinement import enlarge
from focdepth_ros.errors import OptionError
from focdepth_ros.stack import FloatImage, ImageArray


def two_colours(boundary: FloatImage, shape: tuple[int, int]) -> tuple[FloatImage, ImageArray]:
    """Fine positions that step from 1.5 to 6 at a column per row, and their picture with noise."""
    left = np.arange(shape[1]) < boundary[:, np.newaxis]
    noise = np.random.default_rng(0).normal(0.0, 4.0, (*shape, 3))
    colours = np.where(left[..., np.newaxis], (60, 90, 60), (110, 60, 140)) + noise
    truth = np.where(left, np.float32(1.5), np.float32(6.0))
    return truth, np.clip(colours, 0, 255).astype(np.uint8)


def coarse(truth: FloatImage, factor: int) -> FloatImage:
    return np.ascontiguousarray(truth[factor // 2 :: factor, factor // 2 :: factor])


def test_a_slanted_step_follows_the_edge_of_the_image() -> None:
    boundary = np.linspace(30.0, 50.0, 60, dtype=np.float32)
    truth, guide = two_colours(boundary, (60, 80))
    plain = enlarge(coarse(truth, 2), (60, 80))
    guided = upsample_guided(coarse(truth, 2), guide)
    assert guided.dtype == np.float32
    wrong = np.count_nonzero(np.abs(guided - truth) > 0.1)
    assert wrong < 0.2 * np.count_nonzero(np.abs(plain - truth) > 0.1)


def test_a_step_that_is_off_by_one_coarse_pixel_is_put_right() -> None:
    truth, guide = two_colours(np.full(40, 31.0, np.float32), (40, 64))
    shifted = np.roll(truth, 2, axis=1)
    shifted[:, :2] = 1.5
    guided = upsample_guided(coarse(shifted, 2), guide, radius=4)
    np.testing.assert_allclose(guided[4:-4], truth[4:-4], atol=0.02)


def test_a_surface_stays_as_it_is_enlarged_whatever_is_painted_on_it() -> None:
    slope = np.tile(np.linspace(0.0, 4.0, 32, dtype=np.float32), (20, 1))
    guide = np.random.default_rng(1).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(upsample_guided(slope, guide, radius=1), enlarge(slope, (40, 64)))


@pytest.mark.parametrize("size", [(9, 11), (20, 23), (1, 5)])
def test_sizes_that_are_no_multiple(size: tuple[int, int]) -> None:
    small = np.full((-(-size[0] // 2), -(-size[1] // 2)), 2.5, np.float32)
    guided = upsample_guided(small, np.zeros(size, np.uint8))
    np.testing.assert_array_equal(guided, np.full(size, 2.5, np.float32))


def test_an_option_out_of_range_is_named() -> None:
    small, guide = np.zeros((3, 4), np.float32), np.zeros((6, 8), np.uint8)
    with pytest.raises(OptionError, match="guide_sigma=0"):
        upsample_guided(small, guide, guide_sigma=0.0)
    with pytest.raises(OptionError, match="radius=-3"):
        upsample_guided(small, guide, radius=-3)
