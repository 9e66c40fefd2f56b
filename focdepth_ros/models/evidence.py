"""Evidence of every slice at every pixel, weighed, shared with neighbours, read as a position."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from focdepth_ros.models.focus_guide import (
    MEASURES,
    Curves,
    refined_peak,
    step_of,
)
from focdepth_ros.models.pointwise import planes_of

#: Positions that `Evidence` reads from a curve: its soft maximum, and the vertex of its peak.
READINGS = 2

_REACHES = (1, 2, 4, 8, 16)  # cells between neighbours, one round of sharing after the other
_NEIGHBOURS = 9
_FARTHEST = 4.0  # steps; the prior punishes no slice more than one so far away


class Evidence(nn.Module):
    """A curve over the sweep for every cell, made of all measures and of its neighbours' curves.

    The features say how much each focus measure counts at a cell, how far it goes along with
    which of its neighbours (weights that sum to 1, at five distances, as affinities in spatial
    propagation networks), where depth is to be expected and how strongly. So a plain surface is
    told by its edges, and an edge is not washed out by a wide window.

    Parameters
    ----------
    channels : int
        Of the features.
    measures : int
        Curves at every place.

    References
    ----------
    Cheng, Wang, Yang, "Depth Estimation via Affinity Learned with Convolutional Spatial
    Propagation Network", arXiv 1808.00150.
    """

    def __init__(self, channels: int, measures: int = MEASURES) -> None:
        super().__init__()
        self._measures = measures
        self.weigh = nn.Conv2d(channels, measures + 1, 1)
        self.share = nn.Conv2d(channels, _NEIGHBOURS * len(_REACHES), 1)
        nn.init.zeros_(self.weigh.weight)
        nn.init.constant_(self.weigh.bias, 1.0)
        nn.init.constant_(self.weigh.bias[measures:], -2.0)
        nn.init.zeros_(self.share.bias)

    def forward(
        self, features: Tensor, measured: Curves, positions: Tensor, expected: Tensor
    ) -> tuple[Curves, Tensor]:
        """Weigh, share and read.

        Parameters
        ----------
        features : (B, C, h, w)
        measured : Curves
            Log focus measure, near to far.
        positions : (B, N) float32
            Normalised dioptres, falling.
        expected : (B, 1, h, w) float32
            Where depth is expected.

        Returns
        -------
        curves : Curves
            One at each place: log probability of the slices, up to a constant.
        readings : (B, 2, h, w)
            Positions.
        """
        weight = nn.functional.softplus(planes_of(self.weigh, features).float())
        curves = self._shared(weighed(measured, weight[:, : self._measures]), features)
        at = positions[:, :, None, None]
        step = step_of(positions.shape[1])
        away = (at - expected).abs_().div_(step).clamp_(max=_FARTHEST)
        curves = torch.addcmul(curves, weight[:, self._measures :], away, value=-1.0)
        probability = torch.softmax(curves, dim=1)
        soft = (probability * at).sum(dim=1, keepdim=True)
        stacked = curves[:, :, None]
        peak, index = stacked.max(dim=1, keepdim=True)
        vertex, _ = refined_peak(stacked, positions, index, peak)
        return Curves(stacked, peak[:, 0]), torch.cat([soft, vertex], dim=1)

    def _shared(self, curves: Tensor, features: Tensor) -> Tensor:
        """Curves (B, N, h, w) after all rounds of sharing."""
        for number, reach in enumerate(_REACHES):
            some = slice(number * _NEIGHBOURS, (number + 1) * _NEIGHBOURS)
            logits = planes_of(self.share, features, some).float()
            curves = shared(curves, torch.softmax(logits, dim=1), reach)
        return curves


def weighed(curves: Curves, weights: Tensor) -> Tensor:
    """Sum (B, N, h, w) of the curves below their peaks, by weights (B, K, h, w)."""
    peak = (curves.peak * weights).sum(dim=1, keepdim=True)
    total = (-peak).repeat(1, curves.values.shape[1], 1, 1)
    for number in range(curves.values.shape[2]):  # faster than any product of matrices
        total.addcmul_(curves.values[:, :, number], weights[:, number, None])
    return total


def shared(curves: Tensor, weights: Tensor, reach: int) -> Tensor:
    """Mean of the curves (B, N, h, w) of the 3x3 cells `reach` apart, by weights (B, 9, h, w)."""
    height, width = curves.shape[-2:]
    padded = nn.functional.pad(curves, (reach,) * 4, mode="replicate")
    mean: Tensor | None = None
    for number in range(_NEIGHBOURS):
        top, left = reach * (number // 3), reach * (number % 3)
        window = padded[..., top : top + height, left : left + width]
        weight = weights[:, number, None]
        mean = weight * window if mean is None else mean.addcmul_(weight, window)
    assert mean is not None
    return mean
