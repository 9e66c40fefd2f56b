"""Sweeps of a flat target at known distances, as a folder for each of them.

::

    targets/
        0.30m/   focus_000.png  focus_010.png  …     the number that differs is the lens position
        50cm/    …
        far/     stack.yaml with target_distance and lens_positions, where names do not tell
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from focdepth_ros.calibration.focus_peak import FocusCurve, Region, focus_curve, sharpness
from focdepth_ros.classical.focus_measure import FocusMeasure
from focdepth_ros.errors import CalibrationError, StackFileError
from focdepth_ros.files.image_io import read_image
from focdepth_ros.stack_folder.description import STACK_YAML
from focdepth_ros.stack_folder.positions import with_lens_positions
from focdepth_ros.stack_folder.reading import StackFolder

_DISTANCE = re.compile(r"(?<![\d.,])(\d+(?:[.,]\d+)?)\s*(mm|cm|m)(?![a-z])", re.IGNORECASE)
_METRES = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}


@dataclass(frozen=True, eq=False)
class TargetSweep:
    """A sweep of one target.

    Parameters
    ----------
    name : str
        Of its folder.
    distance : float
        Of the target from the lens, metres; +inf allowed.
    curve : FocusCurve
    """

    name: str
    distance: float
    curve: FocusCurve

    @property
    def dioptre(self) -> float:
        """Inverse of the distance, 1/m."""
        return 1.0 / self.distance


def target_folders(path: Path) -> list[Path]:
    """The folders of the targets in a folder, by name.

    Raises
    ------
    StackFileError
        If there are none.
    """
    if not path.is_dir():
        raise StackFileError(f"{path}: no such folder; give one with a folder for each distance")
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    folders = [entry for entry in folders if not entry.name.startswith(".")]
    if not folders:
        raise StackFileError(
            f"{path}: has no folders in it; make one for each distance of the target, named like "
            "0.5m, with the images of its sweep"
        )
    return folders


def target_distance(folder: StackFolder) -> float:
    """Metres to the target, from ``stack.yaml`` or from the name of the folder.

    Raises
    ------
    StackFileError
        If neither tells it.
    """
    if folder.target_distance is not None:
        return folder.target_distance
    name = folder.path.resolve().name
    if name.lower() in ("inf", "infinity"):
        return math.inf
    found = [
        float(number.replace(",", ".")) * _METRES[unit.lower()]
        for number, unit in _DISTANCE.findall(name)
    ]
    if len(found) != 1 or not found[0] > 0.0:
        raise StackFileError(
            f"{folder.path}: how far the target is away is not known; name the folder like 0.5m, "
            f"50cm or inf, or give target_distance in its {STACK_YAML}"
        )
    return found[0]


def read_target(path: Path, measure: FocusMeasure, region: Region | None = None) -> TargetSweep:
    """Measure how sharp each image of a target is; they are read one at a time.

    Raises
    ------
    StackFileError
        If the folder or an image cannot be read, or distance or positions are not known.
    CalibrationError
        If there is nothing to be seen in an image.
    """
    folder = with_lens_positions(StackFolder.open(path))
    distance = target_distance(folder)
    values = np.fromiter(_sharpness_of(folder, measure, region), np.float64)
    return TargetSweep(path.name, distance, focus_curve(np.array(folder.lens_positions), values))


def _sharpness_of(
    folder: StackFolder, measure: FocusMeasure, region: Region | None
) -> Iterator[float]:
    for image in folder.images:
        try:
            yield sharpness(read_image(image), measure, region)
        except CalibrationError as error:
            raise CalibrationError(f"{image}: {error}") from error
