"""What happens inside a FocDepthFormer while slices come, for the pictures of the docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focdepth_ros.models.focdepthformer.encoder import PATCH
from focdepth_ros.models.focdepthformer.latent_lstm import is_activated
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.models.sweeps import SIZE_MULTIPLE
from focdepth_ros.pictures.depth_pictures import as_colour
from focdepth_ros.stack import FloatImage, Slice


@dataclass(frozen=True, eq=False)
class Looks:
    """Of N slices, near to far, on a grid of h x w patches.

    Parameters
    ----------
    norms : (N, h, w) float32
        L2 norm of the tokens that the latent LSTM is given, over the threshold: from 1 on they
        are activated.
    changes : (N, h, w) float32
        L2 norm of the change of its answer with a slice.
    attention : (N, h, w) float32
        Of the global token to the patches in the last block, mean of the heads, over the mean of
        the patches.
    winner : (h, w) float32
        Mean number of the slices from which the largest values of the LSTM's answers come, the
        mean being over its channels; NaN where no token was activated.
    position : (H, W) float32
        The answer: 0 at the farthest and 1 at the nearest focus distance, in dioptres.
    confidence : (H, W) float32
        1 where the network does not tell.
    """

    norms: FloatImage
    changes: FloatImage
    attention: FloatImage
    winner: FloatImage
    position: FloatImage
    confidence: FloatImage


@torch.inference_mode()
def look_at(network: FocDepthFormer, slices: Sequence[Slice]) -> Looks:
    """Take slices, near to far, through a network with a latent LSTM and look at its insides."""
    height, width = slices[0].size
    grid = tuple(-(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE // PATCH for side in (height, width))
    lstm, state = network.lstm, None
    norms, changes, attention = [], [], []
    largest = winner = None
    for number, item in enumerate(slices):
        image = torch.from_numpy(np.ascontiguousarray(as_colour(item.image))).permute(2, 0, 1)
        seen = _GlobalAttention(network)
        mask = None if item.valid_mask is None else torch.from_numpy(item.valid_mask)[None]
        features = network.encode(image[None], torch.tensor([item.dioptre]), mask)
        attention.append(seen.weights())
        values = lstm.project_in(features.tokens[-1])
        activated = is_activated(values, lstm.threshold)[0]
        before = torch.zeros_like(values[0]) if state is None else state.lstm.hidden[-1]
        state = network.step(state, features)
        answer = state.lstm.hidden[-1]
        norms.append(torch.linalg.vector_norm(values[0], dim=-1) / lstm.threshold)
        changes.append(torch.linalg.vector_norm(answer - before, dim=-1))
        if largest is None:
            largest = torch.full_like(answer, -torch.inf)
            winner = torch.full_like(answer, torch.nan)
        wins = activated & (answer > largest)
        largest = torch.where(wins, answer, largest)
        winner = torch.where(wins, torch.full_like(answer, float(number)), winner)

    def pictured(values: Sequence[Tensor]) -> FloatImage:
        return _numpy(torch.stack(list(values)).unflatten(1, grid))

    assert winner is not None
    prediction = network.decode(state)
    logits = prediction.confidence_logits
    sure = torch.ones_like(prediction.position) if logits is None else torch.sigmoid(logits)
    return Looks(
        norms=pictured(norms),
        changes=pictured(changes),
        attention=pictured(attention),
        winner=pictured([winner.mean(dim=-1)])[0],
        position=_numpy(prediction.position[0]),
        confidence=_numpy(sure[0]),
    )


class _GlobalAttention:
    """Catches what the last block that is read from is given, once."""

    def __init__(self, network: FocDepthFormer) -> None:
        self._attention: Any = network.encoder.vit.blocks[network.config.hooks[-1]].attn
        self._given: Tensor | None = None
        self._hook = self._attention.register_forward_pre_hook(self._note)

    def weights(self) -> Tensor:
        """How much each patch counts for the global token, over the mean, (P,)."""
        self._hook.remove()
        assert self._given is not None
        attention, heads = self._attention, self._attention.num_heads
        query, key, _ = attention.qkv(self._given[0]).unflatten(1, (3, heads, -1)).unbind(1)
        query, key = attention.q_norm(query[0]), attention.k_norm(key)
        products = torch.einsum("hc,phc->hp", query, key) * attention.scale
        weight = torch.softmax(products, dim=1)[:, 1:].mean(dim=0)
        return weight / weight.mean()

    def _note(self, module: Any, given: tuple[Tensor, ...]) -> None:
        self._given = given[0]


def _numpy(values: Tensor) -> NDArray[np.float32]:
    return values.float().numpy()
