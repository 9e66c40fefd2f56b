"""Flips, crops and rotations of whole focal stacks, as in the recipe of the paper.

For sources that always show their pictures the same way round; pools vary theirs themselves.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.config import AugmentationSettings
from focdepth_ros.training.randomness import chance, uniform
from focdepth_ros.training.sources.base import TrainingSource


class AugmentedSource(TrainingSource):
    """What another source gives, varied.

    Parameters
    ----------
    source : TrainingSource
    settings : AugmentationSettings
    """

    def __init__(self, source: TrainingSource, settings: AugmentationSettings) -> None:
        self._source = source
        self._settings = settings

    def batch(self, generator: Generator, slices: int) -> TrainingBatch:
        """A batch whose stacks are each flipped, cropped and turned with their probabilities."""
        batch = self._source.batch(generator, slices)
        matrices = [
            _random_matrix(generator, batch.images.shape[-2:], self._settings)
            for _ in range(len(batch.images))
        ]
        return warped(batch, torch.tensor(matrices, device=batch.images.device))


def warped(batch: TrainingBatch, matrices: Tensor) -> TrainingBatch:
    """A batch seen through affine maps, the same for all slices of a stack.

    Images are interpolated and continued by their reflection; truth and labels are taken from the
    nearest pixel and not known outside.

    Parameters
    ----------
    batch : TrainingBatch
    matrices : (B, 2, 3) float32
        From places in the answer to places in `batch`, both from -1 to 1 across the image.
    """
    stacks, slices, _, height, width = batch.images.shape
    grid = functional.affine_grid(matrices, [stacks, 1, height, width], align_corners=False)
    images = functional.grid_sample(
        batch.images.flatten(1, 2).float(), grid, padding_mode="reflection", align_corners=False
    )
    images = images.round_().to(torch.uint8).unflatten(1, (slices, 3))
    inside = (grid.abs() <= 1.0).all(dim=-1)
    truth = _nearest(batch.inverse_depth, grid)
    truth = torch.where(inside, truth, torch.full_like(truth, torch.nan))
    labels = batch.labels
    if labels is not None:
        found = _nearest(labels.float(), grid).long()
        labels = torch.where(inside, found, torch.full_like(found, -1))
    return TrainingBatch(images, batch.dioptres, truth, labels)


def _nearest(values: Tensor, grid: Tensor) -> Tensor:
    """Values (B, H, W) at the pixels that are nearest to a grid."""
    found: Tensor = functional.grid_sample(
        values[:, None], grid, mode="nearest", padding_mode="border", align_corners=False
    )
    return found[:, 0]


def _random_matrix(
    generator: Generator, size: tuple[int, int], settings: AugmentationSettings
) -> list[list[float]]:
    """A map for `warped`."""
    height, width = size
    mirror = -1.0 if chance(generator, settings.flip) else 1.0
    scale = uniform(generator, (settings.smallest_crop, 1.0))
    shift = [uniform(generator, (-1.0, 1.0)) for _ in range(2)]
    if not chance(generator, settings.crop):
        scale = 1.0
    angle = math.radians(uniform(generator, (-settings.degrees, settings.degrees)))
    if not chance(generator, settings.rotation):
        angle = 0.0
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    across, down = ((1.0 - scale) * part for part in shift)
    return [
        [mirror * cosine, -sine * height / width, across],
        [mirror * sine * width / height, cosine, down],
    ]
