"""What a StackMFF-V2 is made of; imports no torch, so that settings can be read without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from focdepth_ros.errors import OptionError
from focdepth_ros.models.network_config import NetworkConfig

NORMS = ("group", "batch")
STRIDES = (1, 4)

_LEVELS = 6
_GROUPS = 4


PRESETS: dict[str, dict[str, Any]] = {
    "published": {},
    "guided": {"norm": "batch", "stride": 4, "focus_guide": True, "confidence": True},
}


@dataclass(frozen=True)
class StackMffV2Config(NetworkConfig):
    """The parts of the network; the defaults are those that were published.

    Parameters
    ----------
    channels : tuple of 6 int
        Of the U-shaped network at 1/2, 1/4, ... 1/32 of the image, and in its middle. Multiples
        of 4.
    features : int
        Channels that each slice ends up with.
    hidden : int
        Channels of the recurrent units.
    norm : {"group", "batch"}
        Of the features: over each image, whose far corners then have a say in every pixel, or
        with statistics of the training.
    stride : {1, 4}
        Pixels along the side of a cell of the recurrent units.
    focus_guide : bool
        Whether the focus measure of every pixel is given to the network, and guides its answer
        from the cells to the pixels and into plain surfaces. Needs stride 4.
    guide_channels, decoder_channels : int
        Of the guide, at half the resolution and below.
    confidence : bool
        Whether the network says how far to believe its answer. Needs the guide.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    title = "StackMFF-V2"
    presets = PRESETS

    channels: tuple[int, ...] = (8, 16, 24, 32, 48, 64)
    features: int = 8
    hidden: int = 16
    norm: str = "group"
    stride: int = 1
    focus_guide: bool = False
    guide_channels: int = 16
    decoder_channels: int = 24
    confidence: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        if len(self.channels) != _LEVELS or any(
            type(item) is not int or item < _GROUPS or item % _GROUPS for item in self.channels
        ):
            raise OptionError(
                f"channels are {self.channels}; give {_LEVELS} multiples of {_GROUPS}"
            )
        if self.norm not in NORMS:
            raise OptionError(f"norm '{self.norm}' is not known; use {', '.join(NORMS)}")
        if self.stride not in STRIDES:
            raise OptionError(f"stride is {self.stride}; use {' or '.join(map(str, STRIDES))}")
        if self.focus_guide and self.stride == 1:
            raise OptionError("focus_guide leads from cells to pixels; it needs stride 4")
        if self.confidence and not self.focus_guide:
            raise OptionError("confidence is told by the focus_guide; set it to true, too")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise OptionError(f"{name} is {getattr(self, name)}; it must be at least {least}")


_LEAST = {"features": 1, "hidden": 1, "guide_channels": 8, "decoder_channels": 8}


preset = StackMffV2Config.preset
