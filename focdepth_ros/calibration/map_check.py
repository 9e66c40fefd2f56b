"""By how much a lens map is off, against targets at known distances or against a true depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.calibration.lens_fit import TargetPoint
from focdepth_ros.errors import CalibrationError
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack_folder.positions import with_lens_map
from focdepth_ros.stack_folder.reading import StackFolder

_BINS = 6  # of the true depth, even in dioptres
_LEAST_PIXELS = 50  # of a bin that tells something


@dataclass(frozen=True)
class MapError:
    """What a map says at one distance.

    Parameters
    ----------
    name : str
        Of the target, or range of the depth.
    dioptre : float
        True one, 1/m.
    found : float
        By the map; NaN where it ends before.
    position : float
        Of the lens; NaN where it is not known.
    """

    name: str
    dioptre: float
    found: float
    position: float

    @property
    def error(self) -> float:
        """Of the map, dioptres."""
        return self.found - self.dioptre

    @property
    def depth_error(self) -> float:
        """Of the distance, as a share of it; NaN at infinity."""
        if self.dioptre == 0.0 or self.found == 0.0:
            return float("nan")
        return self.dioptre / self.found - 1.0


def check_on_targets(lens_map: LensMap, points: Sequence[TargetPoint]) -> tuple[MapError, ...]:
    """What the map says of the sharpest position of each target.

    Parameters
    ----------
    lens_map : LensMap
    points : sequence of TargetPoint
    """
    return tuple(
        MapError(
            point.name,
            point.dioptre,
            float(lens_map.to_dioptres(point.peak.position)),
            point.peak.position,
        )
        for point in points
    )


def check_on_stack(
    lens_map: LensMap, folder: StackFolder, *, backend: str = "auto", min_confidence: float
) -> tuple[tuple[MapError, ...], dict[str, float]]:
    """What depth the map makes of a focal stack whose true depth is known.

    Parameters
    ----------
    lens_map : LensMap
    folder : StackFolder
        With lens positions and ground truth; a bag becomes such folders by `focdepth bag convert`.
    backend : str
    min_confidence : float
        Of the pixels that count.

    Returns
    -------
    errors : tuple of MapError
        Median of each range of the true depth, near to far.
    metrics : dict
        Of the whole depth image.

    Raises
    ------
    CalibrationError
        If there is no ground truth, or no depth to compare with it.
    """
    truth = folder.ground_truth()
    if truth is None:
        raise CalibrationError(f"{folder.path}: has no ground truth; give depth in its stack.yaml")
    stack = with_lens_map(folder, lens_map).load()
    pipeline = DepthPipeline(create_backend(backend), min_confidence=min_confidence)
    depth = pipeline.estimate(stack, all_in_focus=False).depth
    with np.errstate(divide="ignore", invalid="ignore"):
        found, wanted = 1.0 / depth, 1.0 / truth
    known = np.isfinite(found) & np.isfinite(wanted)
    # Where the truth is out of the range of the sweep no map can be right.
    near, far = stack.dioptres.max(), stack.dioptres.min()
    seen = known & (wanted <= near) & (wanted >= far)
    if not seen.any():
        raise CalibrationError(
            f"{folder.path}: no depth was found where the truth is in the range of the map, "
            f"{far:.3g} to {near:.3g} dioptres; is it the map of this camera?"
        )
    edges = np.linspace(wanted[seen].max(), wanted[seen].min(), _BINS + 1)
    errors = []
    for high, low in pairwise(edges.tolist()):
        inside = seen & (wanted <= high) & (wanted >= low)
        if inside.sum() >= _LEAST_PIXELS:
            difference = float(np.median(found[inside] - wanted[inside]))
            middle = float(np.median(wanted[inside]))
            name = f"{1.0 / high:.3g} to {1.0 / low:.3g} m"
            errors.append(MapError(name, middle, middle + difference, float("nan")))
    return tuple(errors), depth_metrics(depth, truth)
