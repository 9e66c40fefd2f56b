"""Point-spread functions of a defocused lens on a pixel grid.

A continuous disc of radius r has the variance r²/4 along each axis. The discrete kernels here
have exactly that variance, so that blur grows evenly with defocus, below one pixel as well.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_NO_BLUR = 0.02  # radius in px below which a kernel is one pixel


@lru_cache(maxsize=512)
def disc_kernel(radius: float) -> NDArray[np.float32]:
    """The image of a point through a round aperture.

    Parameters
    ----------
    radius : float
        Radius of the circle of confusion in pixels.

    Returns
    -------
    (K, K) float32
        Sums to 1; K is odd. Every pixel weighs the area that a disc covers of it; the radius
        of that disc is the one for which the kernel has the variance ``radius² / 4``.
    """
    if radius < _NO_BLUR:
        return np.ones((1, 1), dtype=np.float32)
    low, high = 0.5, radius + 1.0
    while high - low > 1e-4:
        middle = 0.5 * (low + high)
        if _variance(middle) < radius**2 / 4.0:
            low = middle
        else:
            high = middle
    return _frozen(_covered_area(high))


def gaussian_kernel(radius: float) -> NDArray[np.float32]:
    """A Gaussian of the same variance as a disc, for lenses with aberrations, 1-D.

    Parameters
    ----------
    radius : float
        Radius of the circle of confusion in pixels; the standard deviation is half of it.

    Returns
    -------
    (K,) float32
        Sums to 1; K is odd. To be applied along rows and along columns.

    References
    ----------
    Lindeberg, "Scale-Space for Discrete Signals", IEEE TPAMI 12(3), 1990, eq. 14 and 21.
    """
    return _discrete_gaussian(radius)


@lru_cache(maxsize=512)
def _discrete_gaussian(radius: float) -> NDArray[np.float32]:
    if radius < _NO_BLUR:
        return np.ones(1, dtype=np.float32)
    variance = radius**2 / 4.0
    reach = int(np.ceil(2.0 * radius + 1.0))
    count = 4 * reach + 8
    spectrum = np.exp(variance * (np.cos(2.0 * np.pi * np.fft.rfftfreq(count)) - 1.0))
    kernel = np.roll(np.fft.irfft(spectrum, count), reach)[: 2 * reach + 1]
    return _frozen(kernel)


def _covered_area(radius: float) -> NDArray[np.float64]:
    """Area of every pixel that a disc around the centre of the middle one covers."""
    reach = int(np.ceil(radius - 0.5))
    # Exact along one direction, midpoints of narrow strips along the other.
    strips = 16 + 512 // (2 * reach + 1)
    centres = (np.arange((2 * reach + 1) * strips) + 0.5) / strips - 0.5 - reach
    chord = np.sqrt(np.maximum(radius**2 - centres**2, 0.0))
    edges = np.arange(2 * reach + 2) - 0.5 - reach
    length = np.diff(np.clip(edges[None, :], -chord[:, None], chord[:, None]), axis=1)
    area = length.reshape(2 * reach + 1, strips, 2 * reach + 1).mean(axis=1)
    area = area + area.T
    return np.asarray(area / area.sum())


def _variance(radius: float) -> float:
    """Variance along one axis of `_covered_area`, from the area of each column of pixels."""
    reach = int(np.ceil(radius - 0.5))
    edges = np.clip(np.arange(reach + 2) - 0.5, -radius, radius)
    chord = np.sqrt(np.maximum(radius**2 - edges**2, 0.0))
    area = np.diff(edges * chord + radius**2 * np.arcsin(edges / radius))
    return float(2.0 * area[1:] @ np.arange(1, reach + 1) ** 2 / (np.pi * radius**2))


def _frozen(kernel: NDArray[np.float64]) -> NDArray[np.float32]:
    result = np.asarray(kernel / kernel.sum(), dtype=np.float32)
    result.flags.writeable = False
    return result
