"""Depth from focus with a network, FocDepthFormer: the backend for machines with a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from focdepth_ros.backends.network import NetworkBackend, NetworkSettings
from focdepth_ros.options import option
from focdepth_ros.torch_device import cuda_missing_because


@dataclass(frozen=True)
class FocDepthFormerSettings(NetworkSettings):
    """Settings of the `focdepthformer` backend."""

    backend = "focdepthformer"

    transformer: bool = option(
        True,
        "Whether the transformer and the LSTM look at the slices. Without them the focus measure "
        "and the layers that refine it answer alone: a frame takes a fifth of the time on a CPU, "
        "and the shipped weights are as exact.",
    )

    @property
    def uses_tokens(self) -> bool:
        return self.transformer


class FocDepthFormerBackend(NetworkBackend):
    """A vision transformer looks at each slice as it comes, an LSTM remembers the sweep."""

    name = "focdepthformer"
    summary = "depth from focus by a network; made for a GPU"
    config_class = FocDepthFormerSettings

    @classmethod
    def passed_over_because(cls) -> str | None:
        return cuda_missing_because()
