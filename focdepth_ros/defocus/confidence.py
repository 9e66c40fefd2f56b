"""How far to believe the depth that explains a focal stack and on which neighbours agree."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.confidence import ConfidenceModel
from focdepth_ros.stack import FloatImage

FEATURES = ("evidence", "scatter", "edge", "misfit")

_SIGMA = 3.0  # px, over which evidence and scatter are averaged
_EDGE_RADIUS = 4  # px
_MAX_EDGE = 3.0  # steps
_MAX_SCATTER = 1.0  # steps
_LEAST_EDGE = 0.05  # steps
_LEAST_SCATTER = 0.02  # steps
_FULL_EVIDENCE = 0.1  # less is an even surface, on which any depth explains the pixels


# By benchmarks/fit_defocus_confidence.py, in the order of `FEATURES`, of simulated sweeps of scenes
# that are used for tuning only.
DEFOCUS_CONFIDENCE = ConfidenceModel((0.81, -1.05, -0.51, -0.37), -0.57)


@dataclass(frozen=True, eq=False)
class PixelFit:
    """What a pixel by itself says of its depth.

    Parameters
    ----------
    evidence : (H, W) float32
        How sharply the error rises to both sides of the depth: in [0, 1].
    misfit : (H, W) float32
        Error that is left at the depth, >= 1: in that of the image's median.
    dioptre : (H, W) float32
        Inverse depth of the least error, 1/m.
    """

    evidence: FloatImage
    misfit: FloatImage
    dioptre: FloatImage


def surface_features(fit: PixelFit, surfaces: FloatImage, step: float) -> FloatImage:
    """What pixels and their neighbours say of the depth that was chosen.

    Parameters
    ----------
    fit : PixelFit
    surfaces : (H, W) float32
        Inverse depth that was chosen, 1/m.
    step : float
        Between slices, 1/m; what differences of depth are counted in.

    Returns
    -------
    (4, H, W) float32
        In the order of `FEATURES`: the evidence, averaged over the neighbours; the log of how far
        the depths that pixels would choose by themselves scatter around the surface; the log of
        the range of depths nearby, large beside edges, where a pixel takes in light that the model
        does not know of; and the log of the misfit.
    """
    per_step = np.float32(1.0 / step)
    scatter = np.minimum(np.abs(fit.dioptre - surfaces) * per_step, np.float32(_MAX_SCATTER))
    kernel = np.ones((2 * _EDGE_RADIUS + 1,) * 2, dtype=np.uint8)
    edge = (cv2.dilate(surfaces, kernel) - cv2.erode(surfaces, kernel)) * per_step
    return np.stack(
        [
            _blurred(fit.evidence),
            np.log(_blurred(scatter) + np.float32(_LEAST_SCATTER)),
            np.log(np.minimum(edge, np.float32(_MAX_EDGE)) + np.float32(_LEAST_EDGE)),
            np.log(fit.misfit),
        ]
    )


def surface_confidence(features: NDArray[np.float32]) -> FloatImage:
    """Probability that each depth is within a quarter of a step of the truth.

    It falls to 0 where nothing was seen by which to tell the depth, however well neighbours agree.

    Parameters
    ----------
    features : (4, H, W) float32
        As from `surface_features`.

    Returns
    -------
    (H, W) float32 in [0, 1]
    """
    evidence = features[FEATURES.index("evidence")]
    seen = np.clip(evidence / np.float32(_FULL_EVIDENCE), 0.0, 1.0)
    return np.asarray(seen * DEFOCUS_CONFIDENCE.probability(features), np.float32)


def _blurred(values: FloatImage) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _SIGMA), np.float32)
