"""What the focus measure says of every pixel: energies per slice, statistics over the sweep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

MEASURES = 5
#: Channels of `focus_statistics` for each measure.
STATISTICS = 7

_LUMA = (0.299, 0.587, 0.114)
_REACH = 4  # px of the operator's kernel
_BLOCK = 4  # px; one channel is a poor load for a convolution, 16 of a quarter of the sides are not
# Variance of the noise [grey levels²] below which nothing is told apart; an octave averages it.
_FLOORS = (1.0, 1.0, 0.3, 0.1, 0.1)
_SHARPNESS = 3.0  # of the soft maximum over the slices
_LEVEL_SCALE = 0.125  # log energies go to about 8
_SPREAD_SCALE = 4.0
_FLAT = -1e-6  # second derivative; above it a parabola has no peak
_BAND = 2**20  # values of the curves that are looked at together on a CPU, to save memory


@dataclass(frozen=True, eq=False)
class Curves:
    """What every place says of every slice, near to far.

    Parameters
    ----------
    values : (B, N, K, h, w)
        K curves at each place.
    peak : (B, K, h, w)
        Their largest values.
    """

    values: Tensor
    peak: Tensor


class FocusEnergies(nn.Module):
    """Log focus measure of a slice at three octaves and several windows.

    The operator is a Laplacian of Gaussian; its squared response is averaged over a Gaussian
    window. White noise of variance v alone gives log(v + floor). The octaves see ever farther
    from focus, where the finest detail has gone; the wide windows speak for places without
    detail of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        kernel = _laplacian_of_gaussian()
        kernel = _of_blocks(kernel / kernel.square().sum().sqrt())
        self.register_buffer("operator", kernel, persistent=False)
        for name, sigma in (("fine", 0.75), ("middle", 1.5), ("wide", 2.5), ("widest", 5.0)):
            self.register_buffer(name, _gaussian(sigma), persistent=False)
        self.register_buffer("quarters", _means_of_quarters(), persistent=False)
        floors = torch.tensor(_FLOORS).reshape(1, MEASURES, 1, 1)
        self.register_buffer("floors", floors, persistent=False)
        luma = torch.tensor(_LUMA).reshape(1, 3, 1, 1)
        self.register_buffer("luma", luma, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 255], sides multiples of 16, to (B, `MEASURES`, H / 2, W / 2)."""
        return self.of_grey((images * self.luma).sum(dim=1, keepdim=True))

    def of_grey(self, grey: Tensor) -> Tensor:
        """The same for grey images (B, 1, H, W)."""
        half = _pooled(grey)
        quarter = _pooled(half)
        # The mean of 2x2 pixels is taken within the blocks, before they are laid out.
        blocks = torch.matmul(self.quarters, self._energy_of_blocks(grey).flatten(2))
        size = (grey.shape[2] // _BLOCK, grey.shape[3] // _BLOCK)
        finest = nn.functional.pixel_shuffle(blocks.unflatten(2, size), _BLOCK // 2)
        coarsest = self._energy(quarter)
        found = [
            _blurred(finest, self.fine),
            _blurred(finest, self.wide),
            _blurred(self._energy(half), self.middle),
            *(
                nn.functional.interpolate(
                    _blurred(coarsest, window), scale_factor=2.0, mode="bilinear"
                )
                for window in (self.middle, self.widest)
            ),
        ]
        return torch.log(torch.cat(found, dim=1) + self.floors)

    def _energy(self, grey: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self._energy_of_blocks(grey), _BLOCK)

    def _energy_of_blocks(self, grey: Tensor) -> Tensor:
        """(B, 1, h, w) to (B, 16, h / 4, w / 4)."""
        padded = nn.functional.pad(grey, (_REACH,) * 4, mode="replicate")
        blocks = nn.functional.pixel_unshuffle(padded, _BLOCK)
        return nn.functional.conv2d(blocks, self.operator).square()


def _means_of_quarters() -> Tensor:
    """(4, 16): of a block of 4x4 pixels to the means of its 2x2 quarters."""
    place = torch.arange(_BLOCK * _BLOCK)
    quarter = place // _BLOCK // 2 * 2 + place % _BLOCK // 2
    return (torch.arange(4)[:, None] == quarter).float() / 4.0


def _of_blocks(kernel: Tensor) -> Tensor:
    """The convolution (1, 1, K, K) as one of blocks of pixels, (16, 16, K', K').

    Applied to `pixel_unshuffle` of an image it gives that of the result.
    """
    size = kernel.shape[-1]
    blocks = (size + _BLOCK - 2) // _BLOCK + 1
    spread = kernel.new_zeros(_BLOCK, _BLOCK, blocks * _BLOCK, blocks * _BLOCK)
    for y in range(_BLOCK):
        for x in range(_BLOCK):
            spread[y, x, y : y + size, x : x + size] = kernel[0, 0]
    return nn.functional.pixel_unshuffle(spread.flatten(0, 1)[:, None], _BLOCK)


def known_energies(energies: Tensor, known: Tensor) -> Tensor:
    """Give pixels the least energy of the sweep in slices in which they were out of view.

    Parameters
    ----------
    energies : (B, N, K, h, w)
    known : (B, N, 1, h, w) bool
    """
    least = torch.where(known, energies, torch.inf).amin(dim=1, keepdim=True)
    least = torch.where(least == torch.inf, torch.zeros_like(least), least)
    return torch.where(known, energies, least)


def focus_statistics(energies: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the curves of log energy over the sweep look like, whatever the number of slices.

    Parameters
    ----------
    energies : (B, N, K, h, w) float32
        Near to far.
    positions : (B, N) float32
        Normalised dioptres, falling from 1 to 0.

    Returns
    -------
    statistics : (B, 7 K, h, w)
        Of every measure: position of the peak between the slices, soft position and its spread,
        contrast of the peak, its level, its curvature, and whether it is at the near (1) or far
        (-1) end.
    candidates : (B, 2 K, h, w)
        The positions among them.
    sharpest : (B, 1, h, w) int64
        Slice of the peak of the second measure.
    peak : (B, K, h, w)
        Largest energies.
    """
    bands = [_statistics_of(band, positions) for band in energies.split(_rows(energies), dim=3)]
    statistics, sharpest, peak = (
        part[0] if len(part) == 1 else torch.cat(part, dim=2) for part in zip(*bands, strict=True)
    )
    # The first two kinds are positions.
    return statistics, statistics[:, : 2 * energies.shape[2]], sharpest, peak


def _rows(energies: Tensor) -> int:
    """Rows of (B, N, K, h, w) to look at together; every pixel is a case of its own."""
    whole: int = energies.shape[3]
    if energies.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return whole
    row: int = energies.numel() // whole
    return max(1, _BAND // row)


def _statistics_of(energies: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of some rows the statistics, the slice of the peak of the second measure and the peaks."""
    count = energies.shape[1]
    peak, index = largest_slice(energies)
    location, curvature = refined_peak(energies, positions, index, peak)
    soft, spread = _soft_position(energies, positions, peak)
    contrast = (peak - energies.mean(dim=1, keepdim=True))[:, 0]
    end = (index == 0).to(peak.dtype) - (index == count - 1).to(peak.dtype)
    statistics = torch.cat(
        [
            location,
            soft,
            spread * _SPREAD_SCALE,
            contrast,
            peak[:, 0] * _LEVEL_SCALE,
            curvature,
            end[:, 0],
        ],
        dim=1,
    )
    return statistics, index[:, :, 1], peak[:, 0]


def largest_slice(values: Tensor) -> tuple[Tensor, Tensor]:
    """Largest of (B, N, K, h, w) over the slices, and the first slice that has it; as `max`."""
    count = values.shape[1]
    if values.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
        found = values.max(dim=1, keepdim=True)
        return found.values, found.indices
    # As many slices lie before it as those up to which the largest is still to come. On a CPU
    # that takes half the time, though the slices are gone through one by one.
    peak = values.amax(dim=1, keepdim=True)
    so_far = values[:, :1].clone()
    before = (peak - so_far).sign_()
    for number in range(1, count - 1):
        torch.maximum(so_far, values[:, number, None], out=so_far)
        before.add_((peak - so_far).sign_())
    # NaN as an index would be anything.
    return peak, before.long().clamp_(0, count - 1)


def _soft_position(energies: Tensor, positions: Tensor, peak: Tensor) -> tuple[Tensor, Tensor]:
    """Mean position by a soft maximum over the slices and mean distance from it, (B, K, h, w).

    Slice by slice, as everything here, all that it takes stays in the cache of a CPU.
    """
    at = positions[:, :, None, None, None].unbind(dim=1)
    weights = [(own - peak[:, 0]).mul_(_SHARPNESS).exp_() for own in energies.unbind(dim=1)]
    total = torch.zeros_like(weights[0])
    soft = torch.zeros_like(total)
    for weight, place in zip(weights, at, strict=True):
        total.add_(weight)
        soft.addcmul_(weight, place)
    soft = soft / total
    spread = torch.zeros_like(total)
    for weight, place in zip(weights, at, strict=True):
        spread.addcmul_(weight, (place - soft).abs_())
    return soft, spread / total


def refined_peak(
    energies: Tensor, positions: Tensor, index: Tensor, peak: Tensor
) -> tuple[Tensor, Tensor]:
    """Vertex of the parabola through the peak and its neighbours, and how far they are below it.

    Both (B, K, h, w). At the ends of the sweep, where the vertex may lie outside, it is taken up
    to half a step beyond.
    """
    count = energies.shape[1]
    if count < 3:
        return _gathered(positions, index)[:, 0], torch.zeros_like(peak[:, 0])
    # Three views, each a slice further, so that one index serves all of them.
    first = (index - 1).clamp_(0, count - 3)
    views = [slice(step, step + count - 2) for step in range(3)]
    below, centre, above = (energies[:, view].gather(1, first)[:, 0] for view in views)
    before, here, after = (_gathered(positions[:, view], first)[:, 0] for view in views)
    step_before, step_after = here - before, after - here  # both negative
    slope_before = (centre - below) / step_before
    slope_after = (above - centre) / step_after
    second = (slope_after - slope_before) / (step_before + step_after)
    slope = (slope_before * step_after + slope_after * step_before) / (step_before + step_after)
    chosen = _gathered(positions, index)[:, 0]
    vertex = here - 0.5 * slope / second.clamp(max=_FLAT)
    vertex = torch.where(second < _FLAT, vertex, chosen)
    reach = 0.5 * torch.maximum(step_before.abs(), step_after.abs())
    location = torch.minimum(torch.maximum(vertex, chosen - reach), chosen + reach)
    curvature = peak[:, 0] - 0.5 * (below + above)
    return location, curvature


def _gathered(positions: Tensor, index: Tensor) -> Tensor:
    """Positions (B, N) at indices (B, 1, K, h, w)."""
    flat = positions.gather(1, index.flatten(1))
    return flat.reshape(index.shape)


def slice_coordinates(location: Tensor, positions: Tensor) -> Tensor:
    """Fractional slice number at positions (B, h, w) in a sweep (B, N) of falling positions."""
    coordinate = torch.zeros_like(location)
    for number in range(positions.shape[1] - 1):
        near = positions[:, number, None, None]
        gap = near - positions[:, number + 1, None, None]
        coordinate.add_((near - location).div_(gap).clamp_(0.0, 1.0))
    return coordinate


def sampled_curves(
    volumes: tuple[Curves, ...], coordinate: Tensor, offsets: tuple[float, ...]
) -> Tensor:
    """Values around a slice coordinate, below the peak of each curve.

    Parameters
    ----------
    volumes : tuple of Curves
        K may differ.
    coordinate : (B, h, w)
    offsets : tuple of float
        In steps, a step being a slice, or a ninth of a sweep that is denser than that.

    Returns
    -------
    (B, len(offsets) * sum of K, h, w)
    """
    last = volumes[0].values.shape[1] - 1
    step = max(1.0, last / USUAL_STEPS)
    before_last = max(last - 1, 0)
    found = []
    for offset in offsets:
        place = (coordinate + offset * step).clamp_(0.0, float(last))
        low = place.floor().clamp_(max=float(before_last))
        share = (place - low)[:, None]
        # NaN as an index would be anything, and one out of range loses a GPU for the process.
        number = low.long().clamp_(0, before_last)[:, None, None]
        for curves in volumes:
            index = number.expand(-1, -1, curves.values.shape[2], -1, -1)
            near = curves.values.gather(1, index)[:, 0]
            # One slice further on by the same index; of a single slice there is none.
            far = curves.values[:, min(1, last) :].gather(1, index)[:, 0]
            found.append(torch.lerp(near, far, share).sub_(curves.peak))
    return torch.cat(found, dim=1)


#: Steps of a sweep beyond which more slices are not finer steps: a camera sees no more of them.
USUAL_STEPS = 9.0


def step_of(count: int) -> float:
    """Size of a step in normalised dioptres, for a sweep of `count` slices."""
    return max(1.0 / max(count - 1, 1), 1.0 / USUAL_STEPS)


def _pooled(grey: Tensor) -> Tensor:
    """Mean of 2x2; avg_pool2d has one thread for an image of one channel."""
    rows = grey[:, :, ::2] + grey[:, :, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)


def _blurred(values: Tensor, window: Tensor) -> Tensor:
    reach = len(window) // 2
    padded = nn.functional.pad(values, (reach,) * 4, mode="replicate")
    rows = nn.functional.conv2d(padded, window.reshape(1, 1, -1, 1))
    return nn.functional.conv2d(rows, window.reshape(1, 1, 1, -1))


def _gaussian(sigma: float) -> Tensor:
    reach = math.ceil(3.0 * sigma)
    window = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    return window / window.sum()


def _laplacian_of_gaussian() -> Tensor:
    """Second derivatives of a Gaussian of sigma 1 px, (1, 1, 9, 9)."""
    x = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32)
    square = x[:, None] ** 2 + x**2
    kernel = (square - 2.0) * torch.exp(-0.5 * square)
    return (kernel - kernel.mean())[None, None]
