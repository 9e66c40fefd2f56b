"""From sharpest lens positions at known distances to a lens map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.calibration.focus_peak import FocusPeak, Values, find_peak
from focdepth_ros.calibration.lens_models import MODELS, Model, monotonic_points
from focdepth_ros.calibration.target_folders import TargetSweep
from focdepth_ros.errors import CalibrationError, OptionError
from focdepth_ros.lens.lens_map import LensMap

#: One of `MODELS`, or ``auto``: that which predicts targets that are left out best.
FitModel = Literal["auto", "linear", "piecewise", "smooth"]

_ROUNDS = 20  # of peaks and map, each by the other
_CONVERGED = 1e-4  # of the range of positions
_LEAST_OUTLIER = 0.02  # of the range of dioptres
_OUTLIER_DEVIATIONS = 4.0
_ENOUGH_FOR_OUTLIERS, _ENOUGH_FOR_CUBICS = 6, 8
_ENOUGH_TO_CHOOSE = 5
_SUBDIVISIONS = 6  # points of a smooth map per interval between targets


@dataclass(frozen=True)
class TargetPoint:
    """A target, and the lens position at which it is sharpest."""

    name: str
    distance: float
    peak: FocusPeak

    @property
    def dioptre(self) -> float:
        """Inverse of the distance, 1/m."""
        return 1.0 / self.distance


@dataclass(frozen=True)
class LensFit:
    """A lens map and how well it fits.

    Parameters
    ----------
    lens_map : LensMap
    model : str
        That was used.
    points : tuple of TargetPoint
        By position.
    errors : tuple of float
        Of each: what a map made without it says of its peak, less the truth, in dioptres. NaN
        where such a map does not reach it. Of outliers what the map says.
    outliers : tuple of bool
        Which are left out of the map.
    """

    lens_map: LensMap
    model: str
    points: tuple[TargetPoint, ...]
    errors: tuple[float, ...]
    outliers: tuple[bool, ...]

    @property
    def rms_error(self) -> float:
        """Of the points that are no outliers, dioptres; NaN if no error is known."""
        kept = [e for e, out in zip(self.errors, self.outliers, strict=True) if not out]
        known = np.array(kept)[np.isfinite(kept)]
        return float(np.sqrt(np.mean(np.square(known)))) if known.size else float("nan")


def find_points(
    sweeps: Sequence[TargetSweep],
) -> tuple[tuple[TargetPoint, ...], dict[str, str]]:
    """The sharpest lens position of each target.

    Curves are even in dioptres, not in positions. So peaks are found first in positions, then in
    dioptres by a parabola through these peaks, and so on until they stay.

    Returns
    -------
    points : tuple of TargetPoint
        By position.
    left_out : dict
        By name, why a target gives none.
    """
    left_out: dict[str, str] = {}
    found = _peaks(sweeps, None, left_out)
    for _ in range(_ROUNDS):
        positions = np.array([peak.position for _, peak in found])
        dioptres = np.array([sweep.dioptre for sweep, _ in found])
        if len(np.unique(positions)) < 3:
            break
        kept = ~find_outliers(positions, dioptres)
        dioptre_like = _parabola(positions[kept], dioptres[kept])
        if not all(_is_monotonic(dioptre_like(sweep.curve.positions)) for sweep, _ in found):
            break
        found = _peaks([sweep for sweep, _ in found], dioptre_like, left_out)
        moved = np.array([peak.position for _, peak in found])
        if len(moved) == len(positions) and np.abs(moved - positions).max() < (
            _CONVERGED * np.ptp(positions)
        ):
            break
    points = [TargetPoint(sweep.name, sweep.distance, peak) for sweep, peak in found]
    return tuple(sorted(points, key=lambda point: point.peak.position)), left_out


def fit_lens(
    points: Sequence[TargetPoint],
    *,
    model: FitModel = "auto",
    unit: str = "raw",
    sweep_range: tuple[float, float] | None = None,
) -> LensFit:
    """A lens map through the peaks of targets.

    Parameters
    ----------
    points : sequence of TargetPoint
        By position.
    model : FitModel
    unit : str
        Of the positions.
    sweep_range : (float, float), optional
        Least and greatest position to which a ``linear`` map is continued; the others end at
        the outermost targets, since beyond them nothing was measured.

    Raises
    ------
    CalibrationError
        If there are too few targets, or they do not go the same way as the positions.
    OptionError
        If there is no such model.
    """
    if model not in get_args(FitModel):
        raise OptionError(f"model is '{model}'; it must be one of {', '.join(get_args(FitModel))}")
    positions = np.array([point.peak.position for point in points])
    dioptres = np.array([point.dioptre for point in points])
    if len(np.unique(positions)) < 2 or len(np.unique(dioptres)) < 2:
        raise CalibrationError(
            f"{len(points)} usable targets at {len(np.unique(dioptres))} distances; a lens map "
            "needs at least 2, and 5 or more to be sure of it"
        )
    outliers = find_outliers(positions, dioptres)
    kept_positions, kept_dioptres = positions[~outliers], dioptres[~outliers]
    if model == "auto":
        model = _best_model(kept_positions, kept_dioptres)
    x, y = _knots(model, kept_positions, kept_dioptres, sweep_range)
    lens_map = LensMap(_rounded(x), _rounded(y), unit)
    errors = np.array(lens_map.to_dioptres(positions) - dioptres)
    errors[~outliers] = _errors_left_out(MODELS[model], kept_positions, kept_dioptres)
    return LensFit(lens_map, model, tuple(points), tuple(errors.tolist()), tuple(outliers.tolist()))


def find_outliers(positions: Values, dioptres: Values) -> NDArray[np.bool_]:
    """Which points do not go with the others.

    Of all parabolas through three of them (of 8 or more points: cubics through four) that with
    the least median of deviations is taken; what is far off it is an outlier. With fewer than 6
    points none is, since there is no telling which.

    Parameters
    ----------
    positions, dioptres : (N,) float64

    Returns
    -------
    (N,) bool

    References
    ----------
    Rousseeuw, "Least Median of Squares Regression", JASA 79(388), 1984.
    """
    count = len(positions)
    if count < _ENOUGH_FOR_OUTLIERS or np.ptp(positions) == 0.0:
        return np.zeros(count, bool)
    x = (positions - positions.min()) / np.ptp(positions)
    terms = 3 if count < _ENOUGH_FOR_CUBICS else 4
    powers = x[:, np.newaxis] ** np.arange(terms)
    least, deviations = np.inf, np.zeros(count)
    for chosen in map(list, combinations(range(count), terms)):
        if len(np.unique(np.round(x[chosen], 6))) < terms:
            continue
        off = np.abs(powers @ np.linalg.solve(powers[chosen], dioptres[chosen]) - dioptres)
        # Those that it goes through are 0, so the median is that of the others.
        median = float(np.sort(off)[terms + (count - terms - 1) // 2])
        if median < least:
            least, deviations = median, off
    limit = max(_OUTLIER_DEVIATIONS * 1.4826 * least, _LEAST_OUTLIER * float(np.ptp(dioptres)))
    outliers = deviations > limit
    return outliers if outliers.sum() <= (count - terms) // 2 else np.zeros(count, bool)


def _peaks(
    sweeps: Sequence[TargetSweep],
    dioptre_like: Callable[[Values], Values] | None,
    left_out: dict[str, str],
) -> list[tuple[TargetSweep, FocusPeak]]:
    found = []
    for sweep in sweeps:
        try:
            found.append((sweep, find_peak(sweep.curve, dioptre_like)))
        except CalibrationError as error:
            left_out[sweep.name] = str(error)
    return found


def _parabola(positions: Values, dioptres: Values) -> Callable[[Values], Values]:
    degree = min(2, len(np.unique(positions)) - 1)
    middle, scale = float(positions.mean()), float(np.ptp(positions)) or 1.0
    fit = np.polynomial.polynomial.polyfit((positions - middle) / scale, dioptres, degree)
    return lambda at: np.asarray(
        np.polynomial.polynomial.polyval((at - middle) / scale, fit), np.float64
    )


def _is_monotonic(values: Values) -> bool:
    steps = np.diff(values)
    return bool(np.all(steps > 0.0) or np.all(steps < 0.0))


def _best_model(positions: Values, dioptres: Values) -> FitModel:
    """That with the least errors at targets left out; the simpler one where it makes no odds."""
    if len(positions) < _ENOUGH_TO_CHOOSE:
        return "smooth"
    costs: dict[FitModel, float] = {}
    for model in ("linear", "piecewise", "smooth"):
        # The outermost are predicted by the linear model only, so they do not count.
        errors = _errors_left_out(MODELS[model], positions, dioptres)[1:-1]
        costs[model] = float(np.sqrt(np.nanmean(np.square(errors))))
    best = min(costs.values())
    return next(model for model, cost in costs.items() if cost <= 1.1 * best)


def _errors_left_out(fit: Model, positions: Values, dioptres: Values) -> Values:
    """What each model without one point says of it, less the truth; NaN beyond its ends."""
    errors = np.full(len(positions), np.nan)
    for i in range(len(positions)):
        rest = np.arange(len(positions)) != i
        if len(np.unique(positions[rest])) < 2 or len(np.unique(dioptres[rest])) < 2:
            continue
        found = fit(positions[rest], dioptres[rest])(positions[i : i + 1])
        errors[i] = float(found[0]) - dioptres[i]
    return errors


def _rounded(values: Values) -> tuple[float, ...]:
    """To seven digits: files are read by people."""
    return tuple(float(f"{value:.7g}") for value in values)


def _knots(
    model: str, positions: Values, dioptres: Values, sweep_range: tuple[float, float] | None
) -> tuple[Values, Values]:
    """Positions and dioptres of the map."""
    fit = MODELS[model](positions, dioptres)
    if model == "linear":
        ends = np.array(sweep_range or (positions.min(), positions.max()))
        at_ends = fit(ends)
        if at_ends.min() < 0.0:  # beyond infinity nothing is focused
            slope = (at_ends[1] - at_ends[0]) / (ends[1] - ends[0])
            ends[np.argmin(at_ends)] = ends[0] - at_ends[0] / slope
        return ends, np.maximum(fit(ends), 0.0)
    x, y = monotonic_points(positions, dioptres)
    if model == "smooth":
        share = np.arange(_SUBDIVISIONS) / _SUBDIVISIONS
        inner = x[:-1, np.newaxis] + np.diff(x)[:, np.newaxis] * share
        x = np.append(inner.ravel(), x[-1])
        y = fit(x)
    return x, y
