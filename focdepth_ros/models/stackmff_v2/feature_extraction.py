"""How sharp a slice is at every pixel, seen for itself: a light U-shaped network with attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from focdepth_ros.models.pointwise import mixed, planes_of
from focdepth_ros.models.stackmff_v2.config import StackMffV2Config

_GROUPS = 4
_BAND = 11  # px
_SHARE = 8  # one of so many channels goes through each depth-wise convolution


class InceptionUnit(nn.Module):
    """A 1x1 convolution, then a square, a row and a column, each over some of the channels.

    References
    ----------
    Yu et al., "InceptionNeXt: When Inception Meets ConvNeXt", arXiv 2303.16900, section 3.2.
    """

    def __init__(self, given: int, channels: int) -> None:
        super().__init__()
        some = max(1, channels // _SHARE)
        self._split = (channels - 3 * some, some, some, some)
        reach = _BAND // 2
        self.mix = nn.Conv2d(given, channels, 1)
        self.square = nn.Conv2d(some, some, 3, padding=1, groups=some)
        self.row = nn.Conv2d(some, some, (1, _BAND), padding=(0, reach), groups=some)
        self.column = nn.Conv2d(some, some, (_BAND, 1), padding=(reach, 0), groups=some)

    def forward(self, features: Tensor) -> Tensor:
        """(B, given, h, w) to (B, channels, h, w), which lie in memory plane by plane."""
        # Of planes a few channels are taken out, and put beside others, without going through all.
        found = planes_of(self.mix, features)
        same, square, row, column = found.split(self._split, dim=1)
        parts = self.square(square), self.row(row), self.column(column)
        if torch.is_grad_enabled():
            return torch.cat((same, *parts), dim=1)
        for given, part in zip((square, row, column), parts, strict=True):
            given.copy_(part)
        return found

    def fold(self, norm: nn.BatchNorm2d) -> None:
        """Make a normalisation of what comes out, with final statistics, part of the weights."""
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        same = self._split[0]
        begin = same
        with torch.no_grad():
            self.mix.weight[:same] *= scale[:same, None, None, None]
            self.mix.bias[:same] *= scale[:same]
            self.mix.bias[:same] += shift[:same]
            for layer in (self.square, self.row, self.column):
                own = slice(begin, begin + layer.out_channels)
                layer.weight *= scale[own, None, None, None]
                layer.bias.mul_(scale[own]).add_(shift[own])
                begin = own.stop


class AttentionBridge(nn.Module):
    """Spatial, then channel attention on what goes from each level of the encoder to the decoder.

    References
    ----------
    Ruan et al., "MALUNet: A Multi-Attention and Light-weight UNet for Skin Lesion Segmentation",
    arXiv 2211.01784, section II.C.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(2, 1, 7, padding=9, dilation=3)
        self.mix = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.gates = nn.ModuleList(nn.Linear(sum(channels), own) for own in channels)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Each (B, own channels, h, w) to the same."""
        placed = [level * torch.sigmoid(self.spatial(_mean_and_largest(level))) for level in levels]
        sums = [level + own for level, own in zip(levels, placed, strict=True)]
        means = torch.cat([level.mean(dim=(2, 3)) for level in sums], dim=1)
        means = self.mix(means[:, None])[:, 0]
        return [
            torch.addcmul(own, level, torch.sigmoid(gate(means))[:, :, None, None])
            for level, own, gate in zip(sums, placed, self.gates, strict=True)
        ]


class FeatureExtraction(nn.Module):
    """Features in (0, 1) of every slice, which other slices have no part in.

    Parameters
    ----------
    config : StackMffV2Config
        Without the focus guide it sees the grey image, and the first level of the encoder halves
        that. With it, it sees cells of 2x2 pixels, with their focus measures.
    given : int
        Channels that it sees.
    """

    def __init__(self, config: StackMffV2Config, given: int) -> None:
        super().__init__()
        channels = config.channels
        self._stride = config.stride
        self._halves_first = not config.focus_guide
        # Without the levels that are finer than the cells.
        self._first_level = 0 if config.stride == 1 else 1
        self.stem = nn.Conv2d(given, channels[0], 3, padding=1)
        self.encoders = nn.ModuleList(map(InceptionUnit, channels[:-1], channels[1:]))
        self.encoder_norms = nn.ModuleList(_norm(config, own) for own in channels[:-1])
        self.bridge = AttentionBridge(channels[self._first_level : -1])
        narrowing = channels[::-1][: len(channels) - self._first_level]
        self.decoders = nn.ModuleList(map(InceptionUnit, narrowing[:-1], narrowing[1:]))
        self.decoder_norms = nn.ModuleList(_norm(config, own) for own in narrowing[1:])
        self.project = nn.Conv2d(channels[self._first_level], config.features, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, given, h, w) to (B, features, H / stride, W / stride) for images of (H, W).

        The sides H and W are multiples of 32.
        """
        found = self.encoder_norms[0](self.stem(images))
        found = functional.gelu(_halved(found) if self._halves_first else found)
        levels = [found] if self._first_level == 0 else []
        for encoder, norm in zip(self.encoders[:-1], self.encoder_norms[1:], strict=True):
            found = functional.gelu(_halved(norm(encoder(found))))
            levels.append(found)
        levels = self.bridge(levels)
        found = functional.gelu(self.encoders[-1](found))
        for number, (decoder, norm) in enumerate(
            zip(self.decoders, self.decoder_norms, strict=True)
        ):
            found = norm(decoder(found))
            found = functional.gelu(found if number == 0 else _doubled(found)) + levels.pop()
        # Channels last: for the convolutions that come after it.
        found = mixed(self.project, [found])
        return torch.sigmoid(_doubled(found) if self._stride == 1 else found)

    def fold(self) -> None:
        """Make batch normalisations, whose statistics are final, part of the convolutions."""
        first = self.encoder_norms[0]
        if isinstance(first, nn.BatchNorm2d):
            self.stem = fuse_conv_bn_eval(self.stem, first)
            self.encoder_norms[0] = nn.Identity()
        for units, norms, before in (
            (self.encoders[:-1], self.encoder_norms, 1),
            (self.decoders, self.decoder_norms, 0),
        ):
            for number, unit in enumerate(units):
                norm = norms[number + before]
                if isinstance(norm, nn.BatchNorm2d):
                    unit.fold(norm)
                    norms[number + before] = nn.Identity()


def _mean_and_largest(features: Tensor) -> Tensor:
    """Over the channels, (B, 2, h, w)."""
    return torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], dim=1)


def _halved(features: Tensor) -> Tensor:
    """The largest of 2x2; max_pool2d keeps where it was, and takes several times as long."""
    rows = torch.maximum(features[:, :, ::2], features[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=True)


def _norm(config: StackMffV2Config, channels: int) -> nn.Module:
    if config.norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(_GROUPS, channels)
