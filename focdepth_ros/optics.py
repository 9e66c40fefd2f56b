"""Thin-lens optics: how large the blur of a point is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focdepth_ros.errors import CalibrationError
from focdepth_ros.stack import Lens


def circle_of_confusion(
    lens: Lens, depth: ArrayLike, focus_distance: float
) -> NDArray[np.float64]:
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
