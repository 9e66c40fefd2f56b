"""1x1 convolutions as products of matrices, in the memory layout that what follows wants.

A convolution answers in the layout of its input. What mixes planes (focus measures over the sweep)
with channels-last features (between 3x3 convolutions) would be copied from one to the other, and
on a CPU these copies take longer than the products.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def planes_of(layer: nn.Conv2d, features: Tensor, some: slice = slice(None)) -> Tensor:
    """The convolution of (B, C, h, w), contiguous plane by plane: for softmax and interpolation.

    Of its channels only `some`, where all of them would take much memory.
    """
    weight = layer.weight[some].flatten(1).expand(len(features), -1, -1)
    found = torch.baddbmm(_bias(layer)[None, some, None], weight, features.flatten(2))
    return found.unflatten(2, features.shape[-2:])


def mixed(layer: nn.Conv2d, parts: Sequence[Tensor]) -> Tensor:
    """The convolution of all parts (B, ., h, w) side by side, channels last: for convolutions.

    The parts, which may lie in memory in either way, are not copied into one tensor.
    """
    batch, _, height, width = parts[0].shape
    found: Tensor | None = None
    begin = 0
    for part in parts:
        end = begin + part.shape[1]
        weight = layer.weight[:, begin:end].flatten(1).t().expand(batch, -1, -1)
        pixels = part.flatten(2).transpose(1, 2)
        if found is None:
            found = torch.baddbmm(_bias(layer)[None, None], pixels, weight)
        else:  # in place: otherwise all of it is copied before the product is added
            kind = found.dtype  # autocast, which may have made it, does nothing for this one
            found = found.baddbmm_(pixels.to(kind), weight.to(kind))
        begin = end
    assert found is not None
    assert begin == layer.in_channels  # or weights would be left over
    return found.transpose(1, 2).unflatten(2, (height, width))


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
