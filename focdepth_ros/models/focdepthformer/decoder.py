"""The decoder: tokens as images at four scales, fused from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from focdepth_ros.models.residual_units import FusionBlock, enlarged, fused_levels


class Decoder(nn.Module):
    """Convolutional decoder of DPT.

    Parameters
    ----------
    width : int
        Of the tokens.
    reassemble_channels : sequence of 4 int
        Of the tokens as images at 1/4, 1/8, 1/16, 1/32.
    channels : int
        Of the fused features.

    References
    ----------
    Ranftl, Bochkovskiy, Koltun, "Vision Transformers for Dense Prediction", arXiv 2103.13413,
    section 3.1: reassemble and fusion.
    """

    def __init__(self, width: int, reassemble_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        quarter, eighth, sixteenth, thirtysecond = reassemble_channels
        self.reassemble = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(width, quarter, 1), nn.ConvTranspose2d(quarter, quarter, 4, 4)
                ),
                nn.Sequential(
                    nn.Conv2d(width, eighth, 1), nn.ConvTranspose2d(eighth, eighth, 2, 2)
                ),
                nn.Conv2d(width, sixteenth, 1),
                nn.Sequential(
                    nn.Conv2d(width, thirtysecond, 1),
                    nn.Conv2d(thirtysecond, thirtysecond, 3, stride=2, padding=1),
                ),
            ]
        )
        self.project = nn.ModuleList(
            nn.Conv2d(found, channels, 3, padding=1, bias=False) for found in reassemble_channels
        )
        self.fusion = nn.ModuleList(
            FusionBlock(channels, coarsest=number == 0) for number in range(len(self.project))
        )

    def forward(
        self, tokens: Sequence[Tensor], grid: tuple[int, int], laterals: Sequence[Tensor] = ()
    ) -> Tensor:
        """Fuse the tokens of four depths.

        Parameters
        ----------
        tokens : sequence of 4 (B, h * w, D), or empty
            Shallow to deep; with none of them the laterals are all there is.
        grid : (h, w)
            Patches along the sides.
        laterals : sequence of 4 (B, channels, ., .), or empty
            To be added at 1/4, 1/8, 1/16 and 1/32.

        Returns
        -------
        (B, channels, 8 h, 8 w)
            At half the resolution of the image.
        """
        levels = list(laterals)
        for number, found in enumerate(tokens):
            picture = found.transpose(1, 2).unflatten(2, grid)
            level = self.project[number](self.reassemble[number](picture))
            levels[number : number + 1] = [level + laterals[number] if laterals else level]
        return fused_levels(self.fusion, levels)


class DepthHead(nn.Module):
    """From fused features to one channel at the resolution of the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.first = nn.Conv2d(channels, half, 3, padding=1)
        self.second = nn.Conv2d(half, 32, 3, padding=1)
        self.last = nn.Conv2d(32, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) to (B, 2 h, 2 w)."""
        found = self.second(enlarged(self.first(features)))
        depth: Tensor = self.last(nn.functional.relu(found))
        return depth[:, 0]
