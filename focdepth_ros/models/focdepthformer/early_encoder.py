"""The early-stage encoder: convolutions of several sizes before the transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EarlyEncoder(nn.Module):
    """Features of fine detail, in which sharpness shows, at three sizes.

    Parallel 3x3, 5x5 and 7x7 convolutions, then a depth-wise 3x3 and a 1x1 convolution that
    fuse them.

    Parameters
    ----------
    kernel_channels : int
        Channels of each of the parallel convolutions.
    channels : int
        Channels of the result.
    stride : int

    References
    ----------
    Kang, Han, Xiong, "FocDepthFormer: Transformer with latent LSTM for Depth Estimation from
    Focal Stack", arXiv 2310.11178, section 3.
    """

    def __init__(self, kernel_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.parallel = nn.ModuleList(
            nn.Conv2d(3, kernel_channels, size, stride=stride, padding=size // 2)
            for size in (3, 5, 7)
        )
        width = 3 * kernel_channels
        self.depth_wise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.point_wise = nn.Conv2d(width, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to (B, channels, H / stride, W / stride)."""
        found = torch.cat([convolution(images) for convolution in self.parallel], dim=1)
        fused: Tensor = self.point_wise(nn.functional.relu(self.depth_wise(found)))
        return fused
