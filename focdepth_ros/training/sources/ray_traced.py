"""Training data from the ray-traced rooms of `simulation`: slower, and truer to geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.primitives import Cylinder, Primitive, Rectangle
from focdepth_ros.simulation.random_scenes import random_scene
from focdepth_ros.simulation.scenes import FIRST_VALIDATION_SEED, Scene
from focdepth_ros.stack import CameraIntrinsics, ImageArray
from focdepth_ros.training.randomness import Range, choice, integer, log_uniform, uniform
from focdepth_ros.training.rendering.focus_sweeps import FocusSweep, random_range, sweep_through
from focdepth_ros.training.rendering.layered_tensors import LayeredScene, layered_tensors
from focdepth_ros.training.rendering.random_layers import SurfaceClass
from focdepth_ros.training.sources.rendered import RenderedSource, RenderSettings

_FARTHEST = 30.0  # m; where a scene to infinity has its last wall
_LEAST_RATIO = 2.1  # of the depths in a room
_PHOTOGRAPHS = 12  # per room
_FIELD = (0.5, 1.3)  # width of the image over its distance
_SLENDER = 10.0  # length of a rod over its radius


class RayTracedSource(RenderedSource):
    """Sweeps through rooms full of things.

    Parameters
    ----------
    size : (int, int)
        Height and width of the images.
    batch_size : int
    photographs : sequence of (H, W, 3) uint8
        To texture with, see `read_photographs`; patterns only where there are none.
    seeds : range
        Of the rooms. Those from 900 on are kept for validation, tests and figures.
    settings : RenderSettings, optional

    Raises
    ------
    OptionError
        If a size is not above 0, or a seed is not for training.
    """

    def __init__(
        self,
        size: tuple[int, int],
        batch_size: int,
        photographs: Sequence[ImageArray] = (),
        *,
        seeds: range = range(FIRST_VALIDATION_SEED),
        settings: RenderSettings | None = None,
    ) -> None:
        super().__init__(size, batch_size, settings)
        check_training_seeds(seeds)
        self._photographs = tuple(photographs)
        self._seeds = seeds

    def draw(self, generator: torch.Generator, slices: int) -> tuple[FocusSweep, LayeredScene]:
        """A room, and a sweep through its range."""
        range_ = random_range(generator, self.settings.sweep)
        room = draw_room(generator, self.size, range_, self._photographs, self._seeds)
        device = self.settings.device
        seen = room.view()
        with np.errstate(divide="ignore"):
            truth = (1.0 / seen.depth).astype(np.float32)
        # A wide view shows the floor from nearer than the things on it begin.
        low, high = float(truth.min()), float(truth.max())
        sweep = sweep_through(generator, self.settings.sweep, (low, high), slices)
        view = layered_tensors(room.layered_view(self.margin(sweep)), device)
        # Beside the image there may be what is nearer still, and would blur farther than that.
        view = replace(
            view,
            front_dioptre=view.front_dioptre.clamp(low, high),
            back_dioptre=view.back_dioptre.clamp(low, high),
        )
        return sweep, LayeredScene(
            view,
            torch.from_numpy(truth).to(device),
            torch.from_numpy(part_labels(room)[seen.part]).to(device),
        )


def check_training_seeds(seeds: range) -> None:
    """Raise an OptionError if there is no seed, or one that is not for training."""
    if not seeds or min(seeds) < 0 or max(seeds) >= FIRST_VALIDATION_SEED:
        raise OptionError(
            f"seeds of training scenes are {seeds}; give some within "
            f"0..{FIRST_VALIDATION_SEED - 1}, those above are held out for validation and figures"
        )


def draw_room(
    generator: torch.Generator,
    size: tuple[int, int],
    range_: Range,
    photographs: Sequence[ImageArray],
    seeds: range,
) -> Scene:
    """A random room with things in a range of depths, seen with a random field of view.

    Parameters
    ----------
    generator : torch.Generator
    size : (int, int)
        Height and width of the image.
    range_ : range
        Inverse depths in 1/m, far and near.
    photographs : sequence of (H, W, 3) uint8
    seeds : range
    """
    height, width = size
    focal_px = max(size) / log_uniform(generator, _FIELD)
    camera = CameraIntrinsics(
        width, height, focal_px, focal_px, (width - 1) / 2.0, (height - 1) / 2.0
    )
    low, high = range_
    far = min(1.0 / low if low > 0.0 else _FARTHEST, _FARTHEST)
    near = min(1.0 / high, far / _LEAST_RATIO)
    chosen = [choice(generator, photographs) for _ in range(_PHOTOGRAPHS if photographs else 0)]
    return random_scene(
        seeds[integer(generator, 0, len(seeds) - 1)],
        intrinsics=camera,
        near=near,
        far=far,
        textureless_fraction=uniform(generator, (0.0, 0.4)),
        photographs=chosen,
    )


def part_labels(room: Scene) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """`SurfaceClass` of every part of a room, and -1 at the end for where nothing is."""
    return np.array([*(_label(part.shape) for part in room.parts), -1], dtype=np.int64)


def _label(shape: Primitive) -> int:
    if isinstance(shape, Rectangle):
        return SurfaceClass.PLANE
    if isinstance(shape, Cylinder) and shape.length > _SLENDER * shape.radius:
        return SurfaceClass.THIN
    return SurfaceClass.SOLID
