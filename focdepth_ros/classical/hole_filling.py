"""Positions for pixels of which none is known, from those around them."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import BackendError, OptionError
from focdepth_ros.stack import FloatImage, ImageArray

# Of a neighbour across the sharpest edge: what is enclosed by edges still takes from outside.
_LEAST_WEIGHT = 1e-3
# Over the finest level, which starts from a good answer. Each coarser one gets twice as many of
# the next finer one, at half their price, up to the limit.
_SWEEPS, _MOST_SWEEPS = 8, 64


class _Level(NamedTuple):
    values: FloatImage  # 0 where not known
    known: NDArray[np.bool_]
    guide: ImageArray


def fill_holes(
    slice_index: FloatImage,
    known: NDArray[np.bool_],
    guide: ImageArray,
    *,
    guide_sigma: float = 8.0,
) -> FloatImage:
    """Stretch a membrane over the holes that is held by the pixels around them.

    The filled values minimise ``sum_pq w_pq (u_p - u_q)²`` over neighbours, with ``w = exp(-d² /
    2σ²)`` of the largest difference d of a channel of the guide: they run on smoothly, and break
    where the guide has an edge. On positions in the stack, which are linear in dioptres, a plane
    is continued as a plane. The sum is minimised from coarse to fine, each level starting from the
    coarser one's answer, with a fixed number of sweeps: time is linear in pixels, whatever the
    size of the holes.

    A filled value is a guess, and callers mark it so: its confidence is 0. Finite depth of
    confidence 0 is what was filled.

    Parameters
    ----------
    slice_index : (h, w) float32
        Fractional positions in the stack, or dioptres; not metres.
    known : (h, w) bool
        False where the value is to be replaced. Values that are not finite are not known.
    guide : (h, w, 3) or (h, w) uint8
        The all-in-focus image.
    guide_sigma : float
        Difference σ of the guide at which neighbours begin to part, in grey levels, > 0.

    Returns
    -------
    (h, w) float32
        Known values exactly as they were. If nothing is known, all NaN.

    Raises
    ------
    OptionError
        If `guide_sigma` is out of range.
    BackendError
        If the shapes do not agree.

    References
    ----------
    Levin, Lischinski, Weiss, "Colorization using Optimization", SIGGRAPH 2004, equation 1, on
    the four next neighbours. Briggs, Henson, McCormick, "A Multigrid Tutorial", SIAM 2000,
    chapter 3, nested iteration.
    """
    if not (guide_sigma > 0.0 and np.isfinite(guide_sigma)):
        raise OptionError(f"hole filling guide_sigma={guide_sigma} is not above 0 and finite")
    shape = slice_index.shape
    if slice_index.ndim != 2 or known.shape != shape or guide.shape not in (shape, (*shape, 3)):
        raise BackendError(
            f"positions {shape}, known {known.shape} and guide {guide.shape} do not fit together"
        )
    known = known & np.isfinite(slice_index)
    if not known.any():
        return np.full(shape, np.nan, dtype=np.float32)
    values = np.where(known, slice_index, np.float32(0))
    levels = [_Level(values, known, guide)]
    while not levels[-1].known.all():
        levels.append(_coarser(levels[-1]))
    differences = np.arange(256) / guide_sigma
    weights = (np.exp(-0.5 * differences**2) + _LEAST_WEIGHT).astype(np.float32)
    filled = levels[-1].values
    for depth in reversed(range(len(levels) - 1)):
        sweeps = min(_SWEEPS * 2**depth, _MOST_SWEEPS)
        filled = _refined(filled, levels[depth], weights, sweeps)
    return filled


def _coarser(level: _Level) -> _Level:
    """Half the size; a cell is known if any of its pixels is."""
    height, width = level.known.shape
    size = (-(-width // 2), -(-height // 2))
    share = cv2.resize(level.known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    values = cv2.resize(level.values, size, interpolation=cv2.INTER_AREA)
    known = share > 0
    np.divide(values, share, out=values, where=known)
    guide = cv2.resize(level.guide, size, interpolation=cv2.INTER_AREA)
    return _Level(np.asarray(values, np.float32), known, np.asarray(guide, np.uint8))


def _refined(
    coarse: FloatImage, level: _Level, weights: NDArray[np.float32], sweeps: int
) -> FloatImage:
    """The coarser level's answer, brought to this level by Jacobi sweeps over the holes."""
    height, width = level.known.shape
    first = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    values = np.where(level.known, level.values, np.asarray(first, np.float32))
    right = _similarity(level.guide[:, :-1], level.guide[:, 1:], weights)
    down = _similarity(level.guide[:-1], level.guide[1:], weights)
    inverse = 1.0 / _from_neighbours(np.ones_like(values), right, down)
    holes = ~level.known
    for _ in range(sweeps):
        around = _from_neighbours(values, right, down)
        np.multiply(around, inverse, out=values, where=holes)
    return values


def _similarity(one: ImageArray, other: ImageArray, weights: NDArray[np.float32]) -> FloatImage:
    if one.size == 0:  # of an image one pixel wide or high
        return np.zeros(one.shape[:2], dtype=np.float32)
    difference = cv2.absdiff(one, other)
    if difference.ndim == 3:
        red, green, blue = cv2.split(difference)
        difference = cv2.max(cv2.max(red, green), blue)
    return np.asarray(cv2.LUT(difference, weights), dtype=np.float32)


def _from_neighbours(values: FloatImage, right: FloatImage, down: FloatImage) -> FloatImage:
    """Weighted sum of the four next pixels."""
    total = np.zeros_like(values)
    total[:, :-1] += right * values[:, 1:]
    total[:, 1:] += right * values[:, :-1]
    total[:-1] += down * values[1:]
    total[1:] += down * values[:-1]
    return total
