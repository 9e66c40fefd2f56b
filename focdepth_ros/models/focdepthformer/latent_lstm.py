"""Tokens of a sweep, slice by slice, into the tokens of one picture: the latent LSTM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class PoolState:
    """Tokens pooled over the slices so far.

    Parameters
    ----------
    largest : (B, P, D)
        Of the activated ones; -inf where there was none yet.
    total, count : (B, P, D), (B, P, 1)
        Sum and number of the others.
    """

    largest: Tensor
    total: Tensor
    count: Tensor

    @staticmethod
    def empty(like: Tensor) -> PoolState:
        """Of no slice yet, for tokens like these."""
        return PoolState(
            torch.full_like(like, -torch.inf),
            torch.zeros_like(like),
            torch.zeros_like(like[..., :1]),
        )

    def with_slice(self, tokens: Tensor, resting: Tensor, activated: Tensor) -> PoolState:
        """Take in the tokens of one slice.

        Parameters
        ----------
        tokens, resting : (B, P, D)
            What counts where the token is activated, and where it is not.
        activated : (B, P, 1) bool
        """
        largest = torch.where(activated, torch.maximum(self.largest, tokens), self.largest)
        at_rest = torch.logical_not(activated)
        total = self.total + torch.where(at_rest, resting, torch.zeros_like(resting))
        return PoolState(largest, total, self.count + at_rest.to(self.count.dtype))

    def pooled(self) -> Tensor:
        """Largest of the activated tokens plus mean of the others, (B, P, D)."""
        mean = self.total / self.count.clamp(min=1.0)
        return torch.where(self.largest == -torch.inf, mean, self.largest + mean)


@dataclass(frozen=True, eq=False)
class LstmState:
    """Hidden and cell state of every layer, (B * P, hidden) each, and what has come out."""

    hidden: tuple[Tensor, ...]
    cell: tuple[Tensor, ...]
    pool: PoolState


class LatentLstm(nn.Module):
    """An LSTM along the sweep, at every patch position for itself.

    Tokens whose L2 norm reaches the threshold are activated: they go through the LSTM, and the
    largest of its answers over the slices counts. The others leave its state alone and are
    averaged.

    Parameters
    ----------
    width : int
        Of the tokens.
    hidden, layers : int
        Of the LSTM; with 0 layers activated tokens are pooled as they are.
    threshold : float

    References
    ----------
    Kang, Han, Xiong, arXiv 2310.11178, section 3: the latent LSTM; Hochreiter, Schmidhuber, "Long
    Short-Term Memory", 1997.
    """

    def __init__(self, width: int, hidden: int, layers: int, threshold: float) -> None:
        super().__init__()
        self.project_in = nn.Linear(width, hidden)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))
        self.project_out = nn.Linear(hidden, width)
        self.threshold = threshold

    def start(self, tokens: Tensor) -> LstmState:
        """The state before the first slice, for tokens like these (B, P, D)."""
        batch, patches, _ = tokens.shape
        like = tokens.new_zeros(batch, patches, self.project_in.out_features)
        zeros = tuple(like.flatten(0, 1) for _ in self.cells)
        return LstmState(zeros, zeros, PoolState.empty(like))

    def step(self, state: LstmState, tokens: Tensor) -> LstmState:
        """Go on by the tokens (B, P, D) of one slice."""
        values = self.project_in(tokens)
        activated = is_activated(values, self.threshold)
        flat, mask = values.flatten(0, 1), activated.flatten(0, 1)
        hidden, cell = [], []
        for layer, h, c in zip(self.cells, state.hidden, state.cell, strict=True):
            new_h, new_c = layer(flat, (h, c))
            hidden.append(torch.where(mask, new_h.to(h.dtype), h))
            cell.append(torch.where(mask, new_c.to(c.dtype), c))
            flat = hidden[-1]
        answers = flat.reshape(values.shape).to(values.dtype)
        pool = state.pool.with_slice(answers, values, activated)
        return LstmState(tuple(hidden), tuple(cell), pool)

    def finish(self, state: LstmState) -> Tensor:
        """Tokens of the sweep so far, (B, P, D)."""
        tokens: Tensor = self.project_out(state.pool.pooled())
        return tokens


def is_activated(tokens: Tensor, threshold: float) -> Tensor:
    """Whether the L2 norm of tokens (B, P, D) reaches the threshold, (B, P, 1) bool."""
    return torch.linalg.vector_norm(tokens.float(), dim=-1, keepdim=True) >= threshold
