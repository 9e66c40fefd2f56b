"""NIQE: how natural an image looks, without another one to compare it with.

The statistics of the locally normalised luma of small patches are compared with those of sharp
photographs. The method is the published one; the photographs are others (``niqe_model.md``), and
images are halved by their 2 x 2 means. So values compare with each other, not with published ones.

References
----------
Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal
Processing Letters 2013.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import EvaluationError
from focdepth_ros.stack import ImageArray

#: Side of a patch in pixels; at the second scale half of it.
PATCH = 96
#: Numbers that describe a patch: 18 at each of 2 scales.
FEATURES = 36
#: Fitted by scripts/fit_niqe.py.
MODEL_FILE = Path(__file__).with_name("niqe_model.npz")

_SHARP_SHARE = 0.75  # of the sharpest patch of a photograph, which a patch of the model must reach
_WINDOW, _SIGMA = 7, 7.0 / 6.0  # px, of the local mean and deviation
_NO_CONTRAST = 1.0  # grey level added to the deviation, so that flat areas do not become noise
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows, columns
_SHAPES = np.arange(0.2, 10.0005, 0.001)  # of the generalised Gaussians that are tried
_TINY = 1e-12

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NiqeModel:
    """Gaussian of the features of sharp patches.

    Parameters
    ----------
    mean : (36,) float64
    covariance : (36, 36) float64
    """

    mean: _Array
    covariance: _Array


def niqe(image: ImageArray, model: NiqeModel | None = None) -> float:
    """Distance of an image from natural sharp ones; 0 is best.

    Parameters
    ----------
    image : (H, W, 3) uint8 RGB or (H, W) uint8
        What is left beside a whole number of patches of 96 px is not looked at.
    model : NiqeModel, optional
        By default the one that comes with the package.

    Returns
    -------
    float
        NaN where there are fewer than two patches with any contrast.

    Raises
    ------
    EvaluationError
        If the image is of another kind.
    """
    features, _ = patch_features(image)
    if len(features) < 2:
        return float("nan")
    pristine = model or shipped_model()
    apart = features.mean(axis=0) - pristine.mean
    spread = (np.cov(features, rowvar=False) + pristine.covariance) / 2.0
    return math.sqrt(max(float(apart @ np.linalg.pinv(spread) @ apart), 0.0))


def fit_model(photographs: Iterable[ImageArray]) -> NiqeModel:
    """The model of some photographs: of each, the patches that are nearly as sharp as its sharpest.

    Parameters
    ----------
    photographs : iterable of (H, W, 3) or (H, W) uint8
        Undistorted ones.

    Raises
    ------
    EvaluationError
        If they have no more sharp patches than a patch has features.
    """
    chosen = []
    for photograph in photographs:
        features, sharpness = patch_features(photograph)
        if len(features):
            chosen.append(features[sharpness > _SHARP_SHARE * sharpness.max()])
    count = sum(map(len, chosen))
    if count <= FEATURES:
        raise EvaluationError(
            f"the photographs have {count} sharp patches of {PATCH} px; give more than "
            f"{FEATURES}, better thousands"
        )
    every = np.concatenate(chosen)
    return NiqeModel(every.mean(axis=0), np.cov(every, rowvar=False))


def save_model(path: Path, model: NiqeModel) -> None:
    """Write a model that `load_model` reads."""
    np.savez(path, mean=model.mean, covariance=model.covariance)


def load_model(path: Path) -> NiqeModel:
    """Read a model.

    Raises
    ------
    EvaluationError
        If the file is none.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            model = NiqeModel(saved["mean"], saved["covariance"])
        if model.mean.shape != (FEATURES,) or model.covariance.shape != (FEATURES, FEATURES):
            raise ValueError(f"shapes {model.mean.shape} and {model.covariance.shape}")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise EvaluationError(
            f"{path}: is no model of NIQE ({error}); install the package again, or fit one "
            "with scripts/fit_niqe.py"
        ) from error
    return model


@lru_cache(maxsize=1)
def shipped_model() -> NiqeModel:
    """The model that comes with the package."""
    return load_model(MODEL_FILE)


def patch_features(image: ImageArray) -> tuple[_Array, _Array]:
    """Features and sharpness of all patches that have any contrast.

    Parameters
    ----------
    image : (H, W, 3) uint8 RGB or (H, W) uint8

    Returns
    -------
    features : (P, 36) float64
    sharpness : (P,) float64
        Mean local deviation in grey levels.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise EvaluationError(f"image is {image.dtype} {image.shape}; give uint8, RGB or grey")
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    rows, columns = (side // PATCH * PATCH for side in grey.shape)
    if not rows or not columns:
        return np.empty((0, FEATURES)), np.empty(0)
    grey = np.asarray(grey[:rows, :columns], np.float64)
    normalised, deviation = _normalised(grey)
    half = cv2.resize(grey, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    half_normalised, _ = _normalised(np.asarray(half))
    features = np.concatenate(
        [
            _features(_patches(normalised, PATCH)),
            _features(_patches(half_normalised, PATCH // 2)),
        ],
        axis=1,
    )
    known = np.isfinite(features).all(axis=1)
    return features[known], _patches(deviation, PATCH).mean(axis=(1, 2))[known]


def _normalised(grey: _Array) -> tuple[_Array, _Array]:
    """Luma less its local mean, over its local deviation; and that deviation."""

    def local_mean(values: _Array) -> _Array:
        size = (_WINDOW, _WINDOW)
        return np.asarray(
            cv2.GaussianBlur(values, size, _SIGMA, borderType=cv2.BORDER_REPLICATE), np.float64
        )

    mean = local_mean(grey)
    deviation = np.sqrt(np.abs(local_mean(grey * grey) - mean * mean))
    return (grey - mean) / (deviation + _NO_CONTRAST), deviation


def _patches(values: _Array, side: int) -> _Array:
    """Cut (H, W) into (P, side, side)."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    cut = values.reshape(rows, side, columns, side).swapaxes(1, 2)
    return np.ascontiguousarray(cut.reshape(-1, side, side))


def _features(patches: _Array) -> _Array:
    """The 18 features of patches (P, n, n) of normalised luma; NaN without contrast."""
    shape, left, right = _asymmetric_gaussian(patches.reshape(len(patches), -1))
    found = [shape, (left + right) / 2.0]
    for down, across in _NEIGHBOURS:
        # Each pixel times its neighbour, within the patch.
        first, second = (patches[:, down:], patches[:, : patches.shape[1] - down])
        if across > 0:
            first, second = first[:, :, across:], second[:, :, :-across]
        elif across < 0:
            first, second = first[:, :, :across], second[:, :, -across:]
        shape, left, right = _asymmetric_gaussian((first * second).reshape(len(patches), -1))
        mean = (right - left) * _at(_tables()[2], shape)
        found += [shape, mean, left, right]
    return np.stack(found, axis=1)


def _asymmetric_gaussian(values: _Array) -> tuple[_Array, _Array, _Array]:
    """Shape, left and right width of the asymmetric generalised Gaussian of each row, by moments.

    References
    ----------
    Lasmar, Stitou, Berthoumieu, "Multiscale skewed heavy-tailed model for texture analysis", ICIP
    2009.
    """
    ratios, widths, _ = _tables()
    squares = values * values
    negative, positive = values < 0.0, values > 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sqrt((squares * negative).sum(axis=1) / negative.sum(axis=1))
        right = np.sqrt((squares * positive).sum(axis=1) / positive.sum(axis=1))
        skew = left / right
        ratio = np.abs(values).mean(axis=1) ** 2 / squares.mean(axis=1)
        ratio *= (skew**3 + 1.0) * (skew + 1.0) / (skew**2 + 1.0) ** 2
    # Where a side is missing, nothing can be fitted.
    ratio[~((left > _TINY) & (right > _TINY))] = np.nan
    shape = np.interp(ratio, ratios, _SHAPES)
    width = _at(widths, shape)
    return shape, left * width, right * width


def _at(table: _Array, shape: _Array) -> _Array:
    return np.asarray(np.interp(shape, _SHAPES, table))


@lru_cache(maxsize=1)
def _tables() -> tuple[_Array, _Array, _Array]:
    """Of every shape a, with G the gamma function.

    Squared mean magnitude over the variance, G(2/a)² / (G(1/a) G(3/a)); width over standard
    deviation, sqrt(G(1/a) / G(3/a)); mean magnitude over width, G(2/a) / G(1/a).
    """
    one, two, three = (
        np.array([math.lgamma(order / shape) for shape in _SHAPES.tolist()])
        for order in (1.0, 2.0, 3.0)
    )
    return np.exp(2.0 * two - one - three), np.exp((one - three) / 2.0), np.exp(two - one)
