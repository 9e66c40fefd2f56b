"""Where the focus of a camera with a whole-numbered focus control goes in a sweep."""

from __future__ import annotations

import numpy as np

from focdepth_ros.errors import OptionError
from focdepth_ros.lens_map import LensMap


def positions_by_dioptres(
    lens_map: LensMap, *, near: float, far: float, count: int
) -> tuple[float, ...]:
    """Positions of a sweep from near to far, even in dioptres as far as whole numbers allow.

    Parameters
    ----------
    lens_map : LensMap
    near, far : float
        Focus distances in metres; what is beyond the lens map is cut off, so 0 and inf stand for
        all of it.
    count : int
        At least 2; fewer positions come back where they would be the same.

    Raises
    ------
    OptionError
        If the lens map has fewer than two positions between them.
    """
    least, greatest = min(lens_map.dioptres), max(lens_map.dioptres)
    with np.errstate(divide="ignore"):
        nearest, farthest = np.minimum(np.float64(1.0) / np.array([near, far]), greatest)
    farthest = max(farthest, least)
    if not nearest > farthest:
        with np.errstate(divide="ignore"):
            reach = 1.0 / np.array([greatest, least])
        raise OptionError(
            f"near is {near} m and far {far} m, the lens map reaches from {reach[0]:.3g} m to "
            f"{reach[1]:.3g} m; choose near and far within it, near smaller than far"
        )
    exact = lens_map.to_positions(np.linspace(nearest, farthest, count))
    return _whole(exact, lens_map.range)


def positions_by_range(least: float, greatest: float, count: int) -> tuple[float, ...]:
    """Positions of a sweep, even in the unit of the focus control.

    They go from the greatest to the least: for most cameras that is from near to far.
    """
    return _whole(np.linspace(greatest, least, count), (least, greatest))


def _whole(exact: np.ndarray, limits: tuple[float, float]) -> tuple[float, ...]:
    """Whole numbers within the limits, each once, in the order given."""
    least, greatest = np.ceil(limits[0]), np.floor(limits[1])
    whole = np.clip(np.rint(exact), least, greatest)
    positions = tuple(dict.fromkeys(float(value) for value in whole))
    if len(positions) < 2:
        raise OptionError(
            f"between {limits[0]:g} and {limits[1]:g} there are no two whole focus positions; "
            "give a larger range"
        )
    return positions
