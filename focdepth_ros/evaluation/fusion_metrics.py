"""How good an all-in-focus image is, against the true one or against the slices it came from.

All take uint8 images, RGB (H, W, 3) or grey (H, W), of one size. Those that a library has are
the library's: scikit-image, and sewar for `vif`, which come with the extra ``evaluation``.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import EvaluationError
from focdepth_ros.stack import ImageArray

# Xydeas and Petrovic's: how much of the strength and of the direction of an edge is perceived.
_STRENGTH = (0.9994, -15.0, 0.5)
_DIRECTION = (0.9879, -22.0, 0.8)
_GREY_LEVELS = 256
_SSIM_WINDOW = 11  # pixels
_TINY = 1e-12

_Grey = NDArray[np.float64]


def psnr(image: ImageArray, truth: ImageArray) -> float:
    """Peak signal-to-noise ratio in decibels, of all channels together; inf if they are equal."""
    from skimage.metrics import peak_signal_noise_ratio

    _check(image, truth)
    if np.array_equal(image, truth):
        return float("inf")
    return float(peak_signal_noise_ratio(truth, image, data_range=255))


def ssim(image: ImageArray, truth: ImageArray) -> float:
    """Structural similarity, mean of the channels; 1 is best.

    NaN for images that are smaller than its window.

    References
    ----------
    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
    IEEE TIP 2004; with its Gaussian window of sigma 1.5.
    """
    from skimage.metrics import structural_similarity

    _check(image, truth)
    if min(image.shape[:2]) < _SSIM_WINDOW:
        return float("nan")
    channel_axis = None if image.ndim == 2 else 2
    return float(
        structural_similarity(
            truth,
            image,
            data_range=255,
            channel_axis=channel_axis,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def vif(image: ImageArray, truth: ImageArray) -> float:
    """Visual information fidelity of the luma, in the pixel domain; 1 for the truth itself.

    NaN where the truth is all of one grey and so tells nothing.

    References
    ----------
    Sheikh, Bovik, "Image Information and Visual Quality", IEEE TIP 2006.
    """
    from sewar.full_ref import vifp

    _check(image, truth)
    with np.errstate(invalid="ignore"):
        return float(vifp(_luma(truth), _luma(image)))


def mutual_information(image: ImageArray, slices: Sequence[ImageArray]) -> float:
    """Information in bits that a fused image shares with its slices, summed over them.

    References
    ----------
    Qu, Zhang, Yan, "Information measure for performance of image fusion", Electronics Letters
    2002.
    """
    return float(sum(_shared_bits(_luma(image), _luma(item)) for item in _checked(image, slices)))


def q_abf(image: ImageArray, slices: Sequence[ImageArray]) -> float:
    """Share of the edges of the slices that a fused image has, in [0, 1]: Q^AB/F.

    Of any number of slices, each pixel of which counts by the strength of its edge.

    References
    ----------
    Xydeas, Petrovic, "Objective image fusion performance measure", Electronics Letters 2000.
    """
    strength, direction = _edges(_luma(image))
    kept, weight = 0.0, 0.0
    for item in _checked(image, slices):
        own_strength, own_direction = _edges(_luma(item))
        high = np.maximum(strength, own_strength)
        ratio = np.where(high > _TINY, np.minimum(strength, own_strength) / (high + _TINY), 1.0)
        turned = 1.0 - np.abs(direction - own_direction) / (np.pi / 2.0)
        quality = _perceived(ratio, _STRENGTH) * _perceived(turned, _DIRECTION)
        kept += float(np.sum(quality * own_strength))
        weight += float(np.sum(own_strength))
    return kept / weight if weight > 0.0 else float("nan")


def scd(image: ImageArray, slices: Sequence[ImageArray]) -> float:
    """Sum of the correlations of differences, in [-2, 2].

    What the fused image has beyond one slice should look like the other. It is published for two.
    Of more there is no published form; here it is what the image has beyond the mean of the other
    slices that should look like a slice, and the sum over the slices is scaled by two over their
    number. For two slices that is the published measure.

    References
    ----------
    Aslantas, Bendes, "A new image quality metric for image fusion: the sum of the correlations
    of differences", AEU 2015.

    Raises
    ------
    EvaluationError
        If there are fewer than two slices.
    """
    fused = _luma(image)
    sources = [_luma(item) for item in _checked(image, slices)]
    if len(sources) < 2:
        raise EvaluationError("there is one slice; differences need at least two")
    total = sum(sources)
    others = len(sources) - 1
    # Times the number of the others: whole numbers, of which no rounding error is left over.
    correlations = [_correlation(others * fused - (total - own), own) for own in sources]
    return 2.0 / len(sources) * sum(correlations)


def _luma(image: ImageArray) -> _Grey:
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.float64)


def _shared_bits(a: _Grey, b: _Grey) -> float:
    cells = (a.astype(np.intp) * _GREY_LEVELS + b.astype(np.intp)).ravel()
    joint = np.bincount(cells, minlength=_GREY_LEVELS**2).reshape(_GREY_LEVELS, _GREY_LEVELS)
    probability = joint / joint.sum()
    apart = probability.sum(axis=1, keepdims=True) * probability.sum(axis=0, keepdims=True)
    some = probability > 0.0
    return float(np.sum(probability[some] * np.log2(probability[some] / apart[some])))


def _edges(grey: _Grey) -> tuple[_Grey, _Grey]:
    """Strength and direction, in [-pi/2, pi/2], of the edges by Sobel."""
    across = cv2.Sobel(grey, cv2.CV_64F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_64F, 0, 1)
    direction = np.where(across == 0.0, np.pi / 2.0, np.arctan(down / np.where(across, across, 1)))
    return np.hypot(across, down), direction


def _perceived(value: _Grey, shape: tuple[float, float, float]) -> _Grey:
    gain, slope, middle = shape
    return np.asarray(gain / (1.0 + np.exp(slope * (value - middle))))


def _correlation(a: _Grey, b: _Grey) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
    return float(np.sum(a * b)) / norm if norm > 0.0 else 0.0


def _checked(image: ImageArray, slices: Sequence[ImageArray]) -> Sequence[ImageArray]:
    if not slices:
        raise EvaluationError("there are no slices to compare the image with; give at least one")
    for item in slices:
        _check(image, item)
    return slices


def _check(image: ImageArray, other: ImageArray) -> None:
    for one in (image, other):
        if one.dtype != np.uint8 or one.ndim not in (2, 3):
            raise EvaluationError(f"image is {one.dtype} {one.shape}; give uint8, RGB or grey")
    if image.shape != other.shape:
        raise EvaluationError(
            f"images of shapes {image.shape} and {other.shape} cannot be compared; they must be of "
            "one size and kind"
        )
