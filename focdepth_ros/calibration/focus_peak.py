"""At which lens position an image was sharpest, to a fraction of the steps of the sweep."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.focus_measure import FocusMeasure, grey_image
from focdepth_ros.errors import CalibrationError
from focdepth_ros.stack import ImageArray

Values = NDArray[np.float64]
#: Left and upper edge, width and height of a part of the image, in pixels.
Region = tuple[int, int, int, int]

_MIN_POSITIONS = 5
_LEAST_CONTRAST = 1.3  # of the sharpest over the least sharp image
_NO_FLANK = 0.95  # share of the height below which there is no descent to a side
_TOP = 0.5  # share of the height above which samples are of the peak
_RIVAL = 0.6  # of another peak, from which on it is told
_VAGUE = 0.05  # of the range of positions: a peak that is less certain is none
_ADVICE = (
    "which comes of things at several distances in view, or of a lens that does not move in a part "
    "of the sweep; choose a region, or sweep only where it moves"
)
_SEARCH, _ZOOMS = 81, 3  # places at which the best middle is looked for, each time closer


@dataclass(frozen=True, eq=False)
class FocusCurve:
    """Sharpness against lens position.

    Parameters
    ----------
    positions : (N,) float64
        Rising, distinct.
    sharpness : (N,) float64
        Above 0, of any unit.
    """

    positions: Values
    sharpness: Values


@dataclass(frozen=True)
class FocusPeak:
    """Where a focus curve is highest.

    Parameters
    ----------
    position : float
    uncertainty : float
        Standard deviation of it, as far as the scatter of the curve about its fit tells; NaN
        where it has too few samples for that.
    samples : int
        Number of positions that it was fitted to.
    rival : float or None
        Position of another peak that is nearly as high: something at another distance is seen.
    """

    position: float
    uncertainty: float
    samples: int
    rival: float | None


def sharpness(image: ImageArray, measure: FocusMeasure, region: Region | None = None) -> float:
    """Sharpness of a part of an image, whatever its exposure.

    The mean of the focus measure over the mean grey level squared: where the light changes, both
    change alike.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8
    measure : FocusMeasure
    region : Region, optional
        All of the image by default.

    Raises
    ------
    CalibrationError
        If the region is not within the image, or nothing is seen in it.
    """
    if region is not None:
        x, y, width, height = region
        if min(region) < 0 or x + width > image.shape[1] or y + height > image.shape[0]:
            raise CalibrationError(
                f"region {x},{y},{width},{height} is not within an image of {image.shape[1]}x"
                f"{image.shape[0]} px; give left, top, width and height in pixels"
            )
        image = np.ascontiguousarray(image[y : y + height, x : x + width])
    light = float(grey_image(image).mean())
    energy = float(measure(image, window_sigma=1.0, reduction=min(4, *image.shape[:2])).mean())
    if not (light > 0.0 and energy > 0.0):
        raise CalibrationError("the image is of one colour, so nothing can be sharp in it")
    return energy / light**2


def focus_curve(positions: Values, values: Values) -> FocusCurve:
    """The curve through samples in any order; those at one position are averaged.

    Parameters
    ----------
    positions, values : (N,) float64
    """
    distinct, places = np.unique(positions, return_inverse=True)
    sums = np.bincount(places.ravel(), weights=values)
    return FocusCurve(distinct, sums / np.bincount(places.ravel()))


def find_peak(
    curve: FocusCurve, dioptre_like: Callable[[Values], Values] | None = None
) -> FocusPeak:
    """Fit the peak of a focus curve.

    Blur depends on the difference in dioptres only, so in dioptres the curve is even about its
    peak, whatever its shape. An even polynomial is fitted to the logarithm of the upper part by
    least squares, about every middle there can be, and the best middle is the peak. That stays
    right where one flank is cut off by the end of the sweep.

    Parameters
    ----------
    curve : FocusCurve
    dioptre_like : callable, optional
        Monotonic; positions in, something that is linear in dioptres out. The positions
        themselves by default; where they are not linear in dioptres, the peak found is then
        shifted to the side of its longer flank.

    Raises
    ------
    CalibrationError
        If the curve has too few positions, is flat, or is highest at one of its ends.
    """
    positions, values = curve.positions, curve.sharpness
    if len(positions) < _MIN_POSITIONS:
        raise CalibrationError(
            f"{len(positions)} lens positions; a focus curve needs at least {_MIN_POSITIONS}"
        )
    low, high = float(values.min()), float(values.max())
    if high < _LEAST_CONTRAST * low:
        raise CalibrationError(
            f"the focus curve is flat: the sharpest image is only {100 * (high / low - 1):.0f} % "
            "above the least sharp; use a target with more texture, more light, or a region that "
            "it fills, and see that the focus moves"
        )
    top = int(values.argmax())
    for end, flank in ((0, values[: top + 1]), (-1, values[top:])):
        if flank.min() > _NO_FLANK * high:
            raise CalibrationError(
                f"the sharpest image is at the end of the sweep: towards position "
                f"{positions[end]:g} none is less sharp; sweep farther, or put the target where "
                "the lens can focus"
            )
    first, last = _upper_part(values, low + _TOP * (high - low))
    u = positions if dioptre_like is None else dioptre_like(positions)
    middle, deviation = _best_middle(u[first : last + 1], values[first : last + 1])
    order = np.argsort(u)
    position = float(np.interp(middle, u[order], positions[order]))
    slope = float(np.interp(middle, u[order], np.abs(np.gradient(u, positions))[order]))
    uncertainty = deviation / slope
    if uncertainty > _VAGUE * np.ptp(positions):
        raise CalibrationError(
            f"the focus curve has no clear peak: it is at {position:.4g} ± {uncertainty:.2g}, "
            f"{_ADVICE}"
        )
    outside = np.ones(len(values), bool)
    outside[first : last + 1] = False
    rivals = np.flatnonzero(outside & (values > low + _RIVAL * (high - low)))
    return FocusPeak(
        position=position,
        uncertainty=uncertainty,
        samples=last - first + 1,
        rival=float(positions[rivals[np.argmax(values[rivals])]]) if rivals.size else None,
    )


def _upper_part(values: Values, level: float) -> tuple[int, int]:
    """First and last of the samples about the highest that are above a level; 3 at least."""
    first = last = int(values.argmax())
    while first > 0 and values[first - 1] > level:
        first -= 1
    while last < len(values) - 1 and values[last + 1] > level:
        last += 1
    top = int(values.argmax())
    return min(first, top - 1), max(last, top + 1)


def _best_middle(u: Values, values: Values) -> tuple[float, float]:
    """About which point an even polynomial fits the logarithm best, and its standard deviation."""
    count, span = len(u), float(np.ptp(u))
    terms = 2 if count <= 4 else 3 if count <= 7 else 4
    middles = np.linspace(u.min(), u.max(), _SEARCH)
    for zoom in range(_ZOOMS):
        costs, are_hills = _even_fits(u, values, middles, terms)
        best = int(np.argmin(np.where(are_hills, costs, np.inf)))
        if zoom == 0 and (best in (0, _SEARCH - 1) or not are_hills[best]):
            raise CalibrationError(
                "the focus curve has no clear peak: it is uneven about its highest place, "
                f"{_ADVICE}"
            )
        middle, step = float(middles[best]), float(middles[1] - middles[0])
        middles = np.linspace(middle - step, middle + step, _SEARCH)
    freedom = count - terms - 1
    if freedom < 1:
        return middle, math.nan
    step = 0.02 * span
    around = np.array([middle - step, middle, middle + step])
    (before, here, after), _ = _even_fits(u, values, around, terms)
    bend = (before - 2.0 * here + after) / step**2
    return middle, math.sqrt(2.0 * here / (freedom * bend)) if bend > 0.0 else span


def _even_fits(
    u: Values, values: Values, middles: Values, terms: int
) -> tuple[Values, NDArray[np.bool_]]:
    """Squares left by even polynomials about middles (M,), and which of them are hills there."""
    weights = values / values.max()
    squares = ((u - middles[:, np.newaxis]) / np.ptp(u)) ** 2
    powers = squares[..., np.newaxis] ** np.arange(terms) * weights[:, np.newaxis]
    goal = np.log(values) * weights
    fits = np.linalg.pinv(powers) @ goal
    rest = np.einsum("mnt,mt->mn", powers, fits) - goal
    return np.einsum("mn,mn->m", rest, rest), fits[:, 1] < 0.0
