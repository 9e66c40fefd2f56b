"""The defocus renderer of `simulation.defocus` in torch, for training on the fly.

The same algorithm: pixels sorted into bins of inverse depth, each bin blurred by its own
point-spread function, the bins put together from near to far. Blurring is a product of spectra
here; those of the bins are computed once for all slices.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from torch import Tensor

from focdepth_ros.defocus.fourier_length import fast_length
from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.defocus import (
    SEPARATE_BLUR,
    Psf,
    blur_per_dioptre,
    blur_radius,
    largest_blur,
)
from focdepth_ros.simulation.psf import disc_kernel, gaussian_kernel
from focdepth_ros.stack import Lens
from focdepth_ros.training.rendering.layered_tensors import LayeredTensors

_LEAST = 1e-6  # share of the aperture; rounding of the transforms stays below


class TorchDefocusRenderer:
    """Pictures of one `LayeredTensors` at any focus distance.

    Parameters
    ----------
    view : LayeredTensors
        With a margin not below the largest blur radius.
    lens : Lens
    focus_distances : tuple of float
        Those that will be asked for, metres; they settle how fine the bins must be.
    psf : {"disc", "gaussian"}
    bin_step : float
        Blur radius from bin to bin in pixels, at most 1. At 0.5 the pictures are those of
        `simulation.DefocusRenderer`; 1 takes half the time.
    radius_step : float
        Radii of kernels are rounded to multiples of it, in pixels, so that they are seldom new;
        0 keeps them.

    Raises
    ------
    OptionError
        If the blur is larger than can be rendered or an option is out of range.
    CalibrationError
        If a focus distance is not beyond the focal length.
    """

    def __init__(
        self,
        view: LayeredTensors,
        lens: Lens,
        focus_distances: tuple[float, ...],
        *,
        psf: Psf = "disc",
        bin_step: float = 0.5,
        radius_step: float = 0.0,
    ) -> None:
        if psf not in ("disc", "gaussian"):
            raise OptionError(f"point-spread function '{psf}' is not known; use disc or gaussian")
        if not (0.0 < bin_step <= SEPARATE_BLUR and radius_step >= 0.0):
            raise OptionError(
                f"bin_step is {bin_step} px and radius_step {radius_step} px; give the first in "
                f"(0, {SEPARATE_BLUR:g}] and the second 0 or more"
            )
        self._lens = lens
        self._psf: Psf = psf
        self._radius_step = radius_step
        self._size = tuple(view.front_dioptre.shape)
        self._reflection = view.reflection
        low, high = float(view.front_dioptre.min()), float(view.front_dioptre.max())
        blur = largest_blur(lens, (low, high), focus_distances)
        if self._reflection is not None:
            ends = (self._reflection.dioptre, self._reflection.dioptre)
            blur = max(blur, largest_blur(lens, ends, focus_distances))
        # The Gaussian goes on for twice the radius of the disc of its variance.
        reach = math.ceil((2.0 if psf == "gaussian" else 1.0) * blur) + 2
        self._padded = tuple(fast_length(max(side + reach, 2 * reach + 1)) for side in self._size)
        radii = (high - low) * blur_per_dioptre(lens, focus_distances)
        count = math.ceil(radii / bin_step) + 1
        step = (high - low) / (count - 1) if count > 1 else 1.0
        numbers, light = _sort_into_bins(
            view, low, step, count, separate=SEPARATE_BLUR / bin_step, reach=math.ceil(blur)
        )
        self._dioptres = [low + number * step for number in numbers]
        self._spectra = torch.fft.rfft2(light, s=self._padded)
        if self._reflection is not None:
            self._mirror_spectrum = torch.fft.rfft2(self._reflection.light, s=self._padded)

    def render(self, focus_distance: float) -> Tensor:
        """Linear-light picture at a focus distance in metres, (3, H, W), with the margin."""
        radii = [blur_radius(self._lens, d, focus_distance) for d in self._dioptres]
        light = self._blurred(self._spectra, radii)
        weight = light[:, -1].clamp(min=0.0)
        # What the nearer bins have left of the aperture, and what of it each bin fills.
        left = (1.0 - weight.cumsum(dim=0)).clamp(min=0.0)
        before = torch.cat([torch.ones_like(left[:1]), left[:-1]])
        filled = torch.minimum(weight, before)
        share = filled / weight.clamp(min=_LEAST)
        picture = (light[:, :-1] * share[:, None]).sum(dim=0)
        picture = picture / filled.sum(dim=0).clamp(min=_LEAST)
        if self._reflection is None:
            return picture
        radius = blur_radius(self._lens, self._reflection.dioptre, focus_distance)
        mirrored = self._blurred(self._mirror_spectrum[None], [radius])[0]
        return picture[:3] + picture[3] * mirrored

    def _blurred(self, spectra: Tensor, radii: list[float]) -> Tensor:
        """(K, C, H, W) from their spectra, each of the K with its own radius of blur."""
        kernels = [self._kernel(radius) for radius in radii]
        largest = max(len(kernel) for kernel in kernels)
        stacked = np.zeros((len(kernels), largest, largest), dtype=np.float32)
        for target, kernel in zip(stacked, kernels, strict=True):
            inset = (largest - len(kernel)) // 2
            target[inset : inset + len(kernel), inset : inset + len(kernel)] = kernel
        centred = torch.zeros((len(kernels), *self._padded), device=spectra.device)
        centred[:, :largest, :largest] = torch.from_numpy(stacked).to(spectra.device)
        # The middle of a kernel goes to the corner, so that nothing is shifted by it.
        centred = centred.roll((-(largest // 2), -(largest // 2)), dims=(1, 2))
        product = spectra * torch.fft.rfft2(centred)[:, None]
        height, width = self._size
        return torch.fft.irfft2(product, s=self._padded)[..., :height, :width]

    def _kernel(self, radius: float) -> NDArray[np.float32]:
        if self._radius_step:
            radius = round(radius / self._radius_step) * self._radius_step
        if self._psf == "disc":
            return disc_kernel(radius)
        along = gaussian_kernel(radius)
        return np.asarray(np.outer(along, along))


def _sort_into_bins(
    view: LayeredTensors, low: float, step: float, count: int, *, separate: float, reach: int
) -> tuple[list[int], Tensor]:
    """Numbers of the bins that hold something, near to far, and (K, C + 1, H, W) their light.

    Every pixel is shared between the two bins next to it. The channels are colour times weight,
    with a reflecting share times weight where there is one, and the weight. See
    `simulation.defocus`, which this follows step by step.
    """
    front = (view.front_dioptre - low) / step
    back = ((view.back_dioptre - low) / step).clamp(min=0.0)
    apart = front - back >= separate
    near_an_edge = front - _lowest_around(front, reach) >= separate
    back_weight = (apart & (near_an_edge | (view.coverage < 1.0))).float()
    front_weight = torch.where(apart, view.coverage, 1.0)
    mixed = torch.where(apart, 1.0, view.coverage)
    front_colour, back_colour = view.front, view.back
    if view.reflection is not None:
        strength = view.reflection.strength
        front_colour = torch.cat([front_colour, strength[:1]])
        back_colour = torch.cat([back_colour, strength[1:]])
    one = torch.ones_like(front)[None]
    front_light = torch.cat([mixed * front_colour + (1.0 - mixed) * back_colour, one])
    back_light = torch.cat([back_colour, one])

    k = torch.arange(count - 1, -1, -1, device=front.device, dtype=torch.float32)[:, None, None]
    of_front = (1.0 - (front - k).abs()).clamp(min=0.0) * front_weight
    of_back = (1.0 - (back - k).abs()).clamp(min=0.0) * back_weight
    used = (of_front + of_back).flatten(1).any(dim=1)
    light = of_front[used][:, None] * front_light + of_back[used][:, None] * back_light
    return [int(number) for number in k.flatten()[used]], light


def _lowest_around(image: Tensor, reach: int) -> Tensor:
    """The least value within a square of `reach` pixels on every side, (H, W)."""
    window = 2 * reach + 1
    lowest = F.max_pool2d(-image[None, None], (window, 1), stride=1, padding=(reach, 0))
    lowest = F.max_pool2d(lowest, (1, window), stride=1, padding=(0, reach))
    return -lowest[0, 0]
