"""Pictures of a calibration: focus curves, the map, what is left over; and focus breathing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from focdepth_ros.calibration.breathing import Breathing
from focdepth_ros.calibration.lens_fit import LensFit
from focdepth_ros.calibration.target_folders import TargetSweep
from focdepth_ros.chart import BLUE, GREY, RED, Series, chart
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
    tops = [Series(peaks[which], np.ones(which.sum()), colour, line=False)
            for which, colour in ((~out, BLUE), (out, RED))]  # fmt: skip
    positions = np.linspace(*fit.lens_map.range, _CURVE_POINTS)
    errors = np.array(fit.errors)
    ends = np.concatenate([sweep.curve.positions for sweep in sweeps])
    limits = float(ends.min()), float(ends.max())
    return np.vstack(
        [
            chart(
                "sharpness of each target; dots: peaks",
                label,
                "of its best",
                [*curves, *tops],
                x_limits=limits,
            ),
            chart(
                f"lens map ({fit.model}); red: left out",
                label,
                "dioptres [1/m]",
                [
                    Series(positions, fit.lens_map.to_dioptres(positions), GREY),
                    Series(peaks[~out], dioptres[~out], BLUE, line=False),
                    Series(peaks[out], dioptres[out], RED, line=False),
                ],
                x_limits=limits,
            ),
            chart(
                "error at each target of a map made without it",
                label,
                "dioptres [1/m]",
                [
                    Series(np.array(fit.lens_map.range), np.zeros(2), GREY),
                    Series(peaks[~out], errors[~out], BLUE, line=False),
                    Series(peaks[out], errors[out], RED, line=False),
                ],
                x_limits=limits,
            ),
        ]
    )


def breathing_picture(breathing: Breathing, unit: str) -> ImageArray:
    """Growth of the image against the lens position.

    Parameters
    ----------
    breathing : Breathing
    unit : str
        Of the positions.

    Returns
    -------
    (H, W, 3) uint8 RGB
    """
    growth = 100.0 * (breathing.magnifications - 1.0)
    return chart(
        "focus breathing: growth of the image",
        f"lens position [{unit}]",
        "percent",
        [
            Series(breathing.positions, growth, GREY),
            Series(breathing.positions, growth, BLUE, line=False),
        ],
    )
