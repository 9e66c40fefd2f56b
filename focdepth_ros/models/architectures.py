"""The kinds of networks by name, with the configuration of each; imports no torch by itself."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

_MODELS = "focdepth_ros.models"


@dataclass(frozen=True)
class Architecture:
    """Where a kind of network is written.

    Parameters
    ----------
    presets : tuple of str
        Sizes that have a name.
    config_module, network_module : str
        The first imports no torch and has a function ``preset``.
    config_name, network_name : str
        Of the classes in them. The configuration has ``to_dict``, ``from_dict``,
        ``without_download`` and ``segmentation_classes``; the network takes it and keeps it as
        ``config``.
    """

    presets: tuple[str, ...]
    config_module: str
    config_name: str
    network_module: str
    network_name: str

    def config_class(self) -> Any:
        """The class of the configuration."""
        return getattr(import_module(self.config_module), self.config_name)

    def preset(self, name: str, **overrides: Any) -> Any:
        """The configuration of a preset, with some fields changed.

        Raises
        ------
        OptionError
            If there is no such preset or field, or a value is of another type or out of range.
        """
        return import_module(self.config_module).preset(name, **overrides)

    def network_class(self) -> Any:
        """The class of the network; this imports torch."""
        return getattr(import_module(self.network_module), self.network_name)


ARCHITECTURES = {
    "focdepthformer": Architecture(
        ("tiny", "small", "base"),
        f"{_MODELS}.focdepthformer.config",
        "FocDepthFormerConfig",
        f"{_MODELS}.focdepthformer.model",
        "FocDepthFormer",
    ),
    "stackmff_v2": Architecture(
        ("guided", "published"),
        f"{_MODELS}.stackmff_v2.config",
        "StackMffV2Config",
        f"{_MODELS}.stackmff_v2.model",
        "StackMffV2",
    ),
}
