"""How the image grows and shrinks as the focus moves, from one sweep of a still scene."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from focdepth_ros.calibration.focus_peak import Values
from focdepth_ros.errors import AlignmentError, CalibrationError
from focdepth_ros.files.image_io import read_image
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.registration.agreement import agreement
from focdepth_ros.registration.ecc import register_ecc
from focdepth_ros.registration.motion import Matrix, transformed
from focdepth_ros.registration.view import View, view_of
from focdepth_ros.stack_folder.reading import StackFolder

#: Called after each image.
Progress = Callable[[], None]

_HOPS = (1, 2, 4)  # images from one of a pair to the other; long ones keep errors from adding up
_STIFFNESS = 0.05  # weight of the bend at a position against that of a pair
_ROUNDS = 30
_TUKEY = 4.685  # deviations at which a pair counts nothing
_LEAST_DEVIATION = 1e-5  # of a scale: less is the precision of the registration
_KNOTS = 25  # of the magnification in a lens map, at least


@dataclass(frozen=True)
class ScaleLink:
    """How much larger a scene is in one image of a pair than in the other.

    Parameters
    ----------
    first, second : float
        Lens positions.
    log_scale : float
        Logarithm of the size in the second over that in the first.
    shift : float
        How far the middle of the image went, as a share of its width.
    """

    first: float
    second: float
    log_scale: float
    shift: float


@dataclass(frozen=True, eq=False)
class Breathing:
    """Magnification against lens position, as a smooth curve.

    Parameters
    ----------
    positions : (N,) float64
        Of the images that match each other, rising.
    magnifications : (N,) float64
        Size of the image at each over that at the first.
    rms_error : float
        Of the pairs about the curve, as a share; without those that count nothing.
    used, tried : int
        Number of pairs.
    shift : float
        Largest share of its width by which the middle of the image moved against the first.
    pairs : (used, 2) float64
        Positions of the images of each pair that counts.
    errors : (used,) float64
        By how much the curve is above the pair's own growth, as a share.
    """

    positions: Values
    magnifications: Values
    rms_error: float
    used: int
    tried: int
    shift: float
    pairs: Values
    errors: Values

    def at(self, positions: Values) -> Values:
        """Magnification at any positions; beyond the sweep that at its end."""
        return np.interp(positions, self.positions, self.magnifications)


def measure_breathing(folder: StackFolder, progress: Progress = lambda: None) -> Breathing:
    """Register the images of a sweep with their neighbours and fit how their scale changes.

    A smooth curve is fitted to all pairs at once, robustly, so that neither errors add up along
    the sweep nor one bad pair spoils it. It may have kinks: some lenses do not move over a part
    of their positions.

    Parameters
    ----------
    folder : StackFolder
        With lens positions.
    progress : callable, optional

    Raises
    ------
    CalibrationError
        If too few images show enough in common.
    """
    assert folder.lens_positions is not None
    order = np.argsort(folder.lens_positions)
    positions = np.array(folder.lens_positions)[order]
    if len(np.unique(positions)) < len(positions):
        raise CalibrationError(f"{folder.path}: two images have the same lens position; keep one")
    links, tried = _links([folder.images[i] for i in order], positions, progress)
    connected = _largest_connected(positions, links)
    if 2 * len(connected) < len(positions) or len(connected) < 3:
        raise CalibrationError(
            f"{folder.path}: only {len(connected)} of {len(positions)} images match each other; "
            "take a still scene with detail all over, in smaller steps"
        )
    links = [link for link in links if link.first in connected]
    positions = np.array(sorted(connected))
    return _fit(positions, links, tried)


def with_magnification(lens_map: LensMap, breathing: Breathing) -> LensMap:
    """The same map, with the magnification at its points and at some more in between."""
    low, high = lens_map.range
    inner = np.linspace(low, high, _KNOTS)
    gap = 0.25 * (high - low) / _KNOTS
    own = np.array(lens_map.positions)
    more = [x for x in inner if np.abs(own - x).min() > gap]
    positions = np.sort(np.concatenate([own, np.round(more, 4)]))
    if own[0] > own[-1]:
        positions = positions[::-1]
    sizes = breathing.at(positions)
    return replace(
        lens_map,
        positions=tuple(positions.tolist()),
        dioptres=tuple(np.round(lens_map.to_dioptres(positions), 7).tolist()),
        magnification=tuple(np.round(sizes / sizes[0], 6).tolist()),
    )


def _links(
    images: Sequence[Path], positions: Values, progress: Progress
) -> tuple[list[ScaleLink], int]:
    """Pairs of images near to each other, and how many were tried; images are read one by one."""
    views: list[View] = []
    links: list[ScaleLink] = []
    tried = 0
    for i, path in enumerate(images):
        view = view_of(read_image(path))
        for hop in _HOPS:
            if hop > i:
                continue
            tried += 1
            before = views[-hop]
            if before.size != view.size:
                raise CalibrationError(f"{path}: of another size than {images[i - hop].name}")
            try:
                matrix = register_ecc(before, view, model="similarity")
                agreement(before, view, matrix).check()
            except AlignmentError:
                continue
            links.append(_link(positions[i - hop], positions[i], matrix, view.size))
        views = [*views, view][-max(_HOPS) :]
        progress()
    return links, tried


def _largest_connected(positions: Values, links: Sequence[ScaleLink]) -> set[float]:
    """The most positions that are joined by pairs."""
    groups = {position: {position} for position in positions.tolist()}
    for link in links:
        joined = groups[link.first] | groups[link.second]
        for position in joined:
            groups[position] = joined
    return max(groups.values(), key=len)


def _link(first: float, second: float, matrix: Matrix, size: tuple[int, int]) -> ScaleLink:
    middle = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    shift = float(np.linalg.norm(transformed(matrix, middle) - middle)) / size[1]
    return ScaleLink(first, second, 0.5 * math.log(np.linalg.det(matrix[:2, :2])), shift)


def _fit(positions: Values, links: Sequence[ScaleLink], tried: int) -> Breathing:
    """Logarithms of the scale at the positions, by reweighted least squares (Tukey)."""
    count = len(positions)
    scales = np.array([link.log_scale for link in links])
    pairs = np.zeros((len(links), count))
    for row, link in zip(pairs, links, strict=True):
        row[np.searchsorted(positions, [link.first, link.second])] = -1.0, 1.0
    bends = _STIFFNESS * _second_differences(positions)
    weights = np.ones(len(links))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        rows = np.vstack([pairs * root[:, np.newaxis], bends])
        goal = np.concatenate([scales * root, np.zeros(len(bends))])
        # The first is 0; the least norm settles what no pair tells.
        fit, *_ = np.linalg.lstsq(rows[:, 1:], goal, rcond=None)
        logs = np.concatenate([[0.0], fit])
        off = pairs @ logs - scales
        deviation = max(1.4826 * float(np.median(np.abs(off))), _LEAST_DEVIATION)
        weights = np.clip(1.0 - (off / (_TUKEY * deviation)) ** 2, 0.0, None) ** 2
    counted = weights > 0.0
    return Breathing(
        positions=positions,
        magnifications=np.exp(logs),
        rms_error=float(np.sqrt(np.mean(np.square(off[counted])))),
        used=int(counted.sum()),
        tried=tried,
        shift=max(link.shift for link, good in zip(links, counted, strict=True) if good),
        pairs=np.array([[link.first, link.second] for link in links])[counted],
        errors=off[counted],
    )


def _second_differences(positions: Values) -> Values:
    """Change of slope at each inner position, times the mean step, (N - 2, N)."""
    steps = np.diff(positions)
    rows = np.zeros((len(positions) - 2, len(positions)))
    for i, row in enumerate(rows):
        row[i : i + 3] = 1.0 / steps[i], -1.0 / steps[i] - 1.0 / steps[i + 1], 1.0 / steps[i + 1]
    return rows * float(steps.mean())
