"""What ``focdepth calibrate`` says of its results: tables, and what is doubtful."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import typer

from focdepth_ros.calibration.breathing import Breathing
from focdepth_ros.calibration.lens_fit import LensFit
from focdepth_ros.calibration.map_check import MapError

_ENOUGH = 5  # targets
_PLACES = 11  # in a table of magnifications


def lens_warnings(fit: LensFit, max_error: float) -> list[str]:
    """What is doubtful about a fit."""
    warnings = []
    for point, error, is_outlier in zip(fit.points, fit.errors, fit.outliers, strict=True):
        if is_outlier:
            warnings.append(
                f"{point.name}: left out of the map, which is {_signed(error)} dioptres off there; "
                "was its distance measured right?"
            )
        elif abs(error) > max_error:
            warnings.append(
                f"{point.name}: a map made without it is {_signed(error)} dioptres off there, more "
                f"than {max_error:g}; add targets around it, or check its distance"
            )
        if point.peak.rival is not None:
            warnings.append(
                f"{point.name}: also sharp at position {point.peak.rival:g}; if something at "
                "another distance is in view, give --region"
            )
    count = len(fit.points) - sum(fit.outliers)
    if count < _ENOUGH:
        warnings.append(
            f"the map goes through {count} targets only; {_ENOUGH} or more tell if it is right"
        )
    return warnings


def show_lens_table(fit: LensFit) -> None:
    """Each target, where it is sharpest, and how far a map made without it is off there."""
    typer.echo("target            distance  dioptres  sharpest at             error")
    for point, error, is_outlier in zip(fit.points, fit.errors, fit.outliers, strict=True):
        peak = point.peak
        spread = f"{peak.uncertainty:.2g}" if math.isfinite(peak.uncertainty) else "?"
        typer.echo(
            f"{point.name[:16]:<16}  {metres_of(point.dioptre):>8}  {point.dioptre:8.4f}  "
            f"{peak.position:9.3f} ± {spread:<8}  {_signed(error):>8}"
            f"{'  outlier' if is_outlier else ''}"
        )


def show_check_table(errors: Sequence[MapError], what: str) -> None:
    """What a map says at each distance, beside the truth."""
    typer.echo(f"{what:<18}  dioptres  by the map     error  depth is off by")
    for item in errors:
        off = f"{100 * item.depth_error:+.1f} %" if math.isfinite(item.depth_error) else "-"
        typer.echo(
            f"{item.name[:18]:<18}  {item.dioptre:8.4f}    {item.found:8.4f}  "
            f"{_signed(item.error):>8}  {off:>10}"
        )


def check_warnings(errors: Sequence[MapError], max_error: float) -> list[str]:
    """By how much a map is off, said; and what is wrong with it."""
    off = np.array([item.error for item in errors])
    outside = [item.name for item in errors if np.isnan(item.found)]
    warnings = [f"{name}: is beyond the positions that the map knows" for name in outside]
    known = np.abs(off[np.isfinite(off)])
    if known.size:
        typer.echo(
            f"the map is off by {np.median(known):.3g} dioptres in the median, {known.max():.3g} "
            "at most"
        )
        if known.max() > max_error:
            warnings.append(
                f"the lens map is wrong by more than {max_error:g} dioptres; run `focdepth "
                "calibrate lens`"
            )
    return warnings


def _signed(error: float) -> str:
    return f"{error:+.4f}" if math.isfinite(error) else "-"


def metres_of(dioptre: float) -> str:
    """A distance for people, from its inverse in 1/m."""
    return f"{1.0 / dioptre:.3f} m" if dioptre > 0.0 else "infinity"


def breathing_table(found: Breathing) -> str:
    """As the parameter alignment.breathing_table has it, from one end of the sweep to the other."""
    count = len(found.positions)
    some = np.linspace(0, count - 1, min(count, _PLACES)).round().astype(int)
    places = zip(found.positions[some], found.magnifications[some], strict=True)
    return ",".join(f"{position:g}:{size:.5f}" for position, size in places)
