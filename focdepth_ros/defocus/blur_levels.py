"""One image under a ladder of blurs, fast and with exact adjoints.

Blur that differs from pixel to pixel is mixed from two neighbours of such a ladder, so that an
image is blurred once per level, however many slices a focal stack has. Each level is a symmetric
linear operator S, and an image is blurred as ``S x / S 1``: near the border the part of the
point-spread function that falls outside counts for nothing, and what is inside sums to 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from focdepth_ros.defocus.fourier_length import fast_length
from focdepth_ros.simulation.psf import disc_kernel, gaussian_kernel

_FIRST_VARIANCE = 0.25  # px² of the first blurred level; from there on it doubles
_SMOOTH = 0.6  # variance in px² of a halved grid from which on a Gaussian hides its pixels
_MOST_HALVINGS = 3  # of the grid; on the coarsest the widest Gaussians cost next to nothing
_LEAST_WEIGHT = 1e-3  # of a kernel's middle, below which its ends are cut off
_FIRST_RADIUS = 0.5  # px of the first disc
_RADIUS_RATIO = 1.2


class BlurLevels(ABC):
    """A ladder of blurs of images of one size.

    Attributes
    ----------
    variances : (L,) tensor
        Of each level along one axis [px²], rising from 0.
    mass : (R,) tensor
        What each row of `blur` adds up to for an image of ones, by which it is to be divided.
    """

    variances: Tensor
    mass: Tensor

    def __len__(self) -> int:
        return len(self.variances)

    @abstractmethod
    def blur(self, image: Tensor) -> Tensor:
        """Every level of every pixel of an image (H, W, C), in rows (R, C)."""

    @abstractmethod
    def adjoint(self, rows: Tensor) -> Tensor:
        """The adjoint of `blur`: (R, C) to (H, W, C)."""

    @abstractmethod
    def row(self, pixel: Tensor, level: Tensor) -> Tensor:
        """Which rows of `blur` are those of a level of a pixel (its index in the image)."""

    def position(self, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Where a variance [px²] lies between the levels: lower level (int64), and how far on.

        Mixed by these weights, the two levels have the variance that is asked for.
        """
        lower = torch.bucketize(variance, self.variances[1:-1], right=True)
        low, high = self.variances[lower], self.variances[lower + 1]
        return lower, ((variance - low) / (high - low)).clamp_(0.0, 1.0)


class GaussianLevels(BlurLevels):
    """Gaussians whose variance doubles from level to level, wide ones on coarser grids.

    Parameters
    ----------
    size : (int, int)
        Height and width.
    largest_variance : float
        px²; the last level has at least this one.
    device : str or torch.device

    References
    ----------
    Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE Transactions on
    Communications 31(4), 1983.
    """

    def __init__(
        self,
        size: tuple[int, int],
        largest_variance: float,
        device: str | torch.device = "cpu",
    ) -> None:
        doublings = max(0, math.ceil(math.log2(max(largest_variance, 1e-6) / _FIRST_VARIANCE)))
        variances = [_FIRST_VARIANCE * 2.0**step for step in range(doublings + 1)]
        octaves = [0, *map(_octave, variances)]
        variances = [0.0, *variances]
        self.variances = torch.tensor(variances, device=device)
        self._kernels = [
            _table(
                [
                    _gaussian((variance - _spread_of_halving(octave)) / 4.0**octave)
                    for variance, own in zip(variances, octaves, strict=True)
                    if own == octave
                ],
                device,
            )
            for octave in range(max(octaves) + 1)
        ]
        half = torch.tensor([1.0, 3.0, 3.0, 1.0], device=device) / 8.0
        self._halving = torch.outer(half, half)[None, None]
        self._size = size
        self._pixels = size[0] * size[1]
        # Also for a short ladder, so that it is the beginning of a longer one.
        whole = 2**_MOST_HALVINGS
        self._padding = (0, -size[1] % whole, 0, -size[0] % whole)
        self.mass = self.blur(torch.ones((*size, 1), device=device))[:, 0]

    def blur(self, image: Tensor) -> Tensor:
        grid = self._padded(_channels_last(image))
        octaves = []
        for octave, kernels in enumerate(self._kernels):
            if octave > 0:
                grid = self._halve(grid)
            octaves.append(_convolve(_copies(grid, len(kernels)), kernels))
        fine, coarse = octaves[0], octaves[1:]
        if not coarse:
            return self._rows(fine, image.shape[2])
        levels = coarse.pop()
        while coarse:
            levels = torch.cat((coarse.pop(), self._double(levels)), dim=1)
        levels = self._double(levels)
        return torch.cat([self._rows(part, image.shape[2]) for part in (fine, levels)])

    def adjoint(self, rows: Tensor) -> Tensor:
        height, width = self._size
        channels = rows.shape[1]
        # The operator of a level is symmetric: its adjoint is once more itself.
        count = len(self._kernels[0])
        total = _sum_of_levels(self._grid(rows[: count * self._pixels]), self._kernels[0], channels)
        if len(self._kernels) > 1:
            rest = self._grid(rows[count * self._pixels :])
            sums = []
            for kernels in self._kernels[1:]:
                rest = self._halve(rest)
                own = len(kernels) * channels
                sums.append(_sum_of_levels(rest[:, :own], kernels, channels))
                rest = rest[:, own:]
            coarse = sums.pop()
            while sums:
                coarse = self._double(coarse) + sums.pop()
            total = total + self._double(coarse)
        return total[0, :, :height, :width].permute(1, 2, 0)

    def row(self, pixel: Tensor, level: Tensor) -> Tensor:
        fine = len(self._kernels[0])
        coarse = len(self) - fine
        in_coarse = self._pixels * fine + pixel * coarse + (level - fine)
        return torch.where(level < fine, pixel * fine + level, in_coarse)

    def _rows(self, grid: Tensor, channels: int) -> Tensor:
        """(1, L C, H, W) as (H W L, C), in the same memory where nothing is padded."""
        height, width = self._size
        return grid[0, :, :height, :width].permute(1, 2, 0).reshape(-1, channels)

    def _grid(self, rows: Tensor) -> Tensor:
        """The reverse of `_rows`, padded."""
        pixels = rows.view(*self._size, -1)
        return self._padded(_channels_last(pixels))

    def _padded(self, grid: Tensor) -> Tensor:
        return functional.pad(grid, self._padding) if any(self._padding) else grid

    def _halve(self, grid: Tensor) -> Tensor:
        count = grid.shape[1]
        weight = self._halving.expand(count, 1, 4, 4)
        return functional.conv2d(grid, weight, stride=2, padding=1, groups=count)

    def _double(self, grid: Tensor) -> Tensor:
        """Four times the adjoint of `_halve`."""
        count = grid.shape[1]
        weight = 4.0 * self._halving.expand(count, 1, 4, 4)
        return functional.conv_transpose2d(grid, weight, stride=2, padding=1, groups=count)


class DiscLevels(BlurLevels):
    """Discs, as a lens without aberrations makes them; by Fourier transforms.

    Parameters
    ----------
    size : (int, int)
        Height and width.
    largest_variance : float
        px²; the last level has at least this one.
    device : str or torch.device
    """

    def __init__(
        self,
        size: tuple[int, int],
        largest_variance: float,
        device: str | torch.device = "cpu",
    ) -> None:
        # A disc of radius r has the variance r² / 4.
        radii = [_FIRST_RADIUS]
        while radii[-1] ** 2 / 4.0 < largest_variance:
            radii.append(radii[-1] * _RADIUS_RATIO)
        variances = [0.0, *(radius**2 / 4.0 for radius in radii)]
        self.variances = torch.tensor(variances, device=device)
        reach = disc_kernel(radii[-1]).shape[0] // 2
        self._size = size
        # So large that nothing comes round to the other side, and the widest disc fits.
        self._grid = tuple(fast_length(max(length, reach + 1) + reach) for length in size)
        spectra = []
        for radius in (0.0, *radii):
            kernel = torch.from_numpy(np.array(disc_kernel(radius))).to(device)
            padded = kernel.new_zeros(self._grid)
            padded[: kernel.shape[0], : kernel.shape[1]] = kernel
            middle = kernel.shape[0] // 2
            spectra.append(torch.fft.rfft2(padded.roll((-middle, -middle), (0, 1))).real)
        self._spectra = torch.stack(spectra)
        self.mass = self.blur(torch.ones((*size, 1), device=device))[:, 0]

    def blur(self, image: Tensor) -> Tensor:
        height, width, channels = image.shape
        spectrum = torch.fft.rfft2(image.permute(2, 0, 1), self._grid)
        levels = image.new_empty((height, width, len(self), channels))
        for level, of_disc in enumerate(self._spectra):
            blurred = torch.fft.irfft2(spectrum * of_disc, self._grid)[:, :height, :width]
            levels[:, :, level] = blurred.permute(1, 2, 0)
        return levels.view(-1, channels)

    def adjoint(self, rows: Tensor) -> Tensor:
        height, width = self._size
        # The operator of a level is symmetric: its adjoint is once more itself.
        levels = rows.view(height, width, len(self), -1).permute(2, 3, 0, 1)
        spectrum = torch.zeros((), device=rows.device)
        for level, of_disc in zip(levels, self._spectra, strict=True):
            spectrum = spectrum + torch.fft.rfft2(level, self._grid) * of_disc
        total = torch.fft.irfft2(spectrum, self._grid)[:, :height, :width]
        return total.permute(1, 2, 0)

    def row(self, pixel: Tensor, level: Tensor) -> Tensor:
        return pixel * len(self) + level


def _octave(variance: float) -> int:
    """How often the grid can be halved on which a Gaussian is made without aliasing."""
    octave = 0
    while variance - _spread_of_halving(octave + 1) >= _SMOOTH * 4.0 ** (octave + 1):
        octave += 1
    return min(octave, _MOST_HALVINGS)


def _spread_of_halving(octave: int) -> float:
    """Variance [px²] that halving the grid so often, and doubling it again, brings with it."""
    return 0.5 * (4.0**octave - 1.0)


def _gaussian(variance: float) -> Tensor:
    """Kernel (K,) of a Gaussian, without the ends that weigh next to nothing."""
    kernel = gaussian_kernel(2.0 * math.sqrt(variance))
    kept = kernel >= _LEAST_WEIGHT * kernel.max()
    return torch.from_numpy(kernel[kept] / kernel[kept].sum())


def _table(kernels: list[Tensor], device: str | torch.device) -> Tensor:
    """Kernels (L, K) of odd lengths, brought to that of the longest."""
    longest = max(len(kernel) for kernel in kernels)
    ends = [(longest - len(kernel)) // 2 for kernel in kernels]
    rows = [functional.pad(kernel, (end, end)) for kernel, end in zip(kernels, ends, strict=True)]
    return torch.stack(rows).to(device)


def _convolve(grid: Tensor, kernels: Tensor) -> Tensor:
    """Levels of several channels, each level under its kernel: (1, L C, H, W)."""
    count, channels = grid.shape[1], grid.shape[1] // len(kernels)
    length = kernels.shape[1]
    weight = kernels.repeat_interleave(channels, 0).view(count, 1, 1, length)
    rows = functional.conv2d(grid, weight, padding=(0, length // 2), groups=count)
    return functional.conv2d(rows, weight.mT, padding=(length // 2, 0), groups=count)


def _sum_of_levels(grid: Tensor, kernels: Tensor, channels: int) -> Tensor:
    """The levels under their kernels, added up: (1, L C, H, W) to (1, C, H, W)."""
    return _convolve(grid, kernels).unflatten(1, (len(kernels), channels)).sum(1)


def _copies(grid: Tensor, count: int) -> Tensor:
    """(1, C, H, W) as often as told, one after the other: (1, count C, H, W)."""
    return _channels_last(grid.permute(0, 2, 3, 1)[0].repeat(1, 1, count))


def _channels_last(pixels: Tensor) -> Tensor:
    """(H, W, C) as (1, C, H, W), in the same memory."""
    return pixels[None].permute(0, 3, 1, 2)
