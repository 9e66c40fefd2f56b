"""Depth that stands out from its neighbours: found, and replaced or marked as not known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import OptionError
from focdepth_ros.stack import FloatImage

_WINDOW = 7  # px, side of the squares over which variation is averaged, as in the paper
_RIMS = 4  # closed one after the other before what is left is closed on a coarser grid
_MODES = ("keep", "mean", "unknown")


def remove_outliers(
    dioptre: FloatImage, threshold: float, mode: str = "unknown"
) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Replace depth where it varies too much from pixel to pixel.

    Without texture every depth explains a pixel about as well, and what is found there is noise.
    A single edge between surfaces counts a seventh of its height, or two if it runs diagonally;
    more at the border of the map, where the window is smaller.

    Parameters
    ----------
    dioptre : (H, W) float32
        Inverse depth in 1/m; NaN where not known.
    threshold : float
        Of `total_variation` in 1/m, >= 0; what is above is an outlier.
    mode : {"unknown", "mean", "keep"}
        NaN; the mean of the neighbours that are known and no outliers, from the rim inwards (NaN
        where there are none at all); or leave everything as it is.

    Returns
    -------
    dioptre : (H, W) float32
    replaced : (H, W) bool
        What are outliers; nothing with `keep`.

    Raises
    ------
    OptionError
        If the threshold is negative or NaN, or the mode not known.
    """
    if mode not in _MODES:
        raise OptionError(f"mode '{mode}' of outliers is not known; use {', '.join(_MODES)}")
    if not threshold >= 0.0:  # NaN fails this comparison too
        raise OptionError(f"threshold of outliers is {threshold}; give 0 or more")
    if mode == "keep":
        return dioptre, np.zeros(dioptre.shape, np.bool_)
    known = np.isfinite(dioptre)
    replaced = known & (total_variation(dioptre) > threshold)
    cleaned = np.where(replaced, np.float32(np.nan), dioptre)
    if mode == "mean":
        cleaned = _filled(cleaned, replaced)
    return cleaned, replaced


def total_variation(dioptre: FloatImage) -> FloatImage:
    """Total variation around each pixel, divided by the number of pixels.

    Parameters
    ----------
    dioptre : (H, W) float32
        NaN where not known: differences to such pixels do not count.

    Returns
    -------
    (H, W) float32
        ``mean |u_right - u| + mean |u_below - u|`` over a square of 7 x 7 pixels, in the unit of
        the map; 0 where nothing is known around.
    """
    variation = np.zeros(dioptre.shape, np.float32)
    for axis in (0, 1):
        difference = np.abs(np.diff(dioptre, axis=axis))
        if difference.size:  # not of an image one pixel wide or high
            rim = [(0, 1), (0, 0)] if axis == 0 else [(0, 0), (0, 1)]
            known = np.pad(np.isfinite(difference), rim).astype(np.float32)
            total = _window_sum(np.pad(np.nan_to_num(difference, nan=0.0), rim))
            variation += total / np.maximum(_window_sum(known), 1.0)
    return variation


def _filled(values: FloatImage, holes: NDArray[np.bool_]) -> FloatImage:
    """Holes closed from the rim inwards, each pixel by the mean of those known in its window.

    What is far from everything known is taken from a grid half as fine, closed the same way, so
    that wide holes take no longer than many small ones.
    """
    filled, holes = values.copy(), holes.copy()
    for _ in range(_RIMS):
        known = np.isfinite(filled)
        count = _window_sum(known.astype(np.float32))
        reached = holes & (count > 0.5)
        total = _window_sum(np.where(known, filled, np.float32(0.0)))
        filled[reached] = total[reached] / count[reached]
        holes &= ~reached
        if not holes.any():
            return filled
    height, width = values.shape
    if max(height, width) > _WINDOW:
        coarse = _halved(filled)
        coarse = _filled(coarse, np.isnan(coarse))
        filled[holes] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)[holes]
    return filled


def _halved(values: FloatImage) -> FloatImage:
    """Means of what is known of every 2 x 2 pixels, NaN where nothing is."""
    size = (-(-values.shape[1] // 2), -(-values.shape[0] // 2))
    known = np.isfinite(values)
    share, part = (
        np.asarray(cv2.resize(layer, size, interpolation=cv2.INTER_AREA), np.float32).reshape(
            size[::-1]
        )
        for layer in (known.astype(np.float32), np.where(known, values, np.float32(0.0)))
    )
    return np.divide(part, share, out=np.full_like(share, np.nan), where=share > 0.0)


def _window_sum(values: FloatImage) -> FloatImage:
    size = (_WINDOW, _WINDOW)
    total = cv2.boxFilter(values, cv2.CV_32F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(total, np.float32)
