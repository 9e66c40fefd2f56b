"""What the figure of FocDepthFormer says of a network: channels, scales and sizes of its parts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.models.weights_index import choose_weights

_HEIGHT, _WIDTH = 96, 128  # of the image on which shapes are read


class Facts:
    """The parts of a network by their names, as read from the network and one run of it.

    Parameters
    ----------
    weights : str
        Name of shipped weights or a file; empty: those that the backend uses by default.
    """

    def __init__(self, weights: str) -> None:
        chosen = choose_weights(weights, "focdepthformer")
        network = read_weights(chosen.path, sha256=chosen.sha256).network_as(FocDepthFormer)
        self.config = network.config
        self._modules = dict(network.named_modules())
        self._shapes: dict[str, torch.Size] = {}
        for name, module in self._modules.items():
            module.register_forward_hook(self._noted(name))
        images = torch.zeros((1, 3, 3, _HEIGHT, _WIDTH), dtype=torch.uint8)
        with torch.inference_mode():
            network(images, torch.tensor([[2.0, 1.0, 0.5]]))

    def part(self, name: str) -> Any:
        """A part of the network."""
        return self._modules[name]

    def channels(self, name: str) -> int:
        """Of what a part gives."""
        return self._shapes[name][1]

    def at(self, name: str) -> str:
        """Channels and share of the image's resolution of what a part gives, like 48 at 1/4."""
        return f"{self.channels(name)} at 1/{_WIDTH // self._shapes[name][-1]}"

    def size(self, *names: str) -> str:
        """Number of parameters, like 480, 66 k or 2.15 M."""
        parts = [self._modules[name] for name in names]
        count = sum(item.numel() for part in parts for item in part.parameters())
        if count < 1000:
            return str(count)
        return f"{count / 1e3:.0f} k" if count < 999_500 else f"{count / 1e6:.2f} M"

    def _noted(self, name: str) -> Any:
        def note(module: nn.Module, given: Any, answer: Any) -> None:
            if isinstance(answer, Tensor):
                self._shapes[name] = answer.shape

        return note
