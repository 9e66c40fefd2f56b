"""Multi-label graph cut on an image grid, solved by the compiled alpha-expansion."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.compiled import compiled_library
from focdepth_ros.errors import BackendError, BackendUnavailableError, OptionError
from focdepth_ros.stack import FloatImage

MAX_LABELS = 256
MAX_PIXELS = 1 << 28

_RUNS_OUT_OF_MEMORY, _IS_NOT_FINITE = 1, 2


def alpha_expansion(
    unary: NDArray[np.float32],
    weight_right: FloatImage,
    weight_down: FloatImage,
    *,
    truncation: int,
    start: NDArray[np.uint8] | None = None,
    max_cycles: int = 4,
) -> tuple[NDArray[np.uint8], float]:
    """Labels of low energy ``sum_p U[l_p, p] + sum_pq w_pq min(|l_p - l_q|, T)``.

    Neighbours are the four next pixels. The truncated linear term is a metric, so every
    expansion move is solved exactly and the result is within twice the minimum.

    Parameters
    ----------
    unary : (L, H, W) float32
        Cost U of giving each pixel each label; finite. What it is above the least cost of the
        pixel is resolved to 1/1024, and counts as 65536 from there on.
    weight_right, weight_down : (H, W) float32
        Weight w between a pixel and the one to its right, or below it; >= 0, resolved to 1/1024.
        From 4096 / T on it counts as that much. The last column of the one and the last row of
        the other are not used.
    truncation : int
        Difference T of labels beyond which a larger one costs no more, in [1, 255].
    start : (H, W) uint8, optional
        Labels to start from; the cheapest by unary cost by default.
    max_cycles : int
        How often at most every label is tried, >= 1.

    Returns
    -------
    labels : (H, W) uint8
    energy : float

    Raises
    ------
    OptionError
        If `truncation` or `max_cycles` is out of range.
    BackendError
        If shapes do not agree, a cost is not finite, a weight is negative, there are more than
        256 labels, or memory ran out.
    BackendUnavailableError
        If the compiled library is missing.

    References
    ----------
    Boykov, Veksler, Zabih, "Fast Approximate Energy Minimization via Graph Cuts", IEEE TPAMI
    23(11), 2001. Boykov, Kolmogorov, "An Experimental Comparison of Min-Cut/Max-Flow
    Algorithms for Energy Minimization in Vision", IEEE TPAMI 26(9), 2004.
    """
    if int(max_cycles) != max_cycles or max_cycles < 1:
        raise OptionError(f"graph cut max_cycles={max_cycles} is not a whole number from 1 on")
    _check(unary, weight_right, weight_down, truncation)
    labels = np.argmin(unary, axis=0) if start is None else start
    if labels.shape != unary.shape[1:]:
        raise BackendError(f"start has shape {labels.shape}, the unary {unary.shape[1:]}")
    if labels.min() < 0 or labels.max() >= len(unary):
        raise BackendError(
            f"start has labels in [{labels.min()}, {labels.max()}], the unary has {len(unary)}"
        )
    return _cut(unary, weight_right, weight_down, truncation, max_cycles, labels)


def cut_fast(
    unary: NDArray[np.float32],
    weight_right: FloatImage,
    weight_down: FloatImage,
    *,
    truncation: int,
) -> tuple[NDArray[np.uint8], float]:
    """Labels of an energy close to that of `alpha_expansion`, many times as fast.

    From coarse to fine, each grid half as wide as the next: the energy of labels that are the
    same all over blocks of 2 x 2 pixels is the same kind of energy. The coarsest grid is cut as a
    whole. On the finer ones, expansion moves take in only the pixels near the borders of the
    surfaces found so far, and those that would rather have another label.

    Parameters
    ----------
    unary, weight_right, weight_down, truncation
        As in `alpha_expansion`.

    Returns
    -------
    labels : (H, W) uint8
    energy : float

    Raises
    ------
    OptionError, BackendError, BackendUnavailableError
        As `alpha_expansion`.

    References
    ----------
    Lombaert, Sun, Grady, Xu, "A Multilevel Banded Graph Cuts Method for Fast Image
    Segmentation", ICCV 2005.
    """
    _check(unary, weight_right, weight_down, truncation)
    labels = np.empty(unary.shape[1:], np.uint8)
    return _cut(unary, weight_right, weight_down, truncation, 0, labels)


def library_missing_because() -> str | None:
    """Why the compiled library cannot be used and what to do, or None if it can."""
    try:
        _function()
    except BackendUnavailableError as error:
        return str(error)
    return None


def _check(
    unary: NDArray[np.float32],
    weight_right: FloatImage,
    weight_down: FloatImage,
    truncation: int,
) -> None:
    if int(truncation) != truncation or not 1 <= truncation < MAX_LABELS:
        raise OptionError(
            f"graph cut truncation={truncation} is not a whole number in [1, {MAX_LABELS - 1}]"
        )
    if unary.ndim != 3 or unary.size == 0:
        raise BackendError(f"unary has shape {unary.shape}; give (labels, height, width)")
    count, height, width = unary.shape
    if count > MAX_LABELS:
        raise BackendError(f"graph cut has {count} labels, at most {MAX_LABELS} are possible")
    if height * width > MAX_PIXELS:
        raise BackendError(
            f"graph cut has {width}x{height} pixels, at most {MAX_PIXELS} are possible"
        )
    for name, weight in (("weight_right", weight_right), ("weight_down", weight_down)):
        if weight.shape != (height, width):
            raise BackendError(f"{name} has shape {weight.shape}, the unary {(height, width)}")
        lowest, highest = float(weight.min()), float(weight.max())
        if not (lowest >= 0.0 and highest < np.inf):  # NaN fails this comparison too
            raise BackendError(f"{name} is in [{lowest}, {highest}]; give finite weights >= 0")


def _cut(
    unary: NDArray[np.float32],
    weight_right: FloatImage,
    weight_down: FloatImage,
    truncation: int,
    max_cycles: int,
    start: NDArray[Any],
) -> tuple[NDArray[np.uint8], float]:
    """Expansion moves of all pixels from `start`, or with 0 cycles from coarse to fine."""
    labels = np.array(start, dtype=np.uint8, order="C")
    energy = ctypes.c_double()
    result = _function()(
        *(np.ascontiguousarray(term, np.float32) for term in (unary, weight_right, weight_down)),
        *(unary.shape[1], unary.shape[2], unary.shape[0], truncation, max_cycles),
        labels,
        ctypes.byref(energy),
    )
    if result == _IS_NOT_FINITE:
        raise BackendError("unary has costs that are NaN or inf; give finite ones")
    if result == _RUNS_OUT_OF_MEMORY:
        shape = " x ".join(str(size) for size in unary.shape)
        raise BackendError(f"graph cut of {shape} ran out of memory")
    return labels, energy.value


@lru_cache(maxsize=1)
def _function() -> Any:
    try:
        function = compiled_library().focdepth_graph_cut
    except AttributeError as error:
        raise BackendUnavailableError(
            "the compiled library is of an older version, without this graph cut; install the "
            "package again"
        ) from error
    terms = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
    labels = np.ctypeslib.ndpointer(np.uint8, ndim=2, flags="C_CONTIGUOUS")
    function.argtypes = [terms] * 3 + [ctypes.c_int32] * 5
    function.argtypes += [labels, ctypes.POINTER(ctypes.c_double)]
    function.restype = ctypes.c_int32
    return function
