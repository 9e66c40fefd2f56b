"""Depth that is made up for a photograph, with its edges where the photograph has edges.

What is seen in a photograph of things and what is near or far have edges in common, and textures
that do not end there. Regions grow from random places until they meet at the edges of the image
(watershed); some of them together are a thing, with a slope and a curvature of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage, ImageArray
from focdepth_ros.training.randomness import (
    Range,
    chance,
    check_probability,
    check_range,
    integer,
    log_uniform,
    uniform,
)

_BOUNDARY = -1  # what the watershed calls the pixels between regions
_WINDOW = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class ReliefConfig:
    """What made-up depth is like; it is in shares of its whole range, in dioptres.

    Parameters
    ----------
    regions : (int, int)
        Fewest and most that a photograph is cut into.
    things : (int, int)
        Fewest and most that the regions are shared out to.
    ground : float
        Probability that a region belongs to what lies behind all things.
    tilt : range
        Difference of depth between the ends of the ground.
    slant, bulge : range
        Difference over a thing.
    smoothing : range
        Standard deviation in pixels of the blur before edges are looked for.
    level : float
        Probability that the ground is nearest at the bottom, like a floor.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    regions: tuple[int, int] = (6, 80)
    things: tuple[int, int] = (2, 9)
    ground: float = 0.35
    tilt: Range = (0.0, 0.7)
    slant: Range = (0.0, 0.35)
    bulge: Range = (0.0, 0.15)
    smoothing: Range = (0.5, 3.0)
    level: float = 0.6

    def __post_init__(self) -> None:
        owner = "relief option"
        check_range(owner, "regions", self.regions, 2, 1000)
        check_range(owner, "things", self.things, 1, 100)
        for name in ("tilt", "slant", "bulge"):
            check_range(owner, name, getattr(self, name), 0.0, 1.0)
        check_range(owner, "smoothing", self.smoothing, 0.1, 20.0)
        for name in ("ground", "level"):
            check_probability(owner, name, getattr(self, name))


def random_relief(
    generator: torch.Generator, image: ImageArray, config: ReliefConfig | None = None
) -> FloatImage:
    """Nearness of every pixel, in [0, 1] with both ends taken, to be scaled to dioptres.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.
    image : (H, W, 3) uint8
    config : ReliefConfig, optional

    Returns
    -------
    (H, W) float32
    """
    config = config or ReliefConfig()
    regions = image_regions(
        image,
        round(log_uniform(generator, config.regions)),
        log_uniform(generator, config.smoothing),
        generator,
    )
    height, width = regions.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    relief = _ground(generator, x, y, config)
    number_of_regions = int(regions.max()) + 1
    things = integer(generator, *config.things)
    belongs_to = torch.randint(0, things, (number_of_regions,), generator=generator).numpy()
    is_ground = torch.rand(number_of_regions, generator=generator).numpy() < config.ground
    thing_of = np.where(is_ground, -1, belongs_to)[regions]
    for thing in range(things):
        part = thing_of == thing
        if part.any():
            surface = _surface(generator, x, y, config)
            relief[part] = surface[part] + uniform(generator, (0.0, 1.0))
    low, high = float(relief.min()), float(relief.max())
    if high - low < 1e-3:  # one plane that faces the camera
        return np.asarray((y + 1.0) / 2.0, dtype=np.float32)
    return np.asarray((relief - low) / (high - low), dtype=np.float32)


def image_regions(
    image: ImageArray, count: int, smoothing: float, generator: torch.Generator
) -> NDArray[np.int32]:
    """Cut an image along its edges.

    Parameters
    ----------
    image : (H, W, 3) uint8
    count : int
        Regions; fewer where two begin at one pixel.
    smoothing : float
        Standard deviation in pixels of the blur before.
    generator : torch.Generator

    Returns
    -------
    (H, W) int32
        Number of the region, from 0.
    """
    height, width = image.shape[:2]
    markers = np.zeros((height, width), np.int32)
    places = torch.randint(0, height * width, (count,), generator=generator).numpy()
    markers.ravel()[places] = np.arange(1, count + 1)
    smooth = cv2.GaussianBlur(image, (0, 0), smoothing)
    regions = cv2.watershed(np.ascontiguousarray(smooth), markers).astype(np.float32)
    # Boundaries are a pixel wide or two, and go to a neighbour.
    while True:
        boundary = regions <= max(_BOUNDARY, 0)
        if not boundary.any():
            return np.asarray(regions - 1, dtype=np.int32)
        regions[boundary] = cv2.dilate(regions, _WINDOW)[boundary]


def _ground(
    generator: torch.Generator,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    config: ReliefConfig,
) -> NDArray[np.float64]:
    """A plane behind everything; its nearest point is at 0."""
    if chance(generator, config.level):
        along = y + uniform(generator, (-0.2, 0.2)) * x
    else:
        angle = uniform(generator, (0.0, 2.0 * np.pi))
        along = np.cos(angle) * x + np.sin(angle) * y
    plane = uniform(generator, config.tilt) * along / 2.0
    return np.asarray(plane - plane.max())


def _surface(
    generator: torch.Generator,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    config: ReliefConfig,
) -> NDArray[np.float64]:
    """A slanted and perhaps curved surface about 0."""
    angle = uniform(generator, (0.0, 2.0 * np.pi))
    slope = uniform(generator, config.slant)
    surface = slope * (np.cos(angle) * x + np.sin(angle) * y)
    bulge = uniform(generator, config.bulge)
    phase = [uniform(generator, (0.0, 2.0 * np.pi)) for _ in range(2)]
    waves = [uniform(generator, (0.5, 4.0)) for _ in range(2)]
    return np.asarray(
        surface + bulge * np.sin(waves[0] * x + phase[0]) * np.sin(waves[1] * y + phase[1])
    )
