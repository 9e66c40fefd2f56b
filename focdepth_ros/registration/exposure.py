"""Exposure and white balance of a slice against another."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.registration.motion import Matrix, resampled
from focdepth_ros.registration.view import View, view_from_slice
from focdepth_ros.stack import ImageArray

_MIN_CELLS = 16
_MIN_LIGHT = 16.0**2  # of the level 16; below, a ratio says little
_MAX_GAIN = 4.0
_MATCHED = 0.01  # a smaller difference is left


def exposure_gains(anchor: View, view: View, matrix: Matrix) -> NDArray[np.float64]:
    """By what the colours of a slice are to be multiplied to be those of another.

    The medians of the ratios in small parts of the image: blur moves light about inside a part,
    and the few at whose border there is a strong edge do not count.

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
    moved = resampled(view.light, into_view, outside=float("nan"))
    target, source = (light.reshape(shape[0] * shape[1], -1) for light in (anchor.light, moved))
    usable = np.all((target >= _MIN_LIGHT) & (source >= _MIN_LIGHT), axis=1)  # NaN is neither
    if np.count_nonzero(usable) < _MIN_CELLS:
        return np.ones(target.shape[1])
    ratios = np.sqrt(target[usable] / source[usable])
    gains = np.median(ratios, axis=0)
    # What the median of as many values as widely spread is uncertain by.
    error = 1.86 * np.median(np.abs(ratios - gains), axis=0) / math.sqrt(len(ratios))
    if np.all(np.abs(gains - 1.0) <= np.maximum(_MATCHED, 3.0 * error)):
        return np.ones(target.shape[1])
    return np.asarray(np.clip(gains, 1.0 / _MAX_GAIN, _MAX_GAIN), dtype=np.float64)


def with_gains(image: ImageArray, gains: NDArray[np.float64]) -> ImageArray:
    """Multiply the colours of an image.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8
    gains : (3,) or (1,) float64
    """
    levels = np.arange(256)[:, np.newaxis] * gains
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[np.newaxis]), dtype=np.uint8)
