"""Focus sweeps of random lenses, to render training data with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.defocus import Psf, largest_blur
from focdepth_ros.stack import Lens
from focdepth_ros.training.randomness import (
    Range,
    chance,
    check_probability,
    check_range,
    integer,
    log_uniform,
    uniform,
)

_LEAST_RATIO = 1.2  # of the ends of a scene; a flat one gets a sweep around it
_SENSOR_PITCH = (1e-6, 2e-5)  # m; it settles the f-number and nothing that is seen


@dataclass(frozen=True)
class SweepConfig:
    """Ranges that lenses and focus distances are drawn from.

    Parameters
    ----------
    near : range
        Nearest depth of a scene in metres.
    range_ratio : range
        Farthest over nearest depth.
    infinite : float
        Probability that a scene goes to infinity instead.
    blur : range
        Diameter in pixels of the blur, at one end of the sweep, of what is at the other.
    beyond : range
        How far the scene goes beyond the sweep at either end, as a share of its range in
        dioptres; negative where the sweep goes beyond the scene.
    jittered, uneven : float
        Probabilities that the focus distances are moved at random by up to a third of a step,
        or get closer towards one end; else they are evenly spaced in dioptres.
    unevenness : range
        Exponent of an uneven spacing.
    far_to_near : float
        Probability of this order of exposure.
    gaussian : float
        Probability of a Gaussian point-spread function in place of a disc.
    focal_length : range
        Metres; hardly matters beside `blur`.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    near: Range = (0.15, 3.0)
    range_ratio: Range = (2.0, 20.0)
    infinite: float = 0.08
    blur: Range = (5.0, 40.0)
    beyond: Range = (-0.12, 0.06)
    jittered: float = 0.35
    uneven: float = 0.3
    unevenness: Range = (0.6, 1.7)
    far_to_near: float = 0.5
    gaussian: float = 0.33
    focal_length: Range = (0.004, 0.016)

    def __post_init__(self) -> None:
        owner = "sweep option"
        check_range(owner, "near", self.near, 0.05, 100.0)
        check_range(owner, "range_ratio", self.range_ratio, _LEAST_RATIO, 1000.0)
        check_range(owner, "blur", self.blur, 0.5, 100.0)
        check_range(owner, "beyond", self.beyond, -0.5, 0.3)
        check_range(owner, "unevenness", self.unevenness, 0.2, 5.0)
        check_range(owner, "focal_length", self.focal_length, 1e-3, 0.03)
        for name in ("infinite", "jittered", "uneven", "far_to_near", "gaussian"):
            check_probability(owner, name, getattr(self, name))
        if self.jittered + self.uneven > 1.0:
            raise OptionError(
                f"{owner}s 'jittered' {self.jittered} and 'uneven' {self.uneven} add up to more "
                "than 1; give smaller ones"
            )


@dataclass(frozen=True)
class FocusSweep:
    """A lens, where it is focused, and what lies before it.

    Parameters
    ----------
    lens : Lens
    psf : {"disc", "gaussian"}
    focus_distances : tuple of float
        Metres, in the order of exposure; +inf allowed.
    scene : (float, float)
        Inverse depths of the scene in 1/m, far and near.
    """

    lens: Lens
    psf: Psf
    focus_distances: tuple[float, ...]
    scene: Range

    @property
    def dioptres(self) -> torch.Tensor:
        """Inverse focus distances in 1/m, (N,) float64, in the order of exposure."""
        return 1.0 / torch.tensor(self.focus_distances, dtype=torch.float64)

    @cached_property
    def margin(self) -> int:
        """Pixels around the image that can blur into it."""
        return math.ceil(largest_blur(self.lens, self.scene, self.focus_distances)) + 2


def random_sweep(generator: torch.Generator, config: SweepConfig, slices: int) -> FocusSweep:
    """A sweep through a range of depths at random; see `sweep_through`."""
    return sweep_through(generator, config, random_range(generator, config), slices)


def random_range(generator: torch.Generator, config: SweepConfig) -> Range:
    """Inverse depths of a scene in 1/m, far and near, at random."""
    near = log_uniform(generator, config.near)
    far = near * log_uniform(generator, config.range_ratio)
    infinite = chance(generator, config.infinite)
    return 0.0 if infinite else 1.0 / far, 1.0 / near


def sweep_through(
    generator: torch.Generator, config: SweepConfig, scene: Range, slices: int
) -> FocusSweep:
    """A sweep of a random lens through a given range of depths.

    Parameters
    ----------
    generator : torch.Generator
    config : SweepConfig
    scene : range
        Inverse depths of the scene in 1/m, far and near.
    slices : int
        Number of focus distances.

    Raises
    ------
    OptionError
        If there are less than two slices.
    """
    if slices < 2:
        raise OptionError(f"focal stacks of {slices} slices were asked for; give at least 2")
    low, high = scene
    if high < _LEAST_RATIO * low:
        middle = math.sqrt(low * high)
        low, high = middle / math.sqrt(_LEAST_RATIO), middle * math.sqrt(_LEAST_RATIO)
    first = high - (high - low) * uniform(generator, config.beyond)
    last = max(low + (high - low) * uniform(generator, config.beyond), 0.0)
    focus = [first + share * (last - first) for share in _spacing(generator, config, slices)]
    if chance(generator, config.far_to_near):
        focus.reverse()
    focal_length = log_uniform(generator, config.focal_length)
    pitch = log_uniform(generator, _SENSOR_PITCH)
    blur = log_uniform(generator, config.blur)
    lens = Lens(focal_length, focal_length**2 * (first - last) / (blur * pitch), pitch)
    psf: Psf = "gaussian" if chance(generator, config.gaussian) else "disc"
    distances = tuple(1.0 / dioptre if dioptre > 0.0 else math.inf for dioptre in focus)
    return FocusSweep(lens, psf, distances, (low, high))


def _spacing(generator: torch.Generator, config: SweepConfig, slices: int) -> list[float]:
    """Shares of the way from the near end to the far one, rising from 0 to 1."""
    shares = [number / (slices - 1) for number in range(slices)]
    kind = uniform(generator, (0.0, 1.0))
    if kind < config.jittered:
        step = 1.0 / (slices - 1)
        for number in range(1, slices - 1):
            shares[number] += step * uniform(generator, (-1.0 / 3.0, 1.0 / 3.0))
    elif kind < config.jittered + config.uneven:
        exponent = log_uniform(generator, config.unevenness)
        shares = [share**exponent for share in shares]
        if integer(generator, 0, 1):
            shares = [1.0 - share for share in reversed(shares)]
    return shares
