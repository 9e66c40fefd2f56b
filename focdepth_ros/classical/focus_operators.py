"""The focus measures, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.focus_measure import BORDER, FocusMeasure, gaussian_size
from focdepth_ros.errors import OptionError
from focdepth_ros.options import check_options, option, option_infos
from focdepth_ros.stack import FloatImage

_MAX_SIGMA = 100.0  # pixels


@dataclass(frozen=True)
class LaplacianOfGaussian(FocusMeasure):
    """Laplacian of the smoothed image: ``r = ∇² (G * I)``.

    Pertuz's LAP1 on a smoothed image; the measure of most focus stackers.
    """

    name = "laplacian_of_gaussian"
    summary = "second derivatives of the smoothed image; the default"

    sigma: float = option(
        1.0,
        "sigma of the Gaussian in pixels; 0: what OpenCV takes for a kernel of gaussian_size",
        minimum=0.0,
        maximum=_MAX_SIGMA,
    )
    gaussian_size: int = option(
        0,
        "side of the Gaussian kernel in pixels, odd; 0: as large as sigma asks for",
        minimum=0,
        maximum=gaussian_size(_MAX_SIGMA),
    )
    laplacian_size: int = option(
        1,
        "aperture of the Laplacian kernel in pixels, odd; 1: the four next neighbours",
        minimum=1,
        maximum=31,  # OpenCV's limit
    )

    def __post_init__(self) -> None:
        check_options(self, self.name)
        for name in ("gaussian_size", "laplacian_size"):
            value = getattr(self, name)
            if value != 0 and value % 2 == 0:
                raise OptionError(
                    f"{self.name} option '{name}' is {value}; a kernel has a middle, so give an "
                    "odd number of pixels"
                )

    @property
    def reach(self) -> int:
        return _smoothing_size(self.sigma, self.gaussian_size) // 2 + max(
            1, self.laplacian_size // 2
        )

    def responses(self, grey: FloatImage) -> tuple[FloatImage, ...]:
        smooth = _smoothed(grey, self.sigma, self.gaussian_size)
        response = cv2.Laplacian(smooth, cv2.CV_32F, ksize=self.laplacian_size, borderType=BORDER)
        return (np.asarray(response, np.float32),)


@dataclass(frozen=True)
class ModifiedLaplacian(FocusMeasure):
    """Magnitudes of the second derivatives, so that those of opposite signs do not cancel.

    ``r_x = 2 I(x, y) - I(x - s, y) - I(x + s, y)``, ``r_y`` likewise, energy
    ``(|r_x| + |r_y|)²``, on a smoothed image. Pertuz's LAP2.

    References
    ----------
    Nayar, Nakagawa, "Shape from Focus", IEEE TPAMI 16(8), 1994, section 4.
    """

    name = "modified_laplacian"
    summary = "magnitudes of the second derivatives along rows and columns"
    sums_magnitudes = True

    sigma: float = option(
        1.0,
        "sigma of the Gaussian before it, in pixels; 0: none",
        minimum=0.0,
        maximum=_MAX_SIGMA,
    )
    step: int = option(1, "distance s of the neighbours, in pixels", minimum=1, maximum=100)

    def __post_init__(self) -> None:
        check_options(self, self.name)

    @property
    def reach(self) -> int:
        return _smoothing_size(self.sigma) // 2 + self.step

    def responses(self, grey: FloatImage) -> tuple[FloatImage, ...]:
        smooth = _smoothed(grey, self.sigma)
        row = np.zeros((1, 2 * self.step + 1), np.float32)
        row[0, [0, self.step, -1]] = -1.0, 2.0, -1.0
        return _correlated(smooth, row), _correlated(smooth, row.T)


@dataclass(frozen=True)
class Tenengrad(FocusMeasure):
    """Energy of the gradient, ``r_x² + r_y²`` by the Sobel operator, on a smoothed image.

    Pertuz's GRA6.

    References
    ----------
    Krotkov, "Focusing", International Journal of Computer Vision 1(3), 1987, after Tenenbaum.
    """

    name = "tenengrad"
    summary = "energy of the gradient"

    sigma: float = option(
        1.0,
        "sigma of the Gaussian before it, in pixels; 0: none",
        minimum=0.0,
        maximum=_MAX_SIGMA,
    )

    def __post_init__(self) -> None:
        check_options(self, self.name)

    @property
    def reach(self) -> int:
        return _smoothing_size(self.sigma) // 2 + 1

    def responses(self, grey: FloatImage) -> tuple[FloatImage, ...]:
        smooth = _smoothed(grey, self.sigma)
        across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, borderType=BORDER)
        down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, borderType=BORDER)
        return np.asarray(across, np.float32), np.asarray(down, np.float32)


@dataclass(frozen=True)
class RingDifference(FocusMeasure):
    """Mean of a disc less that of a ring around it.

    ``r = mean of I where ρ <= disc_radius - mean of I where ring_inner < ρ <= ring_outer`` with
    the distance ρ from the pixel. Averages of many pixels suppress noise; the gap between disc
    and ring makes up for it with signal.

    References
    ----------
    Surh, Jeon, Park, Im, Ha, Kweon, "Noise Robust Depth from Focus Using a Ring Difference
    Filter", CVPR 2017.
    """

    name = "ring_difference"
    summary = "mean of a disc less that of a ring around it; robust against noise"

    disc_radius: float = option(
        1.0, "radius of the disc in pixels", minimum=0.0, maximum=_MAX_SIGMA
    )
    ring_inner: float = option(
        2.0, "inner radius of the ring in pixels", minimum=0.0, maximum=_MAX_SIGMA
    )
    ring_outer: float = option(
        3.0, "outer radius of the ring in pixels", minimum=0.0, maximum=_MAX_SIGMA
    )

    def __post_init__(self) -> None:
        check_options(self, self.name)
        if not self.disc_radius <= self.ring_inner < self.ring_outer:
            raise OptionError(
                f"{self.name} radii {self.disc_radius}, {self.ring_inner}, {self.ring_outer} px "
                "do not rise; give disc_radius <= ring_inner < ring_outer"
            )
        if not self._ring.any():
            raise OptionError(
                f"{self.name} has no pixel between ring_inner={self.ring_inner} and "
                f"ring_outer={self.ring_outer}; make the ring wider"
            )

    @property
    def reach(self) -> int:
        return int(self.ring_outer)

    @property
    def _radius(self) -> NDArray[np.float64]:
        steps = np.arange(-self.reach, self.reach + 1)
        return np.hypot(steps[:, np.newaxis], steps)

    @property
    def _ring(self) -> NDArray[np.bool_]:
        radius = self._radius
        return np.asarray((radius > self.ring_inner) & (radius <= self.ring_outer))

    def responses(self, grey: FloatImage) -> tuple[FloatImage, ...]:
        disc, ring = self._radius <= self.disc_radius, self._ring
        kernel = disc / disc.sum() - ring / ring.sum()
        return (_correlated(grey, kernel.astype(np.float32)),)


@dataclass(frozen=True)
class Wavelet(FocusMeasure):
    """Energy of the details of several scales.

    The undecimated (à trous) wavelet transform: ``c_0 = I``, ``c_j = c_{j-1}`` smoothed by the
    cubic B-spline ``(1, 4, 6, 4, 1) / 16`` with ``2^(j-1) - 1`` holes between its taps, details
    ``r_j = 4^-j (c_{j-1} - c_j)``. The difference of two smoothings is close to the curvature
    times ``4^j``, so by that factor all levels measure the same, and coarse structures, which
    defocus hardly changes, do not outvote fine ones. The finest level is mostly noise.

    References
    ----------
    Starck, Murtagh, Bijaoui, "Image Processing and Data Analysis: The Multiscale Approach",
    Cambridge University Press 1998: the transform. Yang, Nelson, "Wavelet-based autofocusing and
    unsupervised segmentation of microscopic images", IROS 2003: as a focus measure; Pertuz's
    WAV1, with squares.
    """

    name = "wavelet"
    summary = "details of several scales of a wavelet transform"

    finest: int = option(
        2, "first level of detail that counts; 1 is the finest", minimum=1, maximum=4
    )
    levels: int = option(2, "number of levels that count", minimum=1, maximum=4)

    def __post_init__(self) -> None:
        check_options(self, self.name)

    @property
    def reach(self) -> int:
        return 2 * ((1 << (self.finest + self.levels - 1)) - 1)

    def responses(self, grey: FloatImage) -> tuple[FloatImage, ...]:
        coarse = grey
        details = []
        for level in range(1, self.finest + self.levels):
            spline = np.zeros(2 ** (level + 1) + 1, np.float32)
            spline[:: 2 ** (level - 1)] = np.array([1, 4, 6, 4, 1]) / 16.0
            finer = coarse
            coarse = np.asarray(
                cv2.sepFilter2D(finer, cv2.CV_32F, spline, spline, borderType=BORDER), np.float32
            )
            if level >= self.finest:
                weight = 4.0**-level
                detail = cv2.addWeighted(finer, weight, coarse, -weight, 0.0)
                details.append(np.asarray(detail, np.float32))
        return tuple(details)


_MEASURES: dict[str, type[FocusMeasure]] = {
    measure.name: measure
    for measure in (LaplacianOfGaussian, ModifiedLaplacian, Tenengrad, RingDifference, Wavelet)
}
_SHORT_NAMES = {"log": LaplacianOfGaussian.name}


def focus_measure_names() -> tuple[str, ...]:
    """Names of all focus measures, the default first."""
    return tuple(_MEASURES)


def create_focus_measure(name: str = LaplacianOfGaussian.name, **options: Any) -> FocusMeasure:
    """Make a focus measure by name."""
    measure = _MEASURES.get(_SHORT_NAMES.get(name, name))
    if measure is None:
        raise OptionError(
            f"there is no focus measure '{name}'; choose one of {', '.join(_MEASURES)}"
        )
    known = [info.name for info in option_infos(measure)]
    for option_name in options:
        if option_name not in known:
            raise OptionError(
                f"focus measure '{measure.name}' has no option '{option_name}'; "
                f"it has {', '.join(known)}"
            )
    return measure(**options)


def _smoothing_size(sigma: float, size: int = 0) -> int:
    """Side of the Gaussian kernel; 1 for none."""
    return size or (gaussian_size(sigma) if sigma > 0.0 else 1)


def _smoothed(grey: FloatImage, sigma: float, size: int = 0) -> FloatImage:
    side = _smoothing_size(sigma, size)
    if side == 1:
        return grey
    return np.asarray(cv2.GaussianBlur(grey, (side, side), sigma, borderType=BORDER), np.float32)


def _correlated(image: FloatImage, kernel: FloatImage) -> FloatImage:
    return np.asarray(cv2.filter2D(image, cv2.CV_32F, kernel, borderType=BORDER), np.float32)
