"""What training surfaces are covered with: crops of photographs, sampled on any device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from focdepth_ros.colour import linear_from_srgb
from focdepth_ros.simulation.textures import fractal_noise, load_photographs, random_colour
from focdepth_ros.stack import ImageArray
from focdepth_ros.training.evaluation_data import refuse_evaluation_data
from focdepth_ros.training.randomness import Range, chance, choice, integer, log_uniform, uniform

_LEAST_SIDE = 64  # px of the coarsest level of a photograph
_PATTERNS = 24


class Photographs:
    """Photographs on a device, each at full, half, quarter... size.

    Parameters
    ----------
    images : sequence of (H, W, 3) uint8
        RGB; patterns of noise in their place where there are none.
    device : str
    """

    def __init__(self, images: Sequence[ImageArray], device: str = "cpu") -> None:
        self._levels = [_halved(image, device) for image in images or _patterns()]
        self._device = device
        codes = np.arange(256, dtype=np.uint8)
        self._linear = torch.from_numpy(linear_from_srgb(codes)).to(device)

    def __len__(self) -> int:
        return len(self._levels)

    @property
    def device(self) -> str:
        """Where the photographs are."""
        return self._device

    def random_crop(
        self, generator: torch.Generator, size: tuple[int, int], scale: Range
    ) -> Tensor:
        """A part of a photograph, turned, mirrored, rescaled and recoloured at random.

        Parameters
        ----------
        generator : torch.Generator
            On the CPU.
        size : (int, int)
            Height and width.
        scale : range
            Pixels of the photograph per pixel of the crop.

        Returns
        -------
        (3, H, W) float32
            Linear light. Beyond the borders a photograph is mirrored.
        """
        levels = choice(generator, self._levels)
        step = log_uniform(generator, scale)
        # Bilinear lookup bears steps of up to about 1.4 px without aliasing.
        level = min(max(math.ceil(math.log2(step / 1.4)), 0), len(levels) - 1)
        step /= 2.0**level
        photograph = levels[level]
        turn = integer(generator, 0, 3) * math.pi / 2.0
        if chance(generator, 0.5):
            turn += uniform(generator, (0.0, math.pi / 2.0))
        mirror = choice(generator, (-1.0, 1.0))
        along = step * math.cos(turn), step * math.sin(turn)
        reach = (
            abs(along[0]) * size[1] + abs(along[1]) * size[0],
            abs(along[1]) * size[1] + abs(along[0]) * size[0],
        )
        # Only the part that is looked at is converted to linear light.
        height, width = photograph.shape[1:]
        part_width, part_height = (
            min(math.ceil(extent) + 2, side)
            for extent, side in zip(reach, (width, height), strict=True)
        )
        left = integer(generator, 0, width - part_width)
        top = integer(generator, 0, height - part_height)
        part = photograph[:, top : top + part_height, left : left + part_width]
        light = self._recoloured(part, generator)
        matrix = torch.tensor(
            [
                [mirror * along[0] * size[1] / part_width, -along[1] * size[0] / part_width, 0.0],
                [mirror * along[1] * size[1] / part_height, along[0] * size[0] / part_height, 0.0],
            ],
            device=self._device,
        )
        grid = F.affine_grid(matrix[None], [1, 3, *size], align_corners=False)
        return F.grid_sample(
            light[None], grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )[0]

    def _recoloured(self, part: Tensor, generator: torch.Generator) -> Tensor:
        """Linear light, of another exposure and mostly of another tint."""
        light = self._linear[part.int()]
        if chance(generator, 0.5):
            light = light[torch.randperm(3, generator=generator).to(light.device)]
            light = torch.lerp(
                light.mean(dim=0, keepdim=True), light, uniform(generator, (0.2, 1.0))
            )
        # Too dark a photograph is lifted.
        gain = uniform(generator, (0.15, 0.5)) / light.mean().clamp(min=0.05)
        tint = [log_uniform(generator, (0.85, 1.18)) for _ in range(3)]
        light = light * (gain * torch.tensor(tint, device=light.device)[:, None, None])
        return light.clamp_(0.0, 1.0)


def read_photographs(folders: Sequence[Path | str]) -> tuple[ImageArray, ...]:
    """All photographs of some folders, for training data.

    Without folders there are none, not those that `simulation.load_photographs` finds by itself:
    with these the simulated scenes are textured that figures are given for.

    Parameters
    ----------
    folders : sequence of path

    Returns
    -------
    tuple of (H, W, 3) uint8
        RGB.

    Raises
    ------
    OptionError
        If a folder does not exist, holds no readable image, or is kept for evaluation.
    """
    for folder in folders:
        refuse_evaluation_data(folder)
    return tuple(image for folder in folders for image in load_photographs(folder))


def _halved(image: ImageArray, device: str) -> list[Tensor]:
    levels = [torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))]
    while min(levels[-1].shape[1:]) >= 2 * _LEAST_SIDE:
        halved = F.avg_pool2d(levels[-1].float()[None], 2)[0]
        levels.append(halved.round_().to(torch.uint8))
    return [level.to(device) for level in levels]


@lru_cache(maxsize=1)
def _patterns() -> tuple[ImageArray, ...]:
    """Noise between two colours, so that nothing depends on photographs being there."""
    rng = np.random.default_rng(5)
    patterns = []
    for _ in range(_PATTERNS):
        noise = fractal_noise(rng, 256, roughness=float(rng.uniform(0.5, 0.95)))[..., None]
        dark, bright = random_colour(rng, 0.1, 0.4), random_colour(rng, 0.6, 1.0)
        patterns.append(np.rint(255.0 * (dark + noise * (bright - dark))).astype(np.uint8))
    return tuple(patterns)
