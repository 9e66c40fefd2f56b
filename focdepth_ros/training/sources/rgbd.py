"""Training data from photographs with depth maps, made into focal stacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from focdepth_ros.datasets.fusion_folders import read_grey_depth
from focdepth_ros.errors import OptionError, StackFileError
from focdepth_ros.files.image_io import IMAGE_SUFFIXES, read_depth, read_image
from focdepth_ros.simulation.defocus import SEPARATE_BLUR, blur_per_dioptre
from focdepth_ros.simulation.rgbd import layered_view_from_rgbd
from focdepth_ros.stack import FloatImage, ImageArray
from focdepth_ros.training.evaluation_data import refuse_evaluation_data
from focdepth_ros.training.randomness import chance, check_range, choice, integer, uniform
from focdepth_ros.training.rendering.focus_sweeps import FocusSweep, sweep_through
from focdepth_ros.training.rendering.layered_tensors import LayeredScene, layered_tensors
from focdepth_ros.training.sources.rendered import RenderedSource, RenderSettings

# Folders of the photographs and of their depth maps; the second ones are those of StackMFF.
_PICTURES = ("rgb", "AiF")
_MAPS = ("depth", "depth_maps")
_DEPTH_SUFFIXES = (".png", ".npy")
_VALUES = ("depth", "grey")
_OUTLIERS = (0.5, 99.5)  # % of the depths that a sweep is laid through
_LEAST_KNOWN = 0.3  # share of a crop
_TRIES = 20


@dataclass(frozen=True)
class RgbdConfig:
    """How depth maps are read and cropped.

    Parameters
    ----------
    values : {"depth", "grey"}
        What the maps hold: depths, millimetres in PNG and metres in .npy; or, as those of
        StackMFF, 8-bit grey levels with which the inverse depth goes evenly, in no unit
        (`read_grey_depth`): white counts as 1 m and black as 256 m.
    depth_factor : float
        On the depths as read; 0.2 for PNG in 1/5000 m.
    farthest : float
        Metres; what is farther counts as not known. Of depths only.
    zoom : range
        Pixels of the photograph per pixel of a crop.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    values: str = "depth"
    depth_factor: float = 1.0
    farthest: float = 60.0
    zoom: tuple[float, float] = (1.0, 2.0)

    def __post_init__(self) -> None:
        if self.values not in _VALUES:
            raise OptionError(
                f"RGB-D option 'values' is '{self.values}'; use {' or '.join(_VALUES)}"
            )
        for name in ("depth_factor", "farthest"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise OptionError(f"RGB-D option '{name}' is {value}; give a number above 0")
        check_range("RGB-D option", "zoom", self.zoom, 0.1, 20.0)


class RgbdSource(RenderedSource):
    """Sweeps through crops of photographs whose depth is known.

    Parameters
    ----------
    folders : sequence of path
        Each with the photographs in ``rgb/`` or ``AiF/`` and depth maps of the same names in
        ``depth/`` or ``depth_maps/``.
        Never those that figures are given for, see `refuse_evaluation_data`.
    size : (int, int)
        Height and width of the images.
    batch_size : int
    config : RgbdConfig, optional
    settings : RenderSettings, optional

    Raises
    ------
    StackFileError
        If a folder is missing or holds no such pair.
    OptionError
        If a size is not above 0, or a folder is kept for evaluation.
    """

    def __init__(
        self,
        folders: Sequence[Path | str],
        size: tuple[int, int],
        batch_size: int,
        *,
        config: RgbdConfig | None = None,
        settings: RenderSettings | None = None,
    ) -> None:
        super().__init__(size, batch_size, settings)
        self._pairs = [pair for folder in folders for pair in find_pairs(Path(folder))]
        if not self._pairs:
            raise OptionError("no folder of photographs with depth; give at least one")
        self._config = config or RgbdConfig()

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self._pairs)

    def draw(self, generator: torch.Generator, slices: int) -> tuple[FocusSweep, LayeredScene]:
        """A crop and a sweep through its range of depths."""
        image, depth = self._crop(generator)
        known = depth > 0.0
        far, near = np.percentile(1.0 / depth[known], _OUTLIERS).tolist()
        depth = np.clip(depth, 1.0 / near, 1.0 / far)
        sweep = sweep_through(generator, self.settings.sweep, (far, near), slices)
        margin = self.margin(sweep)
        view = layered_view_from_rgbd(
            image,
            depth,
            margin=margin,
            reach=sweep.margin,
            gap=SEPARATE_BLUR / blur_per_dioptre(sweep.lens, sweep.focus_distances),
        )
        device = self.settings.device
        truth = torch.from_numpy((1.0 / depth).astype(np.float32)).to(device)
        return sweep, LayeredScene(layered_tensors(view, device), truth)

    def _crop(self, generator: torch.Generator) -> tuple[ImageArray, FloatImage]:
        """A part of a photograph and of its depth map, NaN where not known."""
        for _ in range(_TRIES):
            picture, map_ = choice(generator, self._pairs)
            image, depth = _read_pair(picture, map_, self._config)
            image, depth = _random_crop(generator, image, depth, self.size, self._config)
            if np.count_nonzero(depth > 0.0) >= _LEAST_KNOWN * depth.size:
                return image, depth
        raise StackFileError(
            f"of {_TRIES} crops none had a known depth in {_LEAST_KNOWN:.0%} of its pixels; check "
            f"the depth maps, such as '{map_}', and depth_factor {self._config.depth_factor} and "
            f"farthest {self._config.farthest}"
        )


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Photographs and their depth maps, in the order of their names.

    Raises
    ------
    StackFileError
        If the folder holds no such pair.
    OptionError
        If it is one of those that are kept for evaluation.
    """
    refuse_evaluation_data(folder)
    maps = {path.stem: path for name in _MAPS for path in (folder / name).glob("*")
            if path.suffix.lower() in _DEPTH_SUFFIXES}  # fmt: skip
    pictures = sorted(path for name in _PICTURES for path in (folder / name).glob("*"))
    pairs = [(path, maps[path.stem]) for path in pictures
             if path.suffix.lower() in IMAGE_SUFFIXES and path.stem in maps]  # fmt: skip
    if not pairs:
        raise StackFileError(
            f"'{folder}' holds no photograph in {'/ or '.join(_PICTURES)}/ with a depth map of the "
            f"same name (.png or .npy) in {'/ or '.join(_MAPS)}/"
        )
    return pairs


def _read_pair(picture: Path, map_: Path, config: RgbdConfig) -> tuple[ImageArray, FloatImage]:
    image = read_image(picture)
    is_grey = config.values == "grey"
    depth = read_grey_depth(map_) if is_grey else read_depth(map_)
    depth *= np.float32(config.depth_factor)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.shape[:2] != depth.shape:
        raise StackFileError(
            f"'{picture}' is {image.shape[:2]} px, its depth map '{map_}' {depth.shape}; "
            "give both in one size"
        )
    if not is_grey:
        depth[~(depth <= config.farthest)] = np.nan
    return image, depth


def _random_crop(
    generator: torch.Generator,
    image: ImageArray,
    depth: FloatImage,
    size: tuple[int, int],
    config: RgbdConfig,
) -> tuple[ImageArray, FloatImage]:
    """Cut out, scaled to a size and perhaps mirrored."""
    zoom = uniform(generator, config.zoom)
    zoom = min(zoom, image.shape[0] / size[0], image.shape[1] / size[1])
    height, width = max(int(size[0] * zoom), 1), max(int(size[1] * zoom), 1)
    top = integer(generator, 0, image.shape[0] - height)
    left = integer(generator, 0, image.shape[1] - width)
    part = (slice(top, top + height), slice(left, left + width))
    how = cv2.INTER_AREA if zoom > 1.0 else cv2.INTER_LINEAR
    # Depths are not mixed: between a near and a far one there is nothing.
    scaled: tuple[NDArray[np.uint8], FloatImage] = (
        np.asarray(cv2.resize(image[part], size[::-1], interpolation=how)),
        np.asarray(cv2.resize(depth[part], size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)),
    )
    if chance(generator, 0.5):
        return np.ascontiguousarray(scaled[0][:, ::-1]), np.ascontiguousarray(scaled[1][:, ::-1])
    return scaled
