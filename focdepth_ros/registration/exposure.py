"""Exposure and white balance of a slice against another."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.registration.motion import Matrix, resampled
from focdepth_ros.registration.view import View, view_from_slice
from focdepth_ros.stack import FloatImage, ImageArray

_MIN_CELLS = 16
_MIN_LIGHT = 16.0**2  # of the level 16; below, a ratio says little
_MAX_GAIN = 4.0
_MATCHED = 0.01  # a smaller difference is left
_SUPPORT = 0.75  # share of the parts that must show a change, each at least half of it
_NEARLY_WHITE = 224  # level from which on a gain below 1 passes into none


def exposure_gains(anchor: View, view: View, matrix: Matrix) -> NDArray[np.float64]:
    """By what the colours of a slice are to be multiplied to be those of another.

    The medians of the ratios in small parts of the image, of the evenest half of them: blur moves
    light about, which shows where there are edges. A change of exposure is one that nearly all
    of these parts show; what bright things lend to their surroundings out of focus is not.

    Parameters
    ----------
    anchor, view : View
    matrix : (3, 3) float64
        From pixels of `anchor` to those of `view`.

    Returns
    -------
    (3,) or (1,) float64
        Per channel; 1 where they hardly differ, or too little is well exposed in both.
    """
    shape = anchor.light.shape[:2]
    scale = view_from_slice(view.size, shape)
    into_view = scale @ matrix @ np.linalg.inv(scale)
    moved = np.asarray(resampled(view.light, into_view, outside=float("nan")), dtype=np.float32)
    target, source = (light.reshape(*shape, -1) for light in (anchor.light, moved))
    nothing = np.ones(target.shape[2])
    usable = np.all((target >= _MIN_LIGHT) & (source >= _MIN_LIGHT), axis=2)  # NaN is neither
    if np.count_nonzero(usable) < _MIN_CELLS:
        return nothing
    uneven = np.maximum(_unevenness(target), _unevenness(source))
    usable &= uneven <= np.median(uneven[usable])
    ratios = 0.5 * np.log(target[usable] / source[usable])
    change = np.median(ratios, axis=0)
    if not np.any(np.abs(change) > _MATCHED):
        return nothing
    support = np.mean(ratios @ change >= 0.5 * np.sum(change * change))
    if support < _SUPPORT:
        return nothing
    gains = np.clip(np.exp(change), 1.0 / _MAX_GAIN, _MAX_GAIN)
    return np.asarray(gains, dtype=np.float64)


def with_gains(image: ImageArray, gains: NDArray[np.float64]) -> ImageArray:
    """Multiply the colours of an image, but leave white what is.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8
    gains : (3,) or (1,) float64
    """
    levels = np.arange(256.0)[:, np.newaxis]
    whiteness = np.clip((levels - _NEARLY_WHITE) / (255.0 - _NEARLY_WHITE), 0.0, 1.0)
    whiteness *= whiteness * (3.0 - 2.0 * whiteness)
    table = np.where(gains < 1.0, levels * (gains + (1.0 - gains) * whiteness), levels * gains)
    table = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[np.newaxis]), dtype=np.uint8)


def _unevenness(light: FloatImage) -> FloatImage:
    """Variance of the brightness around each part, on a logarithmic scale, (n, m)."""
    brightness = np.log(np.nan_to_num(light).mean(axis=2) + 1.0)
    mean = cv2.blur(brightness, (3, 3))
    return np.asarray(cv2.blur(brightness * brightness, (3, 3)) - mean * mean, dtype=np.float32)
