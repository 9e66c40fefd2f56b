"""How sharp an image is around each pixel: what all focus measures have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from itertools import combinations
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage, ImageArray

#: Pixels beyond the border of an image are its mirror, without the border itself twice.
BORDER = cv2.BORDER_REFLECT_101

_STRIP_PIXELS = 1 << 16

#: A place is known where at least this share of its window was in view.
MIN_WINDOW_IN_VIEW = 0.5


def grey_image(image: ImageArray) -> ImageArray:
    """Luma of an RGB image (ITU-R BT.601); a mono image as it is.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8

    Returns
    -------
    (H, W) uint8
    """
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def gaussian_size(sigma: float) -> int:
    """Length of a Gaussian kernel that leaves out nothing of weight: 4 sigma to either side."""
    return round(8.0 * sigma + 1.0) | 1


def area_reduced(values: FloatImage, reduction: int) -> FloatImage:
    """Means over the cells of a grid that is coarser by `reduction`.

    Parameters
    ----------
    values : (H, W) float32
    reduction : int

    Returns
    -------
    (ceil(H / reduction), ceil(W / reduction)) float32
    """
    if reduction == 1:
        return values
    height, width = values.shape
    size = (-(-width // reduction), -(-height // reduction))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def window_average(values: FloatImage, sigma: float) -> FloatImage:
    """Average over a Gaussian window; `sigma` in pixels of the values, (h, w) float32."""
    size = (gaussian_size(sigma),) * 2
    return np.asarray(cv2.GaussianBlur(values, size, sigma, borderType=BORDER), np.float32)


class FocusMeasure(ABC):
    """Local energy of linear filters' responses to an image.

    With the responses ``r_i`` the energy is ``sum r_i²``, or ``(sum |r_i|)²`` for operators that
    are defined by magnitudes, averaged over a Gaussian window, so that a pixel's measure speaks
    for its neighbourhood and the noise of single pixels evens out. It is divided by the energy
    with which the operator answers to white noise of variance 1. So the measure of an image that
    shows nothing but noise is the variance of the noise, whatever the operator, and measures of
    different operators have one unit and one noise floor.

    References
    ----------
    Pertuz, Puig, Garcia, "Analysis of focus measure operators for shape-from-focus", Pattern
    Recognition 46(5), 2013: the operators and their names.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    #: Whether the energy is that of the sum of magnitudes.
    sums_magnitudes: ClassVar[bool] = False

    @abstractmethod
    def responses(self, grey: FloatImage) -> tuple[FloatImage, ...]:
        """Responses of the operator's linear filters.

        Parameters
        ----------
        grey : (H, W) float32
            It is left as it is.

        Returns
        -------
        tuple of (H, W) float32
        """

    @property
    @abstractmethod
    def reach(self) -> int:
        """Distance in pixels, along rows and columns, up to which a pixel counts in a response."""

    @cached_property
    def kernels(self) -> NDArray[np.float32]:
        """The filters as kernels to correlate with, (M, 2 reach + 1, 2 reach + 1)."""
        reach = self.reach
        impulse = np.zeros((4 * reach + 1,) * 2, np.float32)
        impulse[2 * reach, 2 * reach] = 1.0
        responses = np.stack(self.responses(impulse))
        # The response to an impulse is the kernel, turned by half a turn.
        turned = slice(3 * reach, reach - 1, -1)
        return responses[:, turned, turned]

    @cached_property
    def noise_gain(self) -> float:
        """Expected energy of the response to white Gaussian noise of variance 1."""
        kernels = self.kernels.astype(np.float64).reshape(len(self.kernels), -1)
        covariance = kernels @ kernels.T
        gain = float(np.trace(covariance))
        if self.sums_magnitudes:
            for i, j in combinations(range(len(kernels)), 2):
                # E|a||b| of two normal variables.
                scale = math.sqrt(covariance[i, i] * covariance[j, j])
                correlation = min(1.0, max(-1.0, covariance[i, j] / scale))
                expected = math.sqrt(1.0 - correlation**2) + correlation * math.asin(correlation)
                gain += 2.0 * scale * (2.0 / math.pi) * expected
        return gain

    def __call__(
        self,
        image: ImageArray,
        *,
        window_sigma: float,
        reduction: int = 1,
        valid_mask: NDArray[np.bool_] | None = None,
    ) -> FloatImage:
        """Measure an image.

        Parameters
        ----------
        image : (H, W, 3) RGB or (H, W) uint8
        window_sigma : float
            Of the averaging window, in pixels of the image.
        reduction : int
            The measure is smooth, so it can be kept on a grid that is coarser by this factor.
        valid_mask : (H, W) bool, optional
            False where the image shows nothing. Neither such pixels vote nor those whose
            response they have a part in; the window is averaged over the others.

        Returns
        -------
        (ceil(H / reduction), ceil(W / reduction)) float32
            In squared grey levels of noise. NaN where more than half of the window was out of
            view.
        """
        sigma = window_sigma / reduction
        if valid_mask is None or valid_mask.all():
            measure = window_average(self._reduced_energy(image, reduction), sigma)
            return np.multiply(measure, 1.0 / self.noise_gain, out=measure)
        # No edge of the mask may look like one of the scene.
        around = np.ones((2 * self.reach + 1,) * 2, np.uint8)
        voting = cv2.erode(valid_mask.view(np.uint8), around).astype(np.float32)
        measure = window_average(self._reduced_energy(image, reduction, voting), sigma)
        votes = window_average(area_reduced(voting, reduction), sigma)
        known = votes >= MIN_WINDOW_IN_VIEW
        votes *= self.noise_gain
        return np.divide(measure, votes, out=np.full_like(measure, np.nan), where=known)

    def _reduced_energy(
        self, image: ImageArray, reduction: int, weight: FloatImage | None = None
    ) -> FloatImage:
        """Energy of the responses, times a weight (H, W) if given, on the coarser grid.

        It is made in strips that stay in the cache, which halves the time.
        """
        height, width = image.shape[:2]
        divides = height % reduction == 0 and width % reduction == 0
        cell = reduction if divides else 1  # of the grid that strips are put together on
        energy = np.empty((height // cell, width // cell), np.float32)
        rows = max(_STRIP_PIXELS // width, 4 * self.reach, cell)
        rows -= rows % cell
        for top in range(0, height, rows):
            end = min(top + rows, height)
            first = max(top - self.reach, 0)
            grey = grey_image(image[first : end + self.reach]).astype(np.float32)
            strip = self._energy(grey)[top - first : end - first]
            if weight is not None:
                strip *= weight[top:end]
            energy[top // cell : end // cell] = area_reduced(strip, cell)
        return energy if divides else area_reduced(energy, reduction)

    def _energy(self, grey: FloatImage) -> FloatImage:
        """Energy of the responses, before noise is taken into account, (H, W) float32."""
        first, *others = self.responses(grey)
        if self.sums_magnitudes:
            np.abs(first, out=first)
            for response in others:
                first += np.abs(response, out=response)
        np.multiply(first, first, out=first)
        if not self.sums_magnitudes:
            for response in others:
                first += np.multiply(response, response, out=response)
        return first
