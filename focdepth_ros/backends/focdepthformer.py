"""Depth from focus with a network, FocDepthFormer: the backend for machines with a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from focdepth_ros.backends.network import NetworkBackend, NetworkSettings
from focdepth_ros.torch_device import cuda_missing_because


@dataclass(frozen=True)
class FocDepthFormerSettings(NetworkSettings):
    """Settings of the `focdepthformer` backend."""

    backend = "focdepthformer"


class FocDepthFormerBackend(NetworkBackend):
    """A vision transformer looks at each slice as it comes, an LSTM remembers the sweep."""

    name = "focdepthformer"
    summary = "depth from focus by a network; made for a GPU"
    config_class = FocDepthFormerSettings

    @classmethod
    def passed_over_because(cls) -> str | None:
        return cuda_missing_because()
