"""Edge-aware median of slice positions, by the compiled library."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.compiled import compiled_library
from focdepth_ros.errors import BackendError, BackendUnavailableError, OptionError
from focdepth_ros.stack import FloatImage

MAX_RADIUS = 200

# Inside, values, weights and differences of the guide are whole numbers of 16 bits.
_LARGEST = 32767
_FULL_WEIGHT = 127
_STEP = 1.0 / 64.0  # slices
_LANES = 8  # pixels worked on together
_REACH = 3.0  # standard deviations of the guide's noise beyond which a neighbour has no weight


def weighted_median(
    slice_index: FloatImage,
    guide: NDArray[np.uint8] | NDArray[np.float32],
    *,
    radius: int,
    guide_sigma: float,
    weight: FloatImage | None = None,
) -> FloatImage:
    """Median of each pixel's neighbours, of which those that look like the pixel count most.

    A neighbour in the square window weighs ``c (1 - d / 3σ)²``, and nothing from d = 3σ on,
    where d is the largest difference of a channel of the guide and c the neighbour's own weight.
    The kernel's standard deviation is about σ; unlike a Gaussian it ends, so that a large surface
    beside a thin one has no say. The answer is the smallest value up to which half of the
    weight lies: always one that occurs, so no depth is made up between two surfaces.

    The cost is linear in pixels and does not grow with the radius: of a window wider than 15
    pixels, every second, third … row and column is looked at. As many threads work as OpenCV
    is set to use; the answer does not depend on it.

    Parameters
    ----------
    slice_index : (h, w) float32
        Positions in the stack, fractional. NaN and inf have no weight.
    guide : (h, w) or (h, w, 3), uint8 or float32
        What shows where surfaces end: the all-in-focus image.
    radius : int
        Of the window in pixels, in [1, 200].
    guide_sigma : float
        Standard deviation σ in the unit of the guide, > 0.
    weight : (h, w) float32, optional
        Of each pixel's value, in [0, 1], resolved to 1/127: the confidence. All 1 by default.

    Returns
    -------
    (h, w) float32
        Resolved to 1/64 slice, in stacks of up to 512 slices. Where no neighbour has weight, the
        value as it was.

    Raises
    ------
    OptionError
        If `radius` or `guide_sigma` is out of range.
    BackendError
        If the shapes do not agree, or the guide is not finite.
    BackendUnavailableError
        If the compiled library is missing.

    References
    ----------
    Ma, He, Wei, Sun, Wu, "Constant Time Weighted Median Filtering for Stereo Matching and
    Beyond", ICCV 2013. Zhang, Xu, Jia, "100+ Times Faster Weighted Median Filter", CVPR 2014.
    """
    if not 1 <= radius <= MAX_RADIUS or int(radius) != radius:
        raise OptionError(f"weighted median radius={radius} is not a whole number in [1, 200]")
    if not (guide_sigma > 0.0 and np.isfinite(guide_sigma)):
        raise OptionError(f"weighted median guide_sigma={guide_sigma} is not above 0 and finite")
    _check(slice_index, guide, weight)
    known = np.isfinite(slice_index)
    if not known.any():
        return slice_index.copy()

    lowest = float(slice_index.min(where=known, initial=np.inf))
    highest = float(slice_index.max(where=known, initial=-np.inf))
    span = highest - lowest
    step = max(_STEP, span / _LARGEST)
    values = np.where(known, (slice_index - np.float32(lowest)) / np.float32(step), 0)
    own = np.float32(_FULL_WEIGHT) * (known if weight is None else np.where(known, weight, 0))
    found = _medians(
        _padded(values, radius),
        _padded(own, radius),
        np.stack([_padded(plane, radius) for plane in _whole_guide(guide, guide_sigma)]),
        radius,
    )[:, : slice_index.shape[1]]
    answer = found.astype(np.float32)
    answer *= np.float32(step)
    answer += np.float32(lowest)
    np.minimum(answer, np.float32(highest), out=answer)  # rounding may not leave the stack
    return np.where(found < 0, slice_index, answer)


def _check(
    slice_index: FloatImage,
    guide: NDArray[np.uint8] | NDArray[np.float32],
    weight: FloatImage | None,
) -> None:
    if slice_index.ndim != 2 or slice_index.size == 0:
        raise BackendError(f"slice positions have shape {slice_index.shape}; give (h, w)")
    if guide.shape not in (slice_index.shape, (*slice_index.shape, 3)):
        raise BackendError(f"guide has shape {guide.shape}, slice positions {slice_index.shape}")
    if not np.isfinite(guide).all():
        raise BackendError("guide has pixels that are NaN or inf; give finite ones")
    if weight is None:
        return
    if weight.shape != slice_index.shape:
        raise BackendError(f"weight has shape {weight.shape}, slice positions {slice_index.shape}")
    if not (weight.min() >= 0.0 and weight.max() <= 1.0):  # NaN fails this comparison too
        raise BackendError(f"weight is in [{weight.min()}, {weight.max()}], not in [0, 1]")


def _whole_guide(
    guide: NDArray[np.uint8] | NDArray[np.float32], guide_sigma: float
) -> list[FloatImage]:
    """Channels in the unit in which a difference of `_FULL_WEIGHT` gives no weight."""
    lowest, highest = float(guide.min()), float(guide.max())
    scale = _FULL_WEIGHT / (_REACH * guide_sigma)
    # However small sigma is, differences must not overflow.
    scale = min(scale, _LARGEST / max(highest - lowest, 1e-30))
    channels = cv2.split(guide)
    return [
        (plane.astype(np.float32) - np.float32(lowest)) * np.float32(scale) for plane in channels
    ]


def _padded(plane: FloatImage, radius: int) -> NDArray[np.int16]:
    """Rounded, with the margin of zeros that the windows of the outermost pixels reach into."""
    right = radius + -plane.shape[1] % _LANES
    whole = np.rint(plane).astype(np.int16)
    padded = cv2.copyMakeBorder(whole, radius, radius, radius, right, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(padded, dtype=np.int16)


def _medians(
    values: NDArray[np.int16],
    weights: NDArray[np.int16],
    guide: NDArray[np.int16],
    radius: int,
) -> NDArray[np.int16]:
    """Medians without the margin; -1 where nothing has weight."""
    height, width = values.shape[0] - 2 * radius, values.shape[1] - 2 * radius
    answer = np.empty((height, width), dtype=np.int16)
    threads = min(max(cv2.getNumThreads(), 1), height)
    _function()(
        values, weights, guide, len(guide), height, values.shape[1], radius, threads, answer
    )
    return answer


@lru_cache(maxsize=1)
def _function() -> Any:
    try:
        function = compiled_library().focdepth_weighted_median
    except AttributeError as error:
        raise BackendUnavailableError(
            "the compiled library is of an older version, without the weighted median; install "
            "the package again"
        ) from error
    plane = np.ctypeslib.ndpointer(np.int16, flags="C_CONTIGUOUS")
    function.argtypes = [plane] * 3 + [ctypes.c_int32] * 5 + [plane]
    function.restype = None
    return function
