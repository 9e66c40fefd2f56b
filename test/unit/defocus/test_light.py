from __future__ import annotations

import numpy as np
import pytest

from focdepth_ros.defocus.light import codes_of, light_of

CODES = np.arange(256, dtype=np.uint8).reshape(8, 32)


@pytest.mark.parametrize("linear_light", [True, False])
def test_codes_of_light_of_codes(linear_light: bool) -> None:
    light = light_of(CODES, linear_light)
    assert light.shape == (8, 32, 1)
    assert light.dtype == np.float32
    assert (light.min(), light.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(codes_of(light, linear_light)[..., 0], CODES)


def test_only_srgb_is_a_curve() -> None:
    grey = np.full((1, 1, 3), 128, np.uint8)
    np.testing.assert_allclose(light_of(grey, linear_light=False), 128.0 / 255.0, rtol=1e-6)
    # IEC 61966-2-1: ((c + 0.055) / 1.055) ^ 2.4
    expected = ((128.0 / 255.0 + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(light_of(grey, linear_light=True), expected, rtol=1e-4)


@pytest.mark.parametrize("linear_light", [True, False])
def test_light_outside_of_the_codes_is_clipped(linear_light: bool) -> None:
    light = np.array([[[-0.5], [1.5]]], np.float32)
    np.testing.assert_array_equal(codes_of(light, linear_light)[0, :, 0], [0, 255])
