"""The all-in-focus image takes every pixel from the slice nearest to its position."""

from __future__ import annotations

import numpy as np
import pytest

from focdepth_ros.classical.all_in_focus import sample_all_in_focus
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
