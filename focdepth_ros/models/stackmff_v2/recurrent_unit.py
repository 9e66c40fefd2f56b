"""A recurrent unit of convolutions, which passes from slice to slice."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
            state = features.new_zeros(
                len(features), self.candidate.out_channels, *features.shape[2:]
            )
        gates = torch.sigmoid(self.gates(torch.cat([features, state], dim=1)))
        reset, update = gates.chunk(2, dim=1)
        candidate = torch.tanh(self.candidate(torch.cat([features, reset * state], dim=1)))
        return torch.lerp(state, candidate, update)
