"""The all-in-focus image takes every pixel from the slices next to its position."""

from __future__ import annotations

import numpy as np
import pytest

from focdepth_ros.classical.all_in_focus import (
    blend_all_in_focus,
    sample_all_in_focus,
    sharpest_positions,
)
from focdepth_ros.errors import OptionError
from focdepth_ros.stack import ImageArray


def images(count: int, shape: tuple[int, ...]) -> list[ImageArray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("count", [2, 7, 300])
def test_every_pixel_comes_from_its_slice(count: int) -> None:
    stack = images(count, (6, 9, 3))
    index = np.random.default_rng(1).uniform(0, count - 1, (6, 9)).astype(np.float32)
    picture = sample_all_in_focus(stack, index)
    rows, columns = np.indices((6, 9))
    np.testing.assert_array_equal(
        picture, np.stack(stack)[np.rint(index).astype(int), rows, columns]
    )


def test_mono_slices_give_a_grey_rgb_image() -> None:
    stack = images(3, (6, 9))
    picture = sample_all_in_focus(stack, np.full((6, 9), 1.6, np.float32))
    assert picture.shape == (6, 9, 3)
    for channel in range(3):
        np.testing.assert_array_equal(picture[..., channel], stack[2])


def test_the_slices_are_left_as_they_are() -> None:
    stack = images(3, (6, 9, 3))
    before = [image.copy() for image in stack]
    picture = sample_all_in_focus(stack, np.zeros((6, 9), np.float32))
    picture[:] = 0
    for image, copy in zip(stack, before, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_views_of_other_arrays_are_fine() -> None:
    whole = images(3, (6, 9, 3))
    views = [image[::-1, :, ::-1] for image in whole]
    index = np.tile(np.array([0, 1, 2], np.float32), (6, 3))
    expected = sample_all_in_focus([np.ascontiguousarray(view) for view in views], index)
    np.testing.assert_array_equal(sample_all_in_focus(views, index), expected)


def test_a_pixel_out_of_view_comes_from_the_nearest_slice_that_shows_it() -> None:
    stack = images(5, (2, 4, 3))
    index = np.full((2, 4), 1.9, np.float32)
    masks = [np.ones((2, 4), np.bool_) for _ in stack]
    masks[2][:, 1:] = False
    masks[1][:, 2:] = False
    masks[3][:, 3] = masks[0][:, 3] = masks[4][:, 3] = False  # shown nowhere
    expected = np.stack([stack[2][:, 0], stack[1][:, 1], stack[3][:, 2], stack[2][:, 3]], axis=1)
    np.testing.assert_array_equal(sample_all_in_focus(stack, index, masks), expected)
    np.testing.assert_array_equal(
        sample_all_in_focus(stack, index, [None, *masks[1:4], None])[:, :3], expected[:, :3]
    )


def test_blending_takes_no_share_of_a_slice_that_does_not_show_the_pixel() -> None:
    stack = images(5, (3, 4, 3))
    index = np.full((3, 4), 2.4, np.float32)
    masks = [np.ones((3, 4), np.bool_) for _ in stack]
    masks[3][:, 1] = False
    masks[2][:, 2] = masks[3][:, 2] = False
    picture = blend_all_in_focus(stack, index, masks, transition_sigma=0.0)
    mixed = 0.6 * stack[2].astype(np.float64) + 0.4 * stack[3]
    np.testing.assert_allclose(picture[:, [0, 3]], mixed[:, [0, 3]], atol=0.51)
    np.testing.assert_array_equal(picture[:, 1], stack[2][:, 1])
    np.testing.assert_array_equal(picture[:, 2], stack[1][:, 2])


@pytest.mark.parametrize("shape", [(12, 9), (12, 9, 3)])
@pytest.mark.parametrize("count", [2, 7, 300])
def test_blending_weighs_the_two_slices_by_their_distance(
    count: int, shape: tuple[int, ...]
) -> None:
    stack = images(count, shape)
    index = np.random.default_rng(1).uniform(0, count - 1, (12, 9)).astype(np.float32)
    index[0], index[1] = 0, count - 1
    picture = blend_all_in_focus(stack, index, transition_sigma=0.0)
    rows, columns = np.indices((12, 9))
    below = np.minimum(np.floor(index).astype(int), count - 2)
    volume = np.stack(stack).astype(np.float64)
    if len(shape) == 2:
        volume = np.repeat(volume[..., np.newaxis], 3, axis=-1)
    share = (index - below)[..., np.newaxis]
    expected = (1 - share) * volume[below, rows, columns] + share * volume[below + 1, rows, columns]
    assert picture.dtype == np.uint8
    np.testing.assert_allclose(picture, expected, atol=0.52)


def test_blending_makes_a_transition_only_where_positions_jump() -> None:
    stack = [np.full((9, 40), 20 * k, np.uint8) for k in range(6)]
    index = np.full((9, 40), 1.0, np.float32)
    index[:, 20:] = 4.0
    row = blend_all_in_focus(stack, index, transition_sigma=1.0)[4, :, 0]
    np.testing.assert_array_equal(row[:16], 20)
    np.testing.assert_array_equal(row[24:], 80)
    assert np.diff(row[16:25].astype(int)).min() >= 0
    assert np.diff(row[16:25].astype(int)).max() < 30


def test_the_sharpest_slice_of_every_pixel_without_what_stands_alone() -> None:
    truth = np.zeros((30, 40), np.intp)
    truth[:, 20:] = 3
    energy = np.full((5, 30, 40), 1.0, np.float32)
    np.put_along_axis(energy, truth[np.newaxis], 2.0, axis=0)
    energy[4, 10, 10] = 9.0
    plain = sharpest_positions(energy, sharpness_sigma=0.0, depth_kernel=1)
    assert plain.dtype == np.float32
    assert plain[10, 10] == 4.0
    plain[10, 10] = 0.0
    np.testing.assert_array_equal(plain, truth)
    np.testing.assert_array_equal(
        sharpest_positions(energy, sharpness_sigma=0.0, depth_kernel=3), truth
    )


def test_sharpness_is_averaged_over_neighbours() -> None:
    rng = np.random.default_rng(2)
    energy = rng.uniform(0.0, 1.0, (4, 60, 60)).astype(np.float32)
    energy[2] += 0.2
    alone = sharpest_positions(energy, sharpness_sigma=0.0, depth_kernel=1)
    together = sharpest_positions(energy, sharpness_sigma=4.0, depth_kernel=1)
    assert np.mean(alone == 2.0) < 0.5
    assert np.mean(together == 2.0) > 0.95


def test_more_slices_than_a_byte_can_count() -> None:
    energy = np.zeros((300, 6, 8), np.float32)
    energy[290] = 1.0
    np.testing.assert_array_equal(
        sharpest_positions(energy, sharpness_sigma=0.0, depth_kernel=5), 290.0
    )
    with pytest.raises(OptionError, match="above 5 for 300 slices"):
        sharpest_positions(energy, depth_kernel=7)


@pytest.mark.parametrize("kernel", [-1, 0, 4, 257])
def test_refuses_a_kernel_that_has_no_middle(kernel: int) -> None:
    with pytest.raises(OptionError, match=f"depth_kernel={kernel} px is not an odd number"):
        sharpest_positions(np.zeros((3, 4, 4), np.float32), depth_kernel=kernel)


@pytest.mark.parametrize("sigma", [-1.0, 101.0, float("nan")])
def test_refuses_a_sigma_out_of_range(sigma: float) -> None:
    with pytest.raises(OptionError, match=f"sharpness_sigma={sigma} px"):
        sharpest_positions(np.zeros((3, 4, 4), np.float32), sharpness_sigma=sigma)
    with pytest.raises(OptionError, match=f"transition_sigma={sigma} px"):
        blend_all_in_focus(images(2, (3, 4)), np.zeros((3, 4), np.float32), transition_sigma=sigma)
