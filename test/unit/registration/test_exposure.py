"""Exposure and white balance are matched, and blur is not taken for a change of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from synthetic_motion import SIZE, seen, similarity

from focdepth_ros.registration.exposure import exposure_gains, with_gains
from focdepth_ros.registration.view import view_of
from focdepth_ros.stack import ImageArray


def scaled(image: ImageArray, gains: tuple[float, ...]) -> ImageArray:
    return np.asarray(np.clip(image * np.array(gains), 0, 255), dtype=np.uint8)


@pytest.mark.parametrize("gains", [(0.8, 0.9, 1.1), (1.05, 1.05, 1.05)])
@pytest.mark.parametrize("blur", [0.0, 2.0])
def test_gains_are_found_whatever_the_blur(gains: tuple[float, ...], blur: float) -> None:
    matrix = similarity(1.02, 0.5, (3.0, 2.0))
    darker = scaled(seen(matrix, blur=2.0 + blur), gains)
    found = exposure_gains(view_of(seen(np.eye(3), blur=2.0)), view_of(darker), matrix)
    np.testing.assert_allclose(found, 1.0 / np.array(gains), rtol=0.015)
    restored = with_gains(darker, found)
    unscaled = seen(matrix, blur=2.0 + blur)
    assert np.abs(restored.mean(axis=(0, 1)) - unscaled.mean(axis=(0, 1))).max() < 2.0


def test_of_a_mono_image_there_is_one_gain() -> None:
    image = seen(np.eye(3))[..., 1].copy()
    darker = np.asarray(image * 0.7, dtype=np.uint8)
    found = exposure_gains(view_of(image), view_of(darker), np.eye(3))
    np.testing.assert_allclose(found, [1.0 / 0.7], rtol=0.015)
    assert with_gains(darker, found).shape == image.shape


@pytest.mark.parametrize("blur", [0.0, 1.0, 3.0])
def test_nothing_is_done_where_only_the_focus_differs(blur: float) -> None:
    found = exposure_gains(view_of(seen(np.eye(3))), view_of(seen(np.eye(3), blur=blur)), np.eye(3))
    np.testing.assert_array_equal(found, [1.0, 1.0, 1.0])


def test_saturated_parts_do_not_count() -> None:
    image = seen(np.eye(3))
    brighter = scaled(image, (1.1, 1.1, 1.1))
    image[:, :100], brighter[:, :100] = 255, 255
    found = exposure_gains(view_of(image), view_of(brighter), np.eye(3))
    np.testing.assert_allclose(found, 1.0 / 1.1, rtol=0.02)


@pytest.mark.parametrize("blur", [4.0, 8.0])
def test_light_that_spreads_from_what_is_white_is_no_exposure(blur: float) -> None:
    scene = seen(np.eye(3)).astype(np.float32) ** 2 / 255.0
    scene[::24, ::32] += 5_000.0  # lamps
    scene[:60] += 500.0  # the sky
    sharp, blurred = (
        np.asarray(
            np.clip(np.sqrt(255.0 * cv2.GaussianBlur(scene, (0, 0), sigma)), 0, 255), np.uint8
        )
        for sigma in (1.0, blur)
    )
    assert (sharp > 251).mean() > 0.2
    for one, other in ((sharp, blurred), (blurred, sharp)):
        found = exposure_gains(view_of(one), view_of(other), np.eye(3))
        np.testing.assert_array_equal(found, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("gain", [0.4, 0.8, 0.95, 1.3])
def test_white_stays_white(gain: float) -> None:
    levels = np.arange(256, dtype=np.uint8)[np.newaxis]
    matched = with_gains(levels, np.array([gain]))[0].astype(int)
    assert matched[255] == 255
    assert np.all(np.diff(matched) >= 0)
    np.testing.assert_allclose(matched[:200], np.minimum(levels[0, :200] * gain, 255), atol=0.51)


def test_without_well_exposed_parts_nothing_is_done() -> None:
    dark, white = np.full((*SIZE, 3), 2, np.uint8), np.full((*SIZE, 3), 255, np.uint8)
    found = exposure_gains(view_of(dark), view_of(white), np.eye(3))
    np.testing.assert_array_equal(found, [1.0, 1.0, 1.0])
