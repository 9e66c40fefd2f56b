"""Training data from a folder of focal stacks that were rendered beforehand.

Rendering a stack takes longer than a training step on a small computer. A pool is rendered
once; every batch then takes other crops, slices and colours of it, and another sensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focdepth_ros.colour import linear_from_srgb
from focdepth_ros.errors import OptionError
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.randomness import (
    Range,
    chance,
    check_probability,
    check_range,
    choice,
    integer,
    log_uniform,
)
from focdepth_ros.training.rendering.sensor import SensorConfig, SensorModel
from focdepth_ros.training.sources.base import TrainingSource
from focdepth_ros.training.sources.pool_files import PoolStack, find_pool


@dataclass(frozen=True)
class PoolConfig:
    """How rendered stacks are varied.

    Parameters
    ----------
    zoomed : float
        Probability that a crop is rescaled.
    zoom : range
        Pixels of the rendered image per pixel of the crop where it is; above 1 shows more.
    contiguous : float
        Probability that the slices are neighbours, out of anywhere in the sweep.
    keep_ends : float
        Probability that they otherwise contain both ends of the sweep.
    far_to_near : float
        Probability that they go from far to near.
    dioptre_factor : range
        On all inverse distances: of a scene twice as large, seen by a lens twice as wide, the
        images are the same.
    brightness : range
        Factor on the light of a stack.
    tint : range
        Further factor on each channel.
    contrast : range
        Exponent of the light.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    zoomed: float = 0.3
    zoom: Range = (0.8, 1.5)
    contiguous: float = 0.2
    keep_ends: float = 0.8
    far_to_near: float = 0.5
    dioptre_factor: Range = (0.5, 2.0)
    brightness: Range = (0.5, 1.6)
    tint: Range = (0.85, 1.15)
    contrast: Range = (0.8, 1.3)

    def __post_init__(self) -> None:
        for name in ("zoomed", "contiguous", "keep_ends", "far_to_near"):
            check_probability("pool option", name, getattr(self, name))
        for name in ("zoom", "dioptre_factor", "brightness", "tint", "contrast"):
            check_range("pool option", name, getattr(self, name), 0.05, 20.0)


class RenderedPoolSource(TrainingSource):
    """Crops of the stacks of one or several pools; see `pool_files` and `render_pool`.

    Parameters
    ----------
    folders : path or sequence of path
    size : (int, int)
        Height and width of the crops.
    batch_size : int
    config : PoolConfig, optional
    sensor : SensorConfig, optional
    device : str
        Where the sensor is simulated and the batch ends up.

    Raises
    ------
    StackFileError
        If a folder is missing or empty, or a file in it is no rendered stack.
    OptionError
        If the crops are larger than the images.

    Notes
    -----
    Labels are given where any of the stacks has them, and are -1 for those that do not.
    """

    def __init__(
        self,
        folders: Path | str | Sequence[Path | str],
        size: tuple[int, int],
        batch_size: int,
        *,
        config: PoolConfig | None = None,
        sensor: SensorConfig | None = None,
        device: str = "cpu",
    ) -> None:
        if isinstance(folders, (str, Path)):
            folders = [folders]
        if min(*size, batch_size) < 1:
            raise OptionError(f"{batch_size} crops of {size} px; give numbers above 0")
        self._stacks = tuple(stack for folder in folders for stack in find_pool(folder))
        for stack in self._stacks:
            if max(size) > min(stack.size):  # crops are turned by 90 degrees too
                raise OptionError(
                    f"crops of {size} px do not fit into '{stack.path}' of {stack.size} px; "
                    "give a smaller crop size"
                )
        self._has_labels = any(stack.has_labels for stack in self._stacks)
        self._size = size
        self._batch_size = batch_size
        self._config = config or PoolConfig()
        self._sensor = SensorModel(sensor)
        self._device = device

    def __len__(self) -> int:
        """Number of stacks."""
        return len(self._stacks)

    @property
    def most_slices(self) -> int:
        """Number of slices of the longest stack."""
        return max(len(stack.focus) for stack in self._stacks)

    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        """Crops of stacks that have at least so many slices."""
        if slices < 2:
            raise OptionError(f"focal stacks of {slices} slices were asked for; give at least 2")
        count = min(slices, self.most_slices)
        candidates = [stack for stack in self._stacks if len(stack.focus) >= count]
        crops = [
            self._crop(choice(generator, candidates), generator, count)
            for _ in range(self._batch_size)
        ]
        images, dioptres, truths, labels = zip(*crops, strict=True)
        return TrainingBatch(
            torch.stack(images),
            torch.stack(dioptres).to(self._device),
            torch.stack(truths).to(self._device),
            torch.stack(labels).to(self._device) if self._has_labels else None,
        )

    def _crop(
        self, stack: PoolStack, generator: torch.Generator, count: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images, inverse focus distances, truth and labels of one crop."""
        config = self._config
        chosen = choose_slices(len(stack.focus), count, config, generator)
        factor = log_uniform(generator, config.dioptre_factor)
        window = _draw_window(stack.size, self._size, config, generator)
        tables = _light_tables(config, generator)
        images = stack.mapped("images")
        light = np.empty((count, 3, *self._size), np.float32)
        for planes, number in zip(light, chosen, strict=True):
            colours = window.cut(images[number])
            for plane, colour, table in zip(planes, cv2.split(colours), tables, strict=True):
                cv2.LUT(colour, table, dst=plane)
        dioptres = torch.from_numpy(factor * stack.focus[chosen])
        record = self._sensor.record(torch.from_numpy(light).to(self._device), dioptres, generator)
        truth = window.cut(stack.mapped("dioptre"), nearest=True) * np.float32(factor)
        if stack.has_labels:
            labels = window.cut(stack.mapped("labels"), nearest=True)
        else:
            labels = np.full(self._size, -1, np.int8)
        return record, dioptres.float(), torch.from_numpy(truth), torch.from_numpy(labels).long()


def choose_slices(
    available: int, count: int, config: PoolConfig, generator: torch.Generator
) -> list[int]:
    """Which `count` of the slices of a stack to take, in the order of exposure."""
    if chance(generator, config.contiguous):
        first = integer(generator, 0, available - count)
        chosen = list(range(first, first + count))
    else:
        ends = [0, available - 1] if chance(generator, config.keep_ends) else []
        others = [i for i in range(available) if i not in ends]
        order = torch.randperm(len(others), generator=generator).tolist()
        chosen = sorted(ends + [others[i] for i in order[: count - len(ends)]])
    return chosen[::-1] if chance(generator, config.far_to_near) else chosen


@dataclass(frozen=True)
class _Window:
    """A part of an image, perhaps turned, mirrored and rescaled.

    Parameters
    ----------
    top, left, height, width : int
        In the image.
    size : (int, int)
        Height and width of what is made of it.
    transposed : bool
    flip : int, optional
        Code of cv2.flip.
    """

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    transposed: bool
    flip: int | None

    def cut(self, image: NDArray[Any], *, nearest: bool = False) -> NDArray[Any]:
        """The part of an image (H, W) or (H, W, 3); `nearest` does not mix pixels."""
        part = image[self.top : self.top + self.height, self.left : self.left + self.width]
        # OpenCV does this several times faster than NumPy copies turned views.
        if self.transposed:
            part = cv2.transpose(part)
        if self.flip is not None:
            part = cv2.flip(part, self.flip)
        part = np.ascontiguousarray(part)
        if part.shape[:2] == self.size:
            return part
        if nearest:
            how = cv2.INTER_NEAREST_EXACT
        else:
            how = cv2.INTER_AREA if self.height > self.size[0] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(part, self.size[::-1], interpolation=how))


def _draw_window(
    image: tuple[int, int], size: tuple[int, int], config: PoolConfig, generator: torch.Generator
) -> _Window:
    transposed = chance(generator, 0.5)
    height, width = size[::-1] if transposed else size
    zoom = log_uniform(generator, config.zoom) if chance(generator, config.zoomed) else 1.0
    zoom = min(zoom, image[0] / height, image[1] / width)
    height, width = max(int(height * zoom), 1), max(int(width * zoom), 1)
    return _Window(
        top=integer(generator, 0, image[0] - height),
        left=integer(generator, 0, image[1] - width),
        height=height,
        width=width,
        size=size,
        transposed=transposed,
        flip=choice(generator, (None, 0, 1, -1)),
    )


def _light_tables(config: PoolConfig, generator: torch.Generator) -> list[NDArray[np.float32]]:
    """Linear light of every sRGB code under another light, for each channel."""
    linear = linear_from_srgb(np.arange(256, dtype=np.uint8)) ** log_uniform(
        generator, config.contrast
    )
    brightness = log_uniform(generator, config.brightness)
    return [
        np.asarray(linear * brightness * log_uniform(generator, config.tint), np.float32)
        for _ in range(3)
    ]
