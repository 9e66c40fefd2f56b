"""The focus measure: larger where sharper, and the same whatever an image is stored as."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from synthetic_sweeps import blurred, texture

from focdepth_ros.classical.focus_measure import grey_image, laplacian_of_gaussian_energy
from focdepth_ros.stack import FloatImage, ImageArray


def measure(image: ImageArray, reduction: int = 1) -> FloatImage:
    return laplacian_of_gaussian_energy(image, sigma=1.0, window_sigma=3.0, reduction=reduction)


def test_falls_everywhere_with_every_step_of_blur() -> None:
    sharp = texture()
    steps = [measure(blurred(sharp, sigma)) for sigma in (0.0, 1.0, 2.0, 4.0)]
    for sharper, softer in pairwise(steps):
        assert np.all(sharper > softer)


def test_tells_which_part_of_an_image_is_sharp() -> None:
    image = blurred(texture(), 2.0)
    image[:, 32:] = texture()[:, 32:]
    energy = measure(image)
    assert energy[:, 42:].min() > energy[:, :22].max()


def test_grows_with_the_square_of_the_contrast() -> None:
    image = texture(mono=True) // 4
    np.testing.assert_allclose(measure(image * 3), 9.0 * measure(image), rtol=1e-3)


def test_does_not_depend_on_brightness() -> None:
    image = texture(mono=True) // 2
    np.testing.assert_allclose(measure(image + 100), measure(image), rtol=1e-3)


@pytest.mark.parametrize("level", [0, 100, 255])
def test_is_zero_without_texture(level: int) -> None:
    energy = measure(np.full((20, 30, 3), level, np.uint8))
    np.testing.assert_allclose(energy, 0.0, atol=1e-6)


def test_mono_equals_grey_rgb() -> None:
    mono = texture(mono=True)
    grey = np.repeat(mono[..., np.newaxis], 3, axis=2)
    np.testing.assert_array_equal(measure(grey), measure(mono))


def test_grey_is_the_luma_of_rgb() -> None:
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_array_equal(grey_image(primaries), [[76, 150, 29]])


def test_grey_of_mono_is_not_copied() -> None:
    mono = texture(mono=True)
    assert grey_image(mono) is mono


def test_the_image_is_left_as_it_is() -> None:
    image = texture()
    before = image.copy()
    measure(image)
    np.testing.assert_array_equal(image, before)


def test_a_coarser_grid_keeps_the_values() -> None:
    image = texture((120, 160))
    whole = cv2.resize(measure(image), (80, 60), interpolation=cv2.INTER_AREA)
    coarse = measure(image, reduction=2)
    np.testing.assert_allclose(coarse.mean(), whole.mean(), rtol=0.02)
    inside = np.s_[5:-5, 5:-5]  # at the border the windows see different reflections
    np.testing.assert_allclose(coarse[inside], whole[inside], rtol=0.1)


@pytest.mark.parametrize(
    ("size", "reduction", "expected"),
    [((7, 9), 2, (4, 5)), ((8, 10), 2, (4, 5)), ((7, 9), 4, (2, 3)), ((1, 1), 2, (1, 1))],
)
def test_a_coarser_grid_covers_the_whole_image(
    size: tuple[int, int], reduction: int, expected: tuple[int, int]
) -> None:
    energy = measure(texture(size), reduction)
    assert energy.shape == expected
    assert energy.dtype == np.float32
