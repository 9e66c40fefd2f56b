"""A recurrent unit of convolutions, which passes from slice to slice."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvGruCell(nn.Module):
    """One step of a convolutional gated recurrent unit.

    Parameters
    ----------
    given, hidden : int
        Channels.

    References
    ----------
    Ballas et al., "Delving Deeper into Convolutional Networks for Learning Video
    Representations", arXiv 1511.06432, section 3.1.
    """

    def __init__(self, given: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(given + hidden, 2 * hidden, 3, padding=1)
        self.candidate = nn.Conv2d(given + hidden, hidden, 3, padding=1)

    def forward(self, features: Tensor, state: Tensor | None) -> Tensor:
        """State (B, hidden, h, w) after features (B, given, h, w); None is that of the start."""
        if state is None:
            return self._first(features)
        gates = torch.sigmoid(self.gates(torch.cat([features, state], dim=1)))
        reset, update = gates.chunk(2, dim=1)
        candidate = torch.tanh(self.candidate(torch.cat([features, reset * state], dim=1)))
        return torch.lerp(state, candidate, update)

    def _first(self, features: Tensor) -> Tensor:
        """The state after zeros, of which nothing has to be multiplied.

        Nor need they be there: zeros made here would lie in memory plane by plane, and so would
        every state after them, beside features that do not; that takes the CPU twice as long.
        """
        hidden = self.candidate.out_channels
        update = _of_features(self.gates, slice(hidden, None), features)
        candidate = _of_features(self.candidate, slice(None), features)
        return torch.sigmoid(update) * torch.tanh(candidate)


def _of_features(layer: nn.Conv2d, some: slice, features: Tensor) -> Tensor:
    """Some channels of a convolution whose input is nothing but zeros behind the features."""
    bias = None if layer.bias is None else layer.bias[some]
    weight = layer.weight[some, : features.shape[1]]
    return functional.conv2d(features, weight, bias, padding=layer.padding)
