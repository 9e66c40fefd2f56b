"""Between the codes of images and the light in which depth from defocus works."""

from __future__ import annotations

import numpy as np

from focdepth_ros.colour import linear_from_srgb, srgb_from_linear
from focdepth_ros.stack import FloatImage, ImageArray


def light_of(image: ImageArray, linear_light: bool) -> FloatImage:
    """Light in [0, 1], in which blur is linear, of an image.

    Parameters
    ----------
    image : (H, W, C) or (H, W) uint8
    linear_light : bool
        Whether the codes are sRGB, so that the curve is undone (`DefocusConfig.linear_light`).

    Returns
    -------
    (H, W, C) float32
        C is 1 for an image without channels.
    """
    pixels = image if image.ndim == 3 else image[..., None]
    if linear_light:
        return linear_from_srgb(pixels)
    return pixels.astype(np.float32) / np.float32(255.0)


def codes_of(light: FloatImage, linear_light: bool) -> ImageArray:
    """The reverse of `light_of`: uint8 of the same shape; what is outside [0, 1] is clipped."""
    if linear_light:
        return srgb_from_linear(light)
    return np.asarray(np.rint(255.0 * np.clip(light, 0.0, 1.0)), np.uint8)
