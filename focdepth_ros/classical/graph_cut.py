"""Multi-label graph cut on an image grid, solved by the compiled alpha-expansion."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import focdepth_ros
from focdepth_ros.errors import BackendError, BackendUnavailableError

LIBRARY_NAME = "lib_focdepth_graph_cut.so"
MAX_LABELS = 256

# Costs are whole numbers inside the cut. A path of the search trees sums up many of them,
# so they stay far below 2^31.
_COST_SCALE = 1024.0
_MAX_COST = 1 << 22


def alpha_expansion(
    unary: NDArray[np.float32],
    weight_right: NDArray[np.float32],
    weight_down: NDArray[np.float32],
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
        Cost U of giving each pixel each label; finite, resolved to 1/1024.
    weight_right, weight_down : (H, W) float32
        Weight w between a pixel and the one to its right, or below it; >= 0. The last column
        and the last row respectively are not used.
    truncation : int
        Difference T of labels beyond which a larger one costs no more.
    start : (H, W) uint8, optional
        Labels to start from; the cheapest by unary cost by default.
    max_cycles : int
        How often at most every label is tried.

    Returns
    -------
    labels : (H, W) uint8
    energy : float

    Raises
    ------
    BackendUnavailableError
        If the compiled library is missing.
    BackendError
        If shapes do not agree, there are more than 256 labels, or memory ran out.

    References
    ----------
    Boykov, Veksler, Zabih, "Fast Approximate Energy Minimization via Graph Cuts", IEEE TPAMI
    23(11), 2001. Boykov, Kolmogorov, "An Experimental Comparison of Min-Cut/Max-Flow
    Algorithms for Energy Minimization in Vision", IEEE TPAMI 26(9), 2004.
    """
    count, height, width = unary.shape
    if count > MAX_LABELS:
        raise BackendError(f"graph cut has {count} labels, at most {MAX_LABELS} are possible")
    for name, weight in (("weight_right", weight_right), ("weight_down", weight_down)):
        if weight.shape != (height, width):
            raise BackendError(f"{name} has shape {weight.shape}, the unary {(height, width)}")
    labels = (np.argmin(unary, axis=0) if start is None else start).astype(np.uint8)
    labels = np.ascontiguousarray(labels)
    if labels.shape != (height, width):
        raise BackendError(f"start has shape {labels.shape}, the unary {(height, width)}")
    energy = _library().focdepth_alpha_expansion(
        _whole(unary),
        _whole(weight_right),
        _whole(weight_down),
        height,
        width,
        count,
        truncation,
        max_cycles,
        labels,
    )
    if energy < 0:
        raise BackendError(f"graph cut of {count} x {height} x {width} ran out of memory")
    return labels, energy / _COST_SCALE


def library_missing_because() -> str | None:
    """Why the compiled library cannot be used and what to do, or None if it can."""
    try:
        _library()
    except BackendUnavailableError as error:
        return str(error)
    return None


def _whole(cost: NDArray[np.float32]) -> NDArray[np.int32]:
    scaled = np.multiply(cost, np.float32(_COST_SCALE))
    np.minimum(scaled, np.float32(_MAX_COST), out=scaled)
    return np.ascontiguousarray(np.rint(scaled, out=scaled), dtype=np.int32)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    # The package can be spread over a source tree and an installed one that holds what was
    # compiled; all its places are on __path__.
    for root in focdepth_ros.__path__:
        path = Path(root) / "classical" / LIBRARY_NAME
        if path.is_file():
            break
    else:
        raise BackendUnavailableError(
            f"{LIBRARY_NAME} has not been built; install a C++ compiler and install the "
            "package again"
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise BackendUnavailableError(f"{path} cannot be loaded: {error}") from error
    whole = np.ctypeslib.ndpointer(np.int32, flags="C_CONTIGUOUS")
    labels = np.ctypeslib.ndpointer(np.uint8, ndim=2, flags="C_CONTIGUOUS")
    library.focdepth_alpha_expansion.argtypes = [whole] * 3 + [ctypes.c_int32] * 5 + [labels]
    library.focdepth_alpha_expansion.restype = ctypes.c_int64
    return library
