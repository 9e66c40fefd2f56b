"""Thin-lens optics: how large the blur of a point is, and where to focus a sweep."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focdepth_ros.errors import CalibrationError, OptionError
from focdepth_ros.stack import Lens


def circle_of_confusion(lens: Lens, depth: ArrayLike, focus_distance: float) -> NDArray[np.float64]:
    """Diameter in pixels of the disc into which a point is blurred.

    ``c = f² / (N (1 - f d_f)) · |1/Z - d_f| / pitch`` with ``d_f = 1 / Z_f``, which is the
    textbook ``D · |Z - Z_f| / Z · f / (Z_f - f)`` written so that infinity needs no special case.

    Parameters
    ----------
    lens : Lens
    depth : array_like
        Distances Z of the points from the lens in metres; +inf allowed.
    focus_distance : float
        Distance Z_f of the plane in focus in metres; +inf allowed.

    Returns
    -------
    array of float64, shape of `depth`

    Raises
    ------
    CalibrationError
        If the focus distance is not beyond the focal length.

    References
    ----------
    Pentland, "A New Sense for Depth of Field", IEEE TPAMI 9(4), 1987, eq. 4.
    """
    if not focus_distance > lens.focal_length:
        raise CalibrationError(
            f"focus distance {focus_distance} m is not beyond the focal length "
            f"{lens.focal_length} m; no real image forms there"
        )
    focus = 1.0 / focus_distance
    with np.errstate(divide="ignore"):
        defocus = np.abs(1.0 / np.asarray(depth, dtype=np.float64) - focus)
    scale = lens.focal_length**2 / (lens.f_number * (1.0 - lens.focal_length * focus))
    return np.asarray(scale * defocus / lens.pixel_pitch)


def sweep_distances(near: float, far: float, count: int) -> NDArray[np.float64]:
    """Focus distances of a sweep, spaced uniformly in dioptres.

    Blur grows linearly with the difference of dioptres, so these are the steps of equal blur.

    Parameters
    ----------
    near, far : float
        First and last focus distance in metres; `far` may be +inf.
    count : int
        Number of slices, at least 2.

    Returns
    -------
    (count,) float64
        Metres, rising; the first and the last are exactly `near` and `far`.

    Raises
    ------
    OptionError
        If the distances are not ``0 < near < far`` or `count` is below 2.
    """
    if not (math.isfinite(near) and 0.0 < near < far):  # NaN fails this comparison too
        raise OptionError(f"focus sweep from {near} m to {far} m; give 0 < near < far, near finite")
    if count < 2:
        raise OptionError(f"a focus sweep of {count} slices; give at least 2")
    with np.errstate(divide="ignore"):
        distances = 1.0 / np.linspace(1.0 / near, 1.0 / far, count)
    distances[[0, -1]] = near, far
    return distances
