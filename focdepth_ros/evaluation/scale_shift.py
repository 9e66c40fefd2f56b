"""Depth that is right but for a scale and a shift: what a relative focal stack can tell.

Blur is linear in dioptres, and so are slices that a camera spaced evenly; the inverse of a depth
is therefore what is scaled and shifted.
"""

from __future__ import annotations

import numpy as np

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.metrics import DepthImage, Mask, valid_mask
from focdepth_ros.stack import FloatImage

_LEAST_SHARE = 0.01  # of the least inverse depth of the truth, below which no answer may go


def fit_scale_and_shift(values: DepthImage, truth: DepthImage, mask: Mask) -> tuple[float, float]:
    """Scale a and shift b for which ``a v + b`` is closest to the truth in least squares.

    Parameters
    ----------
    values, truth : (H, W) float
        Finite within the mask.
    mask : (H, W) bool

    Returns
    -------
    (float, float)
        Of values that are all the same, scale 0 and the mean of the truth.

    Raises
    ------
    EvaluationError
        If the shapes differ or the mask is empty.

    References
    ----------
    Ranftl et al., "Towards Robust Monocular Depth Estimation", arXiv 1907.01341, equation 4.
    """
    if not values.shape == truth.shape == mask.shape:
        raise EvaluationError(
            f"values of shape {values.shape}, truth {truth.shape} and mask {mask.shape}; give "
            "images of one size"
        )
    if not mask.any():
        raise EvaluationError("no pixel is known in both; nothing can be fitted")
    v, t = values[mask].astype(np.float64), truth[mask].astype(np.float64)
    centred = v - v.mean()
    variance = float(np.mean(centred**2))
    scale = float(np.mean(centred * (t - t.mean()))) / variance if variance > 0.0 else 0.0
    return scale, float(t.mean() - scale * v.mean())


def aligned_depth(position: DepthImage, truth: DepthImage) -> FloatImage:
    """Depth in metres from positions in a sweep, by the scale and shift that fit the truth best.

    Parameters
    ----------
    position : (H, W) float
        Of the sharpest slice, or anything else that goes evenly with dioptres; not finite where
        not known.
    truth : (H, W) float
        Metres, NaN where not known.

    Returns
    -------
    (H, W) float32
        Metres, NaN where not known. Inverse depths that would come out too small or negative are
        those of something 100 times as far as the farthest of the truth.

    Raises
    ------
    EvaluationError
        As `fit_scale_and_shift`.
    """
    known = valid_mask(truth)
    values = np.where(np.isfinite(position), position.astype(np.float64), np.nan)
    mask = known & np.isfinite(values)
    inverse = np.full(truth.shape, np.nan)
    inverse[known] = 1.0 / truth[known].astype(np.float64)
    scale, shift = fit_scale_and_shift(values, inverse, mask)
    least = _LEAST_SHARE * float(inverse[known].min())
    answer = np.maximum(scale * values + shift, least)
    return np.asarray(1.0 / answer, np.float32)
