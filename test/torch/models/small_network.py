"""A FocDepthFormer with all its parts, small enough for tests, that answers something."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from focdepth_ros.models.focdepthformer.config import FocDepthFormerConfig, preset
from focdepth_ros.models.focdepthformer.model import FocDepthFormer

_SMALL = {
    "embed_dim": 32,
    "heads": 2,
    "early_kernel_channels": 2,
    "early_channels": 6,
    "lstm_hidden": 24,
    "reassemble_channels": (8, 8, 8, 8),
    "decoder_channels": 16,
    "guide_channels": 8,
}


def small_config(**changes: Any) -> FocDepthFormerConfig:
    return preset("tiny", **{**_SMALL, **changes})


def small_network(seed: int = 0, **changes: Any) -> FocDepthFormer:
    """Random weights, also where training begins with zeros."""
    torch.manual_seed(seed)
    network = FocDepthFormer(small_config(**changes))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


def noise_sweep(
    count: int, height: int = 64, width: int = 96, *, batch: int = 1, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Images (B, N, 3, H, W) and dioptres (B, N), not in the order of distance."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, count, 3, height, width)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    dioptres = torch.linspace(2.5, 0.5, count).roll(1)[None].expand(batch, -1)
    return images, dioptres + 0.3 * torch.arange(batch)[:, None]
