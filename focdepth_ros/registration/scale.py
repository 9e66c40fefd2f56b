"""Focus breathing from a calibration: the image grows and shrinks as the focus moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import AlignmentError, OptionError
from focdepth_ros.lens.lens_map import read_lens_map
from focdepth_ros.registration.motion import Matrix
from focdepth_ros.stack import Slice


def magnification(
    item: Slice, *, per_dioptre: float, table: tuple[tuple[float, float], ...]
) -> float:
    """Image scale at a focus setting, up to a factor common to all.

    Of a thin lens the image distance is ``f / (1 - f d)`` at the dioptre d, and the scale goes
    with it, so that for all usual distances it is linear: ``1 + f d``.

    Parameters
    ----------
    item : Slice
    per_dioptre : float
        Growth of the image per dioptre of focus, in metres; f of a thin lens.
    table : tuple of (lens position, magnification)
        Used in its place where not empty; linear in between, constant beyond.

    Raises
    ------
    AlignmentError
        If the slice lacks the focus distance, or the lens position, that is needed.
    """
    if table:
        if item.lens_position is None or not np.isfinite(item.lens_position):
            raise AlignmentError(
                f"the slice has lens position {item.lens_position}; alignment by a table of "
                "lens positions needs one"
            )
        known, scales = np.array(sorted(table)).T
        return float(np.interp(item.lens_position, known, scales))
    if item.focus_distance is None:
        raise AlignmentError(
            "the slice has no focus distance; alignment by scale needs metres, or a table of "
            "lens positions"
        )
    scale = 1.0 + per_dioptre * item.dioptre
    if not scale > 0.0:
        raise AlignmentError(
            f"at {item.focus_distance} m a growth of {per_dioptre} per dioptre gives the image "
            f"scale {scale:.3g}; it must be above 0"
        )
    return scale


def magnification_table(path: str) -> tuple[tuple[float, float], ...]:
    """Lens positions and the magnification at each, from a lens map.

    Raises
    ------
    CalibrationError
        If the file is no lens map.
    OptionError
        If it has no magnification.
    """
    lens_map = read_lens_map(path)
    if lens_map.magnification is None:
        raise OptionError(
            f"lens map '{path}' has no magnification; run `focdepth calibrate breathing` first"
        )
    return tuple(zip(lens_map.positions, lens_map.magnification, strict=True))


def scaling(factor: float, centre: tuple[float, float]) -> Matrix:
    """Scaling about a point (x, y), (3, 3)."""
    point: NDArray[np.float64] = np.asarray(centre, dtype=np.float64)
    matrix = np.diag([factor, factor, 1.0])
    matrix[:2, 2] = (1.0 - factor) * point
    return matrix
