"""Whether a confidence tells which pixels not to believe.

Pixels are taken away, the least confident first, and the error of the rest is followed: it
should fall all the way. The best that could be is the order of the errors themselves.

References
----------
Ilg et al., "Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow", ECCV 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focdepth_ros.errors import EvaluationError

Values = NDArray[np.floating[Any]]

#: Shares of the pixels that are kept.
KEPT_SHARES: tuple[float, ...] = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)

_AREA_STEPS = 100


def sparsification_curve(
    errors: Values, confidence: Values, kept: ArrayLike = KEPT_SHARES
) -> NDArray[np.float64]:
    """Mean error of the most confident pixels.

    Parameters
    ----------
    errors : (N,) float
        Of the pixels, not negative; squared ones give a mean squared error.
    confidence : (N,) float
        Higher is surer. Pixels of equal confidence are taken away evenly.
    kept : (K,) array_like of float
        Shares of the pixels, in (0, 1].

    Returns
    -------
    (K,) float64
        NaN without pixels.

    Raises
    ------
    EvaluationError
        If there is not one confidence per error, a value is not a number, or a share is out of
        range.
    """
    _check(errors, confidence)
    shares = np.asarray(kept, dtype=np.float64)
    if not np.all((shares > 0.0) & (shares <= 1.0)):
        raise EvaluationError(f"shares of kept pixels {shares.tolist()} are not all in (0, 1]")
    if errors.size == 0:
        return np.full(shares.shape, np.nan)
    _, group, count = np.unique(-confidence, return_inverse=True, return_counts=True)
    mean = np.bincount(group.ravel(), weights=errors) / count
    # Between two confidences the sum of the errors rises evenly: that is their mean order.
    pixels = np.concatenate(([0.0], np.cumsum(count)))
    sums = np.concatenate(([0.0], np.cumsum(mean * count)))
    wanted = shares * errors.size
    return np.asarray(np.interp(wanted, pixels, sums) / wanted)


def area_under_sparsification_error(
    errors: Values, confidence: Values, *, root: bool = False
) -> float:
    """How much worse a confidence orders the pixels than the errors would (AUSE).

    The mean, over the share of the pixels that is kept, of the difference between the two
    curves, each as a multiple of the error of all pixels. 0 is perfect.

    Parameters
    ----------
    errors, confidence
        As `sparsification_curve`.
    root : bool
        Whether to compare the roots of the curves: of squared errors that is the AUSE of the
        root mean square.

    Returns
    -------
    float
        NaN without pixels or without an error.

    Raises
    ------
    EvaluationError
        As `sparsification_curve`.
    """
    kept = (np.arange(_AREA_STEPS) + 0.5) / _AREA_STEPS
    curves = [sparsification_curve(errors, order, kept) for order in (confidence, -errors)]
    everything = float(errors.mean()) if errors.size else 0.0
    if root:
        curves, everything = [np.sqrt(curve) for curve in curves], float(np.sqrt(everything))
    above = curves[0] - curves[1]
    return float(above.mean() / everything) if everything > 0.0 else float("nan")


def is_monotone(curve: Values) -> bool:
    """Whether a curve from `sparsification_curve`, shares falling, never rises."""
    return bool(np.all(np.diff(curve) <= 0.0))


def _check(errors: Values, confidence: Values) -> None:
    if errors.ndim != 1 or errors.shape != confidence.shape:
        raise EvaluationError(
            f"errors of shape {errors.shape} and confidence of shape {confidence.shape}; give one "
            "of each per pixel"
        )
    for name, values in (("errors", errors), ("confidence", confidence)):
        if np.isnan(values).any():
            raise EvaluationError(f"{name} has NaN; leave out the pixels that cannot be measured")
