"""The kinds of networks by name, with the configuration of each; imports no torch by itself."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from focdepth_ros.models.network_config import NetworkConfig

_MODELS = "focdepth_ros.models"


@dataclass(frozen=True)
class Architecture:
    """Where a kind of network is written.

    Parameters
    ----------
    config_module, config_name : str
        Of its `NetworkConfig`; the module imports no torch.
    network_module, network_name : str
        Of its `SweepNetwork`, which takes the configuration and keeps it as ``config``.
    """

    config_module: str
    config_name: str
    network_module: str
    network_name: str

    def config_class(self) -> type[NetworkConfig]:
        """The class of the configuration."""
        found: type[NetworkConfig] = getattr(import_module(self.config_module), self.config_name)
        return found

    def network_class(self) -> Any:
        """The class of the network; this imports torch."""
        return getattr(import_module(self.network_module), self.network_name)


ARCHITECTURES = {
    "focdepthformer": Architecture(
        f"{_MODELS}.focdepthformer.config",
        "FocDepthFormerConfig",
        f"{_MODELS}.focdepthformer.model",
        "FocDepthFormer",
    ),
    "stackmff_v2": Architecture(
        f"{_MODELS}.stackmff_v2.config",
        "StackMffV2Config",
        f"{_MODELS}.stackmff_v2.model",
        "StackMffV2",
    ),
}
