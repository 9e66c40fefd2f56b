"""The depth of every pixel that explains a focal stack best, where the sharp image is known.

With the image held fixed, what a pixel shows depends on its own depth alone: a search over
candidate depths for all pixels at once, then golden-section search between the neighbours of the
best. Between two levels of blur the squared error of a pixel is a parabola in the share of the
levels, so three numbers per pixel, slice and level tell the error at any depth.

References
----------
"Depth from Defocus via Direct Optimization", arXiv 2602.18509, 2026, section 3.2.
Kiefer, "Sequential Minimax Search for a Maximum", Proceedings of the AMS 4(3), 1953.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from focdepth_ros.defocus.blur_levels import BlurLevels
from focdepth_ros.defocus.forward_model import DefocusModel

_INVERSE_PHI = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True)
class PixelErrors:
    """Squared error of P pixels as a function of their dioptres.

    Parameters
    ----------
    model : DefocusModel
    levels : BlurLevels
    constant, slope : (K, L - 1, P) tensor
        Of the parabola ``constant + 2 slope t + curve t²`` between a level and the next.
    curve : (L - 1, P) tensor
    weight : (K, P) tensor, optional
        Of each slice; 1 by default.
    """

    model: DefocusModel
    levels: BlurLevels
    constant: Tensor
    slope: Tensor
    curve: Tensor
    weight: Tensor | None = None

    @classmethod
    def of(
        cls,
        model: DefocusModel,
        levels: BlurLevels,
        rows: Tensor,
        observed: Tensor,
        *,
        first: int = 0,
        weight: Tensor | None = None,
    ) -> PixelErrors:
        """Compare the levels of an image with the slices.

        Parameters
        ----------
        model : DefocusModel
        levels : BlurLevels
        rows : (R, C) tensor
            What ``levels.blur`` gave.
        observed : (P, K, C) tensor
            Of the pixels `first` to ``first + P - 1`` of the image.
        first : int
        weight : (P, K) tensor, optional
        """
        pixels, slices, _ = observed.shape
        pixel = torch.arange(first, first + pixels, device=rows.device)
        constant = rows.new_empty((slices, len(levels) - 1, pixels))
        slope, curve = torch.empty_like(constant), torch.empty_like(constant[0])

        def level(index: int) -> Tensor:
            row = levels.row(pixel, torch.tensor(index, device=rows.device))
            return (rows[row] / levels.mass[row, None])[:, None]

        lower = level(0)
        for index in range(len(levels) - 1):
            upper = level(index + 1)
            error, rise = lower - observed, upper - lower
            constant[:, index] = error.square().sum(2).T
            slope[:, index] = (error * rise).sum(2).T
            curve[index] = rise.square().sum((1, 2))
            lower = upper
        share = None if weight is None else weight.T.contiguous()
        return cls(model, levels, constant, slope, curve, share)

    def at(self, dioptre: Tensor) -> Tensor:
        """Error (P,), summed over slices and channels, at a dioptre of each pixel (P,)."""
        lower, share = self.levels.position(self.model.variance(dioptre).T.contiguous())  # (K, P)
        picked = lower[:, None]
        constant = self.constant.gather(1, picked)[:, 0]
        slope = self.slope.gather(1, picked)[:, 0]
        error = constant + share * (2.0 * slope + share * self.curve.gather(0, lower))
        return (error if self.weight is None else error * self.weight).sum(0)

    def at_one(self, dioptre: float) -> Tensor:
        """Error (P,) where all pixels have the same dioptre."""
        variance = self.model.variance(torch.tensor(dioptre, device=self.curve.device))
        lower, share = (part.tolist() for part in self.levels.position(variance))
        total = torch.zeros_like(self.curve[0])
        for number, (index, t) in enumerate(zip(lower, share, strict=True)):
            error = torch.add(self.constant[number, index], self.slope[number, index], alpha=2 * t)
            error.add_(self.curve[index], alpha=t * t)
            total.add_(error if self.weight is None else error.mul_(self.weight[number]))
        return total


def grid_search(
    errors: PixelErrors,
    candidates: list[float],
    *,
    window: int = 1,
    width: int = 1,
    check: Callable[[], None] = lambda: None,
) -> Tensor:
    """The best of some dioptres for every pixel: indices (P,) into the candidates.

    Parameters
    ----------
    errors : PixelErrors
    candidates : list of float
        1/m.
    window : int
        Side in pixels of the square over which the error is averaged, odd; 1: each pixel alone.
    width : int
        Of the image whose P pixels these are, row by row; needed for a window.
    check : callable, optional
        Called before every candidate; what it raises ends the search.
    """
    best = torch.full_like(errors.curve[0], math.inf)
    index = torch.zeros_like(best, dtype=torch.int64)
    for number, dioptre in enumerate(candidates):
        check()
        error = window_mean(errors.at_one(dioptre), window, width)
        better = error < best
        best = torch.where(better, error, best)
        index.masked_fill_(better, number)
    return index


def golden_section(
    errors: PixelErrors, low: Tensor, high: Tensor, *, iterations: int = 14
) -> Tensor:
    """The minimum of every pixel's error between two dioptres (P,), to 0.618^iterations of them.

    All pixels are searched at once; where the error has several minima in between, one is found.
    """
    left = high - (high - low) * _INVERSE_PHI
    right = low + (high - low) * _INVERSE_PHI
    at_left, at_right = errors.at(left), errors.at(right)
    for _ in range(iterations):
        go_left = at_left <= at_right
        low, high = torch.where(go_left, low, left), torch.where(go_left, right, high)
        kept = torch.where(go_left, left, right)
        at_kept = torch.where(go_left, at_left, at_right)
        fresh = torch.where(
            go_left, high - (high - low) * _INVERSE_PHI, low + (high - low) * _INVERSE_PHI
        )
        at_fresh = errors.at(fresh)
        left, right = torch.where(go_left, fresh, kept), torch.where(go_left, kept, fresh)
        at_left = torch.where(go_left, at_fresh, at_kept)
        at_right = torch.where(go_left, at_kept, at_fresh)
    return torch.where(at_left <= at_right, left, right)


def better_of(errors: PixelErrors, *dioptres: Tensor) -> Tensor:
    """For every pixel the one of several dioptres (P,) with the least error."""
    best, least = dioptres[0], errors.at(dioptres[0])
    for other in dioptres[1:]:
        error = errors.at(other)
        best, least = torch.where(error < least, other, best), torch.minimum(error, least)
    return best


def window_mean(error: Tensor, window: int, width: int) -> Tensor:
    """Mean of an error (P,) over a square of pixels of an image that is `width` wide."""
    if window == 1:
        return error
    mean = error.view(1, 1, -1, width)
    for size in ((window, 1), (1, window)):
        ends = (size[0] // 2, size[1] // 2)
        # Only what lies within the image is averaged.
        mean = functional.avg_pool2d(mean, size, stride=1, padding=ends, count_include_pad=False)
    return mean.flatten()
