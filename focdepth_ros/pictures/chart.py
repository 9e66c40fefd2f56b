"""Charts of points and curves as pictures, drawn by OpenCV: no other library is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import ImageArray

Colour = tuple[int, int, int]

BLUE: Colour = (31, 95, 180)
RED: Colour = (200, 40, 40)
GREEN: Colour = (42, 157, 92)
GREY: Colour = (150, 150, 150)
#: For series side by side.
COLOURS: tuple[Colour, ...] = (
    BLUE,
    RED,
    GREEN,
    (148, 103, 196),
    (199, 125, 10),
    (107, 122, 144),
    (20, 170, 190),
    (215, 90, 160),
)

_INK: Colour = (30, 30, 30)
_GRID: Colour = (228, 228, 228)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WIDTH, _HEIGHT = 900, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 24, 40, 56
_LEGEND_LINE, _LEGEND_SIZE = 18, 0.42
_LEGEND_WIDTH = 150  # the same for all, so that charts one below the other are in line
_FRACTION_BITS = 4  # of the coordinates that OpenCV draws at


@dataclass(frozen=True, eq=False)
class Series:
    """What is drawn in one colour.

    Parameters
    ----------
    x, y : (N,) float64
        NaN breaks a line.
    colour : Colour
    line : bool
        A line through the points, or else a dot for each.
    label : str
        ASCII, for the legend; empty for none.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    colour: Colour = BLUE
    line: bool = True
    label: str = ""


def chart(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    *,
    x_limits: tuple[float, float] | None = None,
    log_y: bool = False,
) -> ImageArray:
    """Draw series into one chart.

    Parameters
    ----------
    title, x_label, y_label : str
        ASCII.
    series : sequence of Series
        Later ones are drawn over earlier ones.
    x_limits : (float, float), optional
        What the x axis covers, with a little room; all there is by default.
    log_y : bool
        Whether y is drawn by its logarithm; what is not above 0 is left out then.

    Returns
    -------
    (340, 900, 3) uint8 RGB
    """
    picture = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    if log_y:
        series = [replace(one, y=_log10(one.y)) for one in series]
    x_range = _range_of([one.x for one in series] if x_limits is None else [np.array(x_limits)])
    y_range = _range_of([one.y for one in series])
    right = _WIDTH - _RIGHT - (_LEGEND_WIDTH if any(one.label for one in series) else 0)
    for value in _ticks(*x_range):
        place = _place(value, x_range, (_LEFT, right))
        _line(picture, (place, _TOP), (place, _HEIGHT - _BOTTOM), _GRID)
        _text(picture, f"{value:g}", (place, _HEIGHT - _BOTTOM + 18), centred=True)
    for value, label in _log_ticks(*y_range) if log_y else _plain_ticks(*y_range):
        place = _place(value, y_range, (_HEIGHT - _BOTTOM, _TOP))
        is_zero = value == 0 and not log_y
        _line(picture, (_LEFT, place), (right, place), _INK if is_zero else _GRID)
        _text(picture, label, (_LEFT - 8, place + 5), right=True)
    for one in series:
        _draw(picture, one, x_range, y_range, right)
    cv2.rectangle(picture, (_LEFT, _TOP), (right, _HEIGHT - _BOTTOM), _INK, 1)
    _text(picture, title, (_LEFT, 24), size=0.55)
    _text(picture, x_label, ((_LEFT + right) / 2, _HEIGHT - 14), centred=True)
    _text(picture, y_label, (right - 8, 24), right=True)
    _draw_legend(picture, series, right)
    return picture


def _draw_legend(picture: ImageArray, series: Sequence[Series], right: int) -> None:
    """Names of the series beside the chart."""
    for number, one in enumerate(one for one in series if one.label):
        x, y = right + 12, _TOP + 14 + _LEGEND_LINE * number
        cv2.line(picture, (x, y - 4), (x + 18, y - 4), one.colour, 3)
        _text(picture, one.label, (x + 26, y), size=_LEGEND_SIZE)


def _draw(
    picture: ImageArray,
    one: Series,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    right: int,
) -> None:
    x = _place(one.x, x_range, (_LEFT, right))
    y = _place(one.y, y_range, (_HEIGHT - _BOTTOM, _TOP))
    known = np.isfinite(x) & np.isfinite(y)
    points = np.round(np.stack([x, y], axis=1)[known] * (1 << _FRACTION_BITS)).astype(np.int32)
    runs = np.split(points, np.flatnonzero(np.diff(np.flatnonzero(known)) > 1) + 1)
    if one.line:
        lines = [run.reshape(-1, 1, 2) for run in runs if len(run) > 1]
        cv2.polylines(picture, lines, False, one.colour, 2, cv2.LINE_AA, _FRACTION_BITS)
    # A point alone makes no line, and would not be seen.
    dots = [run for run in runs if len(run) == 1] if one.line else [points]
    radius = 4 << _FRACTION_BITS
    for px, py in (point for run in dots for point in run.tolist()):
        cv2.circle(picture, (px, py), radius, one.colour, -1, cv2.LINE_AA, _FRACTION_BITS)


def _range_of(values: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Least and greatest finite value, with a little room."""
    joined = np.concatenate([np.asarray(one, np.float64).ravel() for one in values])
    finite = joined[np.isfinite(joined)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """Round values in a range, about six of them."""
    rough = (high - low) / 6.0
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * decade for factor in (1.0, 2.0, 5.0, 10.0) if factor * decade >= rough)
    first = math.ceil(low / step)
    return [round(i * step, 12) for i in range(first, math.floor(high / step) + 1)]


def _plain_ticks(low: float, high: float) -> list[tuple[float, str]]:
    return [(value, f"{value:g}") for value in _ticks(low, high)]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Logarithms of round values in a range of logarithms, and the values as texts."""
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [
            (math.log10(digit) + decade, f"{digit:g}e{decade}")
            for decade in range(math.floor(low), math.ceil(high) + 1)
            for digit in digits
            if low <= math.log10(digit) + decade <= high
        ]
        if len(ticks) >= 3:
            return ticks
    # In a narrow range a logarithm is nearly straight.
    values = _ticks(10.0**low, 10.0**high)
    return [(math.log10(value), f"{value:g}") for value in values if value > 0.0]


def _log10(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log10(np.where(values > 0.0, values, np.nan))


def _place(value: float | NDArray[np.float64], range_: tuple[float, float], ends: tuple[int, int]):  # type: ignore[no-untyped-def]
    return ends[0] + (value - range_[0]) / (range_[1] - range_[0]) * (ends[1] - ends[0])


def _line(
    picture: ImageArray, start: tuple[float, float], end: tuple[float, float], colour: Colour
) -> None:
    whole = [(round(x), round(y)) for x, y in (start, end)]
    cv2.line(picture, whole[0], whole[1], colour, 1)


def _text(
    picture: ImageArray,
    text: str,
    origin: tuple[float, float],
    *,
    centred: bool = False,
    right: bool = False,
    size: float = 0.45,
) -> None:
    (width, _), _ = cv2.getTextSize(text, _FONT, size, 1)
    shift = width / 2 if centred else width if right else 0
    place = (round(origin[0] - shift), round(origin[1]))
    cv2.putText(picture, text, place, _FONT, size, _INK, 1, cv2.LINE_AA)
