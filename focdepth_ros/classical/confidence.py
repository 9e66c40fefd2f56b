"""How far to believe a depth that was read from a focus curve."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage

FEATURES = ("contrast", "edge", "overshoot", "roughness")


@dataclass(frozen=True)
class ConfidenceModel:
    """A logistic regression on features of pixels.

    Parameters
    ----------
    weights : tuple of 4 float
        In the order of the features.
    bias : float
    """

    weights: tuple[float, float, float, float]
    bias: float

    def probability(self, features: NDArray[np.float32]) -> FloatImage:
        """What the features (4, h, w) of pixels say, (h, w) in [0, 1]."""
        weights = np.array(self.weights, dtype=np.float32)
        score = np.tensordot(weights, features, axes=1) + np.float32(self.bias)
        # The logistic function; written with exp it would overflow.
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * score), dtype=np.float32)


# By benchmarks/fit_confidence.py, in the order of `FEATURES`, of simulated sweeps of scenes that
# are used for tuning only.
GRAPH_CUT_CONFIDENCE = ConfidenceModel((0.710, -0.067, -1.776, -3.596), 2.279)
ARGMAX_CONFIDENCE = ConfidenceModel((0.675, -0.652, -1.247, -0.317), 2.194)

_FULL_CONTRAST = 0.25  # of the log focus measure; in scenes, less is mostly noise
_LEAST_CONTRAST = 0.05
_NEIGHBOUR_SIGMA = 1.5  # pixels of the working grid
_EDGE_RADIUS = 5  # pixels of the working grid
_OVERSHOOT_KERNEL = 5  # pixels of the working grid
_MAX_EDGE = 3.0  # steps
_MAX_OVERSHOOT = 6.0  # steps
_MAX_SCATTER = 1.0  # steps
_MAX_STEPS = 9.0


@dataclass(frozen=True, eq=False)
class FocusCurves:
    """The focus measure of every pixel over the sweep, and the position read from it.

    Parameters
    ----------
    log_energy : (N, h, w) float32
        Log of the focus measure plus the noise floor: flat where there is no texture.
    slice_index : (h, w) float32
        Position chosen in the stack, fractional.
    single_index : (h, w) float32
        The same before neighbours were averaged.
    overshoot : (h, w) float32
        Slices by which the peak lies outside the sweep.
    """

    log_energy: NDArray[np.float32]
    slice_index: FloatImage
    single_index: FloatImage
    overshoot: FloatImage


def noise_floor(energy: NDArray[np.float32]) -> float:
    """Focus measure that a place without any texture shows.

    Every pixel's smallest measure over the sweep is where it is most out of focus, so little
    but noise is left of it; pixels without texture, of which most scenes have some, set the
    low percentile.

    Parameters
    ----------
    energy : (N, h, w) float32

    Returns
    -------
    float
        > 0 also for an image without noise.
    """
    return max(2.0 * float(np.percentile(energy.min(axis=0), 20)), 1e-3)


def slices_per_step(count: int) -> float:
    """What positions are judged in: one slice, or a ninth of a sweep that is denser than that.

    A camera does not see finer steps of focus because more slices are taken.

    Parameters
    ----------
    count : int
        Number of slices of the sweep.
    """
    return max(1.0, (count - 1) / _MAX_STEPS)


def peak_contrast(log_energy: NDArray[np.float32], slice_index: FloatImage) -> FloatImage:
    """How far the curve at the chosen slice lies above its mean over the sweep.

    Parameters
    ----------
    log_energy : (N, h, w) float32
    slice_index : (h, w) float32

    Returns
    -------
    (h, w) float32
    """
    nearest = np.rint(slice_index).astype(np.intp)
    chosen = np.take_along_axis(log_energy, nearest[np.newaxis], axis=0)[0]
    return np.asarray(chosen - log_energy.mean(axis=0), dtype=np.float32)


def focus_features(curves: FocusCurves) -> FloatImage:
    """What a pixel's focus curve, and its neighbours', say about the chosen position.

    Returns
    -------
    (4, h, w) float32
        In the order of `FEATURES`: the log of how far the curve at the chosen slice, averaged
        over the neighbours, lies above its mean over the sweep; the range of positions in the
        neighbourhood (large at the edge of an object); the overshoot; and how much the positions
        of single pixels scatter around the surface. The last three are in steps, see
        `slices_per_step`, and cut off.
    """
    slice_index = curves.slice_index
    per_slice = np.float32(1.0 / slices_per_step(len(curves.log_energy)))
    contrast = _averaged_contrast(curves.log_energy, slice_index)
    kernel = np.ones((2 * _EDGE_RADIUS + 1,) * 2, dtype=np.uint8)
    edge = (cv2.dilate(slice_index, kernel) - cv2.erode(slice_index, kernel)) * per_slice
    overshoot = np.minimum(curves.overshoot * per_slice, np.float32(_MAX_OVERSHOOT))
    scatter = cv2.absdiff(curves.single_index, slice_index) * per_slice
    return np.stack(
        [
            np.log(np.maximum(contrast, 0.0) + _LEAST_CONTRAST),
            np.minimum(edge, _MAX_EDGE),
            cv2.medianBlur(overshoot, _OVERSHOOT_KERNEL),
            cv2.GaussianBlur(np.minimum(scatter, _MAX_SCATTER), (0, 0), _NEIGHBOUR_SIGMA),
        ]
    )


def _averaged_contrast(log_energy: NDArray[np.float32], slice_index: FloatImage) -> FloatImage:
    """As `peak_contrast`, of curves that are averaged over the neighbours."""
    nearest = np.rint(slice_index)
    chosen, total = np.zeros_like(slice_index), np.zeros_like(slice_index)
    for position, layer in enumerate(log_energy):  # one at a time: a sweep can be large
        averaged = np.asarray(cv2.GaussianBlur(layer, (0, 0), _NEIGHBOUR_SIGMA), np.float32)
        total += averaged
        cv2.copyTo(averaged, (nearest == position).view(np.uint8), chosen)
    total *= np.float32(-1.0 / len(log_energy))
    return np.add(chosen, total, out=total)


def focus_confidence(
    curves: FocusCurves, model: ConfidenceModel = GRAPH_CUT_CONFIDENCE
) -> FloatImage:
    """Probability that each position is right.

    For positions between the slices that is to be within a quarter of a step of the truth, see
    `slices_per_step`; for whole slices, within three quarters.

    It falls to 0 where the curve is flat: nothing was seen there by which to tell the focus,
    however well neighbours agree.

    Returns
    -------
    (h, w) float32 in [0, 1]
    """
    features = focus_features(curves)
    contrast = np.exp(features[FEATURES.index("contrast")]) - _LEAST_CONTRAST
    seen = np.clip(contrast / _FULL_CONTRAST, 0.0, 1.0)
    return np.asarray(seen * model.probability(features), dtype=np.float32)
