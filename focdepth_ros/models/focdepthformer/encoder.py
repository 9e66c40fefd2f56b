"""The transformer encoder: from one slice to tokens of four depths."""

from __future__ import annotations

import math

import timm
import torch
from torch import Tensor, nn

from focdepth_ros.errors import OptionError
from focdepth_ros.models.focdepthformer.config import FocDepthFormerConfig
from focdepth_ros.models.focdepthformer.early_encoder import EarlyEncoder

PATCH = 16

_FREQUENCIES = 8
_LARGEST_DIOPTRE = 16.0  # whose longest wave is four times that long


class SliceEncoder(nn.Module):
    """A vision transformer on one slice at a time.

    The tokens of four blocks are read, and the global token of each is projected and added to
    its patch tokens (the "project" read-out of DPT, as a sum).

    Parameters
    ----------
    config : FocDepthFormerConfig

    Raises
    ------
    OptionError
        If timm has no such transformer, or it has too few blocks or another patch size.

    References
    ----------
    Ranftl, Bochkovskiy, Koltun, "Vision Transformers for Dense Prediction", arXiv 2103.13413.
    """

    def __init__(self, config: FocDepthFormerConfig) -> None:
        super().__init__()
        stride = config.early_stride
        self.early = EarlyEncoder(config.early_kernel_channels, config.early_channels, stride)
        self.vit = _vision_transformer(config)
        width = int(self.vit.embed_dim)
        self.width = width
        self.hooks = config.hooks
        self.read_out = nn.ModuleList(nn.Linear(width, width) for _ in config.hooks)
        self.dioptre = (
            nn.Sequential(nn.Linear(2 * _FREQUENCIES, width), nn.GELU(), nn.Linear(width, width))
            if config.dioptre_encoding
            else None
        )

    def forward(self, images: Tensor, dioptres: Tensor) -> list[Tensor]:
        """Encode slices, each for itself.

        Parameters
        ----------
        images : (B, 3, H, W) float in [-1, 1]
            Sides are multiples of `SIZE_MULTIPLE`.
        dioptres : (B,) float32
            1/m.

        Returns
        -------
        list of 4 (B, H / 16 * W / 16, D)
            Tokens, shallow to deep.
        """
        vit = self.vit
        tokens = vit._pos_embed(vit.patch_embed(self.early(images)))
        if self.dioptre is not None:
            tokens = tokens + self.dioptre(fourier_features(dioptres))[:, None]
        tokens = vit.norm_pre(tokens)
        found: list[Tensor] = []
        for number, block in enumerate(vit.blocks[: self.hooks[-1] + 1]):
            tokens = block(tokens)
            if number in self.hooks:
                read_out = self.read_out[len(found)]
                found.append(tokens[:, 1:] + read_out(tokens[:, :1]))
        return found


def fourier_features(dioptres: Tensor) -> Tensor:
    """Sines and cosines of inverse distances at octaves of frequency, (B,) to (B, 16)."""
    octaves = 2.0 ** torch.arange(_FREQUENCIES, device=dioptres.device, dtype=torch.float32)
    angles = dioptres.float()[:, None] * octaves * (0.5 * math.pi / _LARGEST_DIOPTRE)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _vision_transformer(config: FocDepthFormerConfig) -> nn.Module:
    options = {
        key: value
        for key, value in (
            ("embed_dim", config.embed_dim),
            ("depth", config.depth),
            ("num_heads", config.heads),
        )
        if value
    }
    if config.early_stride != 1:  # patches keep their size in the image
        options["patch_size"] = PATCH // config.early_stride
        options["img_size"] = 384 // config.early_stride
    try:
        vit = timm.create_model(
            config.backbone,
            pretrained=config.pretrained,
            num_classes=0,
            in_chans=config.early_channels,
            dynamic_img_size=True,
            **options,
        )
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise OptionError(
            f"timm cannot make the backbone '{config.backbone}' with {options}: {error}; give the "
            "name of one of its vision transformers, such as vit_small_patch16_384"
        ) from error
    patch = vit.patch_embed.patch_size[0] * config.early_stride
    if patch != PATCH or getattr(vit, "num_prefix_tokens", 0) != 1:
        raise OptionError(
            f"backbone '{config.backbone}' has patches of {patch} px and "
            f"{getattr(vit, 'num_prefix_tokens', 0)} global tokens; choose one with {PATCH} px "
            "and 1"
        )
    if config.hooks[-1] >= len(vit.blocks):
        raise OptionError(
            f"hooks are {config.hooks}, but backbone '{config.backbone}' has {len(vit.blocks)} "
            "blocks, counted from 0"
        )
    vit.norm = nn.Identity()  # tokens are read before it
    return vit
