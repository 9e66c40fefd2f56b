"""How dioptres may go with the lens position: curves through points, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from focdepth_ros.calibration.focus_peak import Values
from focdepth_ros.errors import CalibrationError

#: Positions and dioptres (N,) of points in; dioptres at positions out, NaN where it ends.
Model = Callable[[Values, Values], Callable[[Values], Values]]


def linear(positions: Values, dioptres: Values) -> Callable[[Values], Values]:
    """A straight line by least squares; it goes on beyond the points."""
    middle = positions.mean()
    slope, level = np.polyfit(positions - middle, dioptres, 1)
    if slope == 0.0:
        raise CalibrationError("the sharpest position does not go with the distance at all")
    return lambda at: np.asarray(level + slope * (at - middle))


def piecewise(positions: Values, dioptres: Values) -> Callable[[Values], Values]:
    """Linear from point to point."""
    x, y = monotonic_points(positions, dioptres)
    return lambda at: np.interp(at, x, y, left=np.nan, right=np.nan)


def smooth(positions: Values, dioptres: Values) -> Callable[[Values], Values]:
    """A monotone cubic from point to point (Fritsch, Carlson, SIAM J. Numer. Anal. 17(2), 1980)."""
    x, y = monotonic_points(positions, dioptres)
    if len(x) < 3:
        return piecewise(positions, dioptres)
    step, slopes = np.diff(x), np.diff(y) / np.diff(x)
    weight = (step[:-1] + 2.0 * step[1:]) / (3.0 * (step[:-1] + step[1:]))
    inner = slopes[:-1] * slopes[1:] / ((1.0 - weight) * slopes[:-1] + weight * slopes[1:])
    ends = [
        _end_slope(step[0], step[1], slopes[0], slopes[1]),
        _end_slope(step[-1], step[-2], slopes[-1], slopes[-2]),
    ]
    tangents = np.concatenate([ends[:1], inner, ends[1:]])

    def evaluate(at: Values) -> Values:
        i = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(step) - 1)
        t = (at - x[i]) / step[i]
        value = (
            y[i] * (1 + 2 * t) * (1 - t) ** 2
            + tangents[i] * step[i] * t * (1 - t) ** 2
            + y[i + 1] * t**2 * (3 - 2 * t)
            + tangents[i + 1] * step[i] * t**2 * (t - 1)
        )
        return np.where((at >= x[0]) & (at <= x[-1]), value, np.nan)

    return evaluate


def monotonic_points(positions: Values, dioptres: Values) -> tuple[Values, Values]:
    """Points that only rise or only fall; those that go the other way are averaged.

    Pool-adjacent-violators, in order of the distances, which are better known than the peaks.
    """
    order = np.argsort(dioptres, kind="stable")
    x, y = positions[order], dioptres[order]
    direction = 1.0 if np.polyfit(y, x, 1)[0] >= 0.0 else -1.0
    blocks: list[list[float]] = []  # sum of positions, sum of dioptres, number
    for position, dioptre in zip(direction * x, y, strict=True):
        blocks.append([position, dioptre, 1.0])
        while len(blocks) > 1 and _is_out_of_order(blocks[-2], blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    sums = np.array(blocks)
    if len(sums) < 2:
        raise CalibrationError(
            "the sharpest position does not go one way with the distance of the target; were "
            "distances mixed up?"
        )
    x, y = direction * sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]
    return (x, y) if direction > 0 else (x[::-1], y[::-1])


def _end_slope(near: float, next_: float, slope: float, next_slope: float) -> float:
    """Of the parabola through the last three points, kept monotonic."""
    tangent = ((2.0 * near + next_) * slope - near * next_slope) / (near + next_)
    if tangent * slope <= 0.0:
        return 0.0
    return tangent if abs(tangent) <= 3.0 * abs(slope) else 3.0 * slope


def _is_out_of_order(before: list[float], after: list[float]) -> bool:
    same_distance = before[1] / before[2] == after[1] / after[2]
    return same_distance or before[0] / before[2] >= after[0] / after[2]


MODELS: dict[str, Model] = {"linear": linear, "piecewise": piecewise, "smooth": smooth}
