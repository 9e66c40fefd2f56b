"""How far a depth image is from the truth.

All measures are means over the pixels of a mask and NaN where the mask is empty. They are
those of Eigen et al., "Depth Map Prediction from a Single Image using a Multi-Scale Deep
Network", NeurIPS 2014, with natural logarithms; and the bumpiness of depth from focus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import EvaluationError

Mask = NDArray[np.bool_]
DepthImage = NDArray[np.floating[Any]]
_Values = NDArray[np.float64]

_DELTA_BASE = 1.25
_MOST_BUMPY = 0.05  # a pixel that is bumpier counts as that
_SCHARR = 1.0 / 16.0  # with which the weights of a side sum to 1


def valid_mask(truth: DepthImage, prediction: DepthImage | None = None) -> Mask:
    """Pixels that can be measured.

    Parameters
    ----------
    truth : (H, W) float
        Metres.
    prediction : (H, W) float, optional
        Metres.

    Returns
    -------
    (H, W) bool
        Where the truth, and the prediction if given, is finite and above 0.

    Raises
    ------
    EvaluationError
        If the shapes differ.
    """
    mask = np.isfinite(truth) & (truth > 0.0)
    if prediction is not None:
        _check_shapes(prediction, truth)
        mask &= np.isfinite(prediction) & (prediction > 0.0)
    return mask


def mae(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Mean absolute error ``mean |p - t|`` in metres.

    Parameters
    ----------
    prediction, truth : (H, W) float
        Metres, finite and above 0 within the mask.
    mask : (H, W) bool
        Pixels that count, as from `valid_mask`.
    """
    return _mean(lambda p, t: np.abs(p - t), prediction, truth, mask)


def mse(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Mean squared error ``mean (p - t)²`` in square metres; arguments as `mae`."""
    return _mean(lambda p, t: (p - t) ** 2, prediction, truth, mask)


def rmse(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Root of the mean squared error ``sqrt(mean (p - t)²)`` in metres; arguments as `mae`."""
    return float(np.sqrt(mse(prediction, truth, mask)))


def rmse_log(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Root of the mean squared logarithmic error ``sqrt(mean (ln p - ln t)²)``; as `mae`."""
    return float(np.sqrt(_mean(lambda p, t: np.log(p / t) ** 2, prediction, truth, mask)))


def abs_rel(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Mean relative error ``mean |p - t| / t``; arguments as `mae`."""
    return _mean(lambda p, t: np.abs(p - t) / t, prediction, truth, mask)


def sq_rel(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Mean squared error over the truth ``mean (p - t)² / t`` in metres; arguments as `mae`."""
    return _mean(lambda p, t: (p - t) ** 2 / t, prediction, truth, mask)


def delta1(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Share of pixels with ``max(p / t, t / p) < 1.25``; arguments as `mae`."""
    return _share_within(_DELTA_BASE, prediction, truth, mask)


def delta2(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Share of pixels with ``max(p / t, t / p) < 1.25²``; arguments as `mae`."""
    return _share_within(_DELTA_BASE**2, prediction, truth, mask)


def delta3(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """Share of pixels with ``max(p / t, t / p) < 1.25³``; arguments as `mae`."""
    return _share_within(_DELTA_BASE**3, prediction, truth, mask)


def bumpiness(prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    """How uneven the error is: mean of the norm of its second derivatives, times 100.

    ``100 mean min(0.05, |H(p - t)|)`` with the Frobenius norm of the Hessian, by Scharr filters
    applied twice, which make 2 of a slope of 1 per pixel, as everybody who reports it does. A
    pixel counts where its neighbours, two pixels around, are in the mask, too.

    Parameters
    ----------
    prediction, truth, mask
        As `mae`.

    References
    ----------
    Hazirbas et al., "Deep Depth From Focus", ACCV 2018, section 5.1, arXiv 1704.01085; there of
    disparities, here of depths in metres.
    """
    _check_shapes(prediction, truth, mask)
    error = np.zeros(mask.shape)
    error[mask] = prediction[mask].astype(np.float64) - truth[mask]
    first = [cv2.Scharr(error, cv2.CV_64F, x, 1 - x, scale=_SCHARR) for x in (1, 0)]
    second = [cv2.Scharr(d, cv2.CV_64F, x, 1 - x, scale=_SCHARR) for d in first for x in (1, 0)]
    uneven = np.sqrt(np.sum(np.square(second), axis=0))
    whole = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if not whole.any():
        return float("nan")
    return float(100.0 * np.minimum(uneven[whole], _MOST_BUMPY).mean())


METRICS: dict[str, Callable[[DepthImage, DepthImage, Mask], float]] = {
    metric.__name__: metric
    for metric in (mae, mse, rmse, rmse_log, abs_rel, sq_rel, delta1, delta2, delta3, bumpiness)
}


def depth_metrics(prediction: DepthImage, truth: DepthImage) -> dict[str, float]:
    """All measures of one depth image.

    Parameters
    ----------
    prediction : (H, W) float
        Metres; NaN where there is no answer.
    truth : (H, W) float
        Metres; NaN where not known.

    Returns
    -------
    dict of str to float
        Every name in `METRICS`, over the pixels that are known in both; and ``coverage``, the
        share of the pixels with a known truth that have an answer.

    Raises
    ------
    EvaluationError
        If the shapes differ.
    """
    mask = valid_mask(truth, prediction)
    known = np.count_nonzero(valid_mask(truth))
    answer = {name: metric(prediction, truth, mask) for name, metric in METRICS.items()}
    answer["coverage"] = float(np.count_nonzero(mask) / known) if known else float("nan")
    return answer


def _mean(
    error: Callable[[_Values, _Values], NDArray[Any]],
    prediction: DepthImage,
    truth: DepthImage,
    mask: Mask,
) -> float:
    _check_shapes(prediction, truth, mask)
    if not mask.any():
        return float("nan")
    # Means of float32 over a million pixels lose digits.
    values = error(prediction[mask].astype(np.float64), truth[mask].astype(np.float64))
    return float(values.mean())


def _share_within(limit: float, prediction: DepthImage, truth: DepthImage, mask: Mask) -> float:
    return _mean(lambda p, t: np.maximum(p / t, t / p) < limit, prediction, truth, mask)


def _check_shapes(*images: NDArray[Any]) -> None:
    shapes = [image.shape for image in images]
    if len(set(shapes)) > 1:
        raise EvaluationError(
            f"depth images of shapes {', '.join(map(str, shapes))} cannot be compared; "
            "they must be of one size"
        )
