"""Pictures of a calibration: focus curves, the map, what is left over; and focus breathing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.calibration.breathing import Breathing
from focdepth_ros.calibration.focus_peak import Values
from focdepth_ros.calibration.lens_fit import LensFit
from focdepth_ros.calibration.target_folders import TargetSweep
from focdepth_ros.pictures.chart import BLUE, GREEN, GREY, RED, Series, chart
from focdepth_ros.stack import ImageArray

_CURVE_POINTS = 400


def lens_picture(sweeps: Sequence[TargetSweep], fit: LensFit) -> ImageArray:
    """Focus curves with their peaks, the map through the targets, and the errors of the targets.

    Parameters
    ----------
    sweeps : sequence of TargetSweep
    fit : LensFit

    Returns
    -------
    (H, W, 3) uint8 RGB
    """
    unit = fit.lens_map.unit
    label = f"lens position [{unit}]"
    peaks = np.array([point.peak.position for point in fit.points])
    dioptres = np.array([point.dioptre for point in fit.points])
    out = np.array(fit.outliers)
    curves = [
        Series(sweep.curve.positions, sweep.curve.sharpness / sweep.curve.sharpness.max(), GREY)
        for sweep in sweeps
    ]
    low, high = sorted(fit.lens_map.range)
    positions = np.linspace(low, high, _CURVE_POINTS)
    errors = np.array(fit.errors)
    ends = np.concatenate([sweep.curve.positions for sweep in sweeps])
    limits = float(ends.min()), float(ends.max())
    return np.vstack(
        [
            chart(
                "sharpness of each target",
                label,
                "of its best",
                [
                    replace(curves[0], label="sweep of a target"),
                    *curves[1:],
                    *_targets(peaks, np.ones(len(peaks)), out, "peak"),
                ],
                x_limits=limits,
            ),
            chart(
                f"lens map ({fit.model})",
                label,
                "dioptres [1/m]",
                [
                    *_ends_of_range(low, high, dioptres),
                    Series(positions, fit.lens_map.to_dioptres(positions), GREY, label="map"),
                    *_targets(peaks, dioptres, out, "target"),
                ],
                x_limits=limits,
            ),
            chart(
                "error at each target of a map made without it",
                label,
                "dioptres [1/m]",
                [
                    *_ends_of_range(low, high, errors),
                    Series(np.array([low, high]), np.zeros(2), GREY),
                    *_targets(peaks, errors, out, "target"),
                ],
                x_limits=limits,
            ),
        ]
    )


def breathing_picture(breathing: Breathing, unit: str) -> ImageArray:
    """Growth of the image against the lens position, and what is left over of each pair.

    Parameters
    ----------
    breathing : Breathing
    unit : str
        Of the positions.

    Returns
    -------
    (H, W, 3) uint8 RGB
    """
    label = f"lens position [{unit}]"
    positions = breathing.positions
    growth = 100.0 * (breathing.magnifications - 1.0)
    limits = float(positions[0]), float(positions[-1])
    middles = breathing.pairs.mean(axis=1)
    return np.vstack(
        [
            chart(
                "focus breathing: growth of the image",
                label,
                "percent",
                [
                    Series(positions, growth, GREY, label="fit"),
                    Series(positions, growth, BLUE, line=False, label="image"),
                ],
                x_limits=limits,
            ),
            chart(
                "error of the fit at each pair of images",
                label,
                "percent",
                [
                    Series(np.array(limits), np.zeros(2), GREY),
                    Series(middles, 100.0 * breathing.errors, BLUE, line=False, label="pair"),
                ],
                x_limits=limits,
            ),
        ]
    )


def _targets(peaks: Values, values: Values, out: NDArray[np.bool_], name: str) -> list[Series]:
    """A dot for each target, in another colour for those left out."""
    groups = [(~out, BLUE, name), (out, RED, f"{name} left out")]
    return [
        Series(peaks[which], values[which], colour, line=False, label=label)
        for which, colour, label in groups
        if which.any()
    ]


def _ends_of_range(low: float, high: float, values: Values) -> list[Series]:
    """Lines at the ends of what the map knows."""
    known = values[np.isfinite(values)]
    height = np.array([known.min(initial=0.0), known.max(initial=0.0)])
    ends = [Series(np.full(2, end), height, GREEN) for end in (low, high)]
    return [replace(ends[0], label="ends of the map"), ends[1]]
