"""Convolutions that add to what they are given, at one scale and from coarse ones to fine ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions that add to what they are given.

    They are normalised over the batch, as DPT has it as an option: that needs no time when the
    network is used, see `fold`, and does not depend on what else is in the image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm: nn.Module = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm: nn.Module = nn.BatchNorm2d(channels)

    def fold(self) -> None:
        """Make the normalisations, whose statistics are final, part of the convolutions."""
        if isinstance(self.first_norm, nn.BatchNorm2d):
            self.first = fuse_conv_bn_eval(self.first, self.first_norm)
            self.first_norm = nn.Identity()
        if isinstance(self.second_norm, nn.BatchNorm2d):
            self.second = fuse_conv_bn_eval(self.second, self.second_norm)
            self.second_norm = nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        found = self.first_norm(self.first(nn.functional.relu(features)))
        found = self.second_norm(self.second(nn.functional.relu(found, inplace=True)))
        if torch.is_grad_enabled() or found.dtype != features.dtype:
            return torch.add(features, found)
        summed: Tensor = found.add_(features)  # one tensor less to fill, and to keep
        return summed


class FusionBlock(nn.Module):
    """Adds one scale to what the coarser ones gave, and doubles the resolution.

    The coarsest has nothing to be added to.
    """

    def __init__(self, channels: int, *, coarsest: bool) -> None:
        super().__init__()
        self.lateral = None if coarsest else ResidualUnit(channels)
        self.fused = ResidualUnit(channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor, coarser: Tensor | None) -> Tensor:
        """(B, C, h, w), twice, to (B, C, 2 h, 2 w)."""
        return enlarged(self.joined(features, coarser))

    def joined(self, features: Tensor, coarser: Tensor | None) -> Tensor:
        """The same before the resolution is doubled."""
        if self.lateral is not None:
            features = coarser + self.lateral(features)
        found: Tensor = self.project(self.fused(features))
        return found


def fused_levels(blocks: Iterable[nn.Module], levels: Sequence[Tensor]) -> Tensor:
    """Features (B, C, 2 h, 2 w) from those of all scales, of which the first has (B, C, h, w).

    Parameters
    ----------
    blocks : iterable of FusionBlock
        The coarsest first.
    levels : sequence of (B, C, ., .)
        The finest first, each of half the sides of the one before.
    """
    features: Tensor | None = None
    for level, block in zip(reversed(levels), blocks, strict=True):
        features = block(level, features)
    assert features is not None
    return features


def enlarged(features: Tensor) -> Tensor:
    """Twice as large, bilinear."""
    return nn.functional.interpolate(
        features, scale_factor=2.0, mode="bilinear", align_corners=False
    )
