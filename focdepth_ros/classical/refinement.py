"""Sub-slice positions and the way back to the full pixel grid."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage


def refine_peak(
    log_energy: NDArray[np.float32],
    labels: NDArray[np.integer[Any]],
    positions: NDArray[np.float64],
) -> tuple[FloatImage, FloatImage]:
    """Fit a parabola through the log focus measure at a label and its two neighbours.

    The log of a Gaussian focus curve is a parabola, so its vertex is the curve's maximum. The
    fit is done in dioptres, in which the curve is symmetric, also where slices are not evenly
    spaced. At the first and last slice the parabola of the three outermost slices is used.

    Parameters
    ----------
    log_energy : (N, h, w) float32
    labels : (h, w) int
        Slice at, or next to, which each pixel is sharpest.
    positions : (N,) float64
        Dioptres of the slices, or slice numbers of a relative sweep.

    Returns
    -------
    slice_index : (h, w) float32
        Position of the vertex in the stack, in [0, N - 1] and within half a slice of the label.
    overshoot : (h, w) float32
        By how many slices the vertex lies outside of the sweep; 0 inside. Where it is large
        the pixel was never in focus, and all that is known is on which side of the sweep it is.
        It is inf where the curve rises ever more steeply towards the end of the sweep, as it
        does far from its maximum.

    References
    ----------
    Nayar, Nakagawa, "Shape from Focus", IEEE TPAMI 16(8), 1994, section 5.
    """
    count = len(positions)
    chosen = labels.astype(np.intp)
    if count < 3:
        return chosen.astype(np.float32), np.zeros(labels.shape, np.float32)
    middle = np.clip(chosen, 1, count - 2)
    below, centre, above = (
        np.take_along_axis(log_energy, (middle + step)[np.newaxis], axis=0)[0]
        for step in (-1, 0, 1)
    )
    # Divided differences, since positions need not be evenly spaced.
    steps = np.diff(positions).astype(np.float32)
    step_below, step_above = steps[middle - 1], steps[middle]
    slope_below = (centre - below) / step_below
    slope_above = (above - centre) / step_above
    span = step_below + step_above
    second = (slope_above - slope_below) / span
    slope = (slope_below * step_above + slope_above * step_below) / span
    peaked = second < 0
    offset = np.divide(-0.5 * slope, second, out=np.zeros_like(slope), where=peaked)
    # From dioptres to slices, by the step on the side on which the vertex lies.
    offset /= np.where(offset * step_above >= 0, step_above, step_below)
    vertex = np.where(peaked, middle + offset, chosen)
    first, last = chosen == 0, chosen == count - 1
    overshoot = np.maximum(np.maximum(-vertex, vertex - (count - 1)), 0)
    rising = (first & (below > centre)) | (last & (above > centre))
    overshoot = np.where(rising & ~peaked, np.inf, overshoot)
    nearby = np.clip(vertex, chosen - 0.5, chosen + 0.5)
    return (
        np.clip(nearby, 0, count - 1).astype(np.float32),
        np.where(first | last, overshoot, 0).astype(np.float32),
    )


def smooth_surfaces(slice_index: FloatImage) -> FloatImage:
    """Even out the noise of single positions on surfaces, and keep the steps between them.

    A bilateral filter whose range is under one slice.

    Parameters
    ----------
    slice_index : (h, w) float32

    Returns
    -------
    (h, w) float32

    References
    ----------
    Tomasi, Manduchi, "Bilateral Filtering for Gray and Color Images", ICCV 1998.
    """
    return np.asarray(
        cv2.bilateralFilter(slice_index, d=9, sigmaColor=0.7, sigmaSpace=4.0), dtype=np.float32
    )


def enlarge(slice_index: FloatImage, size: tuple[int, int]) -> FloatImage:
    """Bring slice positions to a finer grid without inventing depth between surfaces.

    Bilinear on surfaces; where neighbours are more than a slice apart, there is an edge and
    the nearest value is taken.

    Parameters
    ----------
    slice_index : (h, w) float32
    size : (H, W)

    Returns
    -------
    (H, W) float32
    """
    if slice_index.shape == size:
        return slice_index
    target = (size[1], size[0])
    around = np.ones((3, 3), dtype=np.uint8)
    edge = cv2.dilate(slice_index, around) - cv2.erode(slice_index, around) > 1.0
    at_edge = cv2.resize(edge.view(np.uint8), target, interpolation=cv2.INTER_NEAREST_EXACT)
    enlarged = cv2.resize(slice_index, target, interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(slice_index, target, interpolation=cv2.INTER_NEAREST_EXACT)
    cv2.copyTo(nearest, at_edge, enlarged)
    return np.asarray(enlarged, dtype=np.float32)
