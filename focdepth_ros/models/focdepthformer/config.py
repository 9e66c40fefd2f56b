"""What a FocDepthFormer is made of; imports no torch, so that settings can be read without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from focdepth_ros.errors import OptionError
from focdepth_ros.models.network_config import NetworkConfig

OUTPUTS = ("normalised_dioptres", "metres")
HOOKS = 4


_IMPROVED = {
    "output": "normalised_dioptres",
    "dioptre_encoding": True,
    "refinement": True,
    "confidence": True,
}

PRESETS: dict[str, dict[str, Any]] = {
    # A few hundred thousand multiplications per pixel: for computers without a GPU.
    "tiny": {
        "backbone": "vit_tiny_patch16_384",
        "embed_dim": 128,
        "depth": 4,
        "heads": 4,
        "hooks": (0, 1, 2, 3),
        "early_kernel_channels": 4,
        "early_channels": 12,
        "early_stride": 2,
        "lstm_hidden": 128,
        "reassemble_channels": (32, 48, 64, 64),
        "decoder_channels": 48,
        **_IMPROVED,
    },
    "small": {
        "backbone": "vit_small_patch16_384",
        "early_stride": 2,
        "lstm_hidden": 384,
        "reassemble_channels": (48, 96, 192, 384),
        "decoder_channels": 96,
        "guide_channels": 48,
        **_IMPROVED,
    },
    # That of the paper.
    "base": {},
}


@dataclass(frozen=True)
class FocDepthFormerConfig(NetworkConfig):
    """The parts of the network; the defaults are those of the paper.

    Parameters
    ----------
    backbone : str
        Name of a vision transformer of timm.
    embed_dim, depth, heads : int
        Width, number of blocks and of attention heads; 0: those that the name stands for.
    hooks : tuple of 4 int
        Blocks from which tokens are read, shallow to deep.
    pretrained : bool
        Whether timm is to load its ImageNet weights, which downloads them. Only training asks
        for it; a checkpoint has all weights in it.
    early_kernel_channels : int
        Channels of each of the parallel 3x3, 5x5 and 7x7 convolutions.
    early_channels : int
        Channels that these are fused to: what the transformer sees.
    early_stride : {1, 2}
        Of these convolutions; the patches keep their size in the image.
    lstm_hidden, lstm_layers : int
        Of the latent LSTM; 0 layers: tokens are only pooled over the slices.
    activation_threshold : float
        L2 norm from which on a token goes through the LSTM; the others are averaged.
    reassemble_channels : tuple of 4 int
        Channels of the tokens as images at 1/4, 1/8, 1/16 and 1/32.
    decoder_channels : int
    output : {"metres", "normalised_dioptres"}
        What the network answers in: metres, as it was trained on, or the sweep's own dioptres,
        0 at its farthest and 1 at its nearest focus distance, for any camera.
    dioptre_encoding : bool
        Whether every token is told at which focus distance its slice was taken.
    refinement : bool
        Whether the focus measure of every pixel guides the decoder, to full resolution.
    guide_channels : int
        Channels of the guide at half the resolution.
    confidence : bool
        Whether the network says how far to believe its answer.
    segmentation_classes : int
        Classes of the second head; 0: there is none.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    title = "FocDepthFormer"
    presets = PRESETS

    backbone: str = "vit_base_patch16_384"
    embed_dim: int = 0
    depth: int = 0
    heads: int = 0
    hooks: tuple[int, ...] = (2, 5, 8, 11)
    pretrained: bool = False
    early_kernel_channels: int = 16
    early_channels: int = 32
    early_stride: int = 1
    lstm_hidden: int = 512
    lstm_layers: int = 2
    activation_threshold: float = 0.4
    reassemble_channels: tuple[int, ...] = (96, 192, 384, 768)
    decoder_channels: int = 256
    output: str = "metres"
    dioptre_encoding: bool = False
    refinement: bool = False
    guide_channels: int = 32
    confidence: bool = False
    segmentation_classes: int = 0

    def __post_init__(self) -> None:
        for name in ("hooks", "reassemble_channels"):
            value = tuple(getattr(self, name))
            if len(value) != HOOKS or any(type(item) is not int for item in value):
                raise OptionError(f"{name} is {value}; give {HOOKS} whole numbers")
            object.__setattr__(self, name, value)
        if list(self.hooks) != sorted(set(self.hooks)) or self.hooks[0] < 0:
            raise OptionError(f"hooks are {self.hooks}; give numbers of blocks, rising")
        if min(self.reassemble_channels) < 1:
            raise OptionError(
                f"reassemble_channels are {self.reassemble_channels}; each must be at least 1"
            )
        if self.depth and self.hooks[-1] >= self.depth:
            raise OptionError(
                f"hooks are {self.hooks}, but there are {self.depth} blocks; the last is "
                f"{self.depth - 1}"
            )
        if self.output not in OUTPUTS:
            raise OptionError(f"output '{self.output}' is not known; use {', '.join(OUTPUTS)}")
        if self.early_stride not in (1, 2):
            raise OptionError(f"early_stride is {self.early_stride}; use 1 or 2")
        if self.refinement and self.output != "normalised_dioptres":
            raise OptionError(
                "refinement follows the focus measure through the sweep; it needs the output "
                "normalised_dioptres"
            )
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:  # NaN fails this comparison too
                raise OptionError(f"{name} is {getattr(self, name)}; it must be at least {least}")

    def without_download(self) -> FocDepthFormerConfig:
        """For weights that come from elsewhere: with nothing to be downloaded first."""
        return replace(self, pretrained=False)


_LEAST = {
    "embed_dim": 0,
    "depth": 0,
    "heads": 0,
    "early_kernel_channels": 1,
    "early_channels": 1,
    "lstm_hidden": 1,
    "lstm_layers": 0,
    "activation_threshold": 0.0,
    "decoder_channels": 8,
    "guide_channels": 8,
    "segmentation_classes": 0,
}


preset = FocDepthFormerConfig.preset
