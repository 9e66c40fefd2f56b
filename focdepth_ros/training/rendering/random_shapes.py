"""Outlines of random things in an image: how much of each pixel they cover.

An outline is the zero of a function that is negative inside; divided by its slope it is about
the distance from the outline in pixels, and the share of a pixel that is covered follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from focdepth_ros.training.randomness import chance, choice, integer, log_uniform, uniform


@dataclass(frozen=True, eq=False)
class Outline:
    """A shape cut out of an image.

    Parameters
    ----------
    top, left : int
        Where the cut-out lies.
    coverage : (h, w) float32
        Share of each pixel that is covered, in [0, 1].
    across, along : (h, w) float32
        Coordinates on the shape, about -1 to 1 from side to side.
    """

    top: int
    left: int
    coverage: Tensor
    across: Tensor
    along: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the cut-out."""
        return self.coverage.shape[0], self.coverage.shape[1]

    def cut(self, image: Tensor) -> Tensor:
        """The same part of an image (..., H, W), as a view of it."""
        height, width = self.size
        return image[..., self.top : self.top + height, self.left : self.left + width]


def random_solid(generator: torch.Generator, canvas: tuple[int, int], device: str) -> Outline:
    """An ellipse, rounded box, blob, polygon or frame somewhere on a canvas (height, width)."""
    reach = log_uniform(generator, (0.06, 0.38)) * max(canvas)
    flattening = log_uniform(generator, (0.4, 1.0))
    turn = uniform(generator, (0.0, 2.0 * math.pi))
    cy, cx = (uniform(generator, (0.05, 0.95)) * side for side in canvas)
    bound = 1.3 * reach + 2.0  # no outline goes beyond 1.3 of its radius
    top, bottom = max(int(cy - bound), 0), min(math.ceil(cy + bound), canvas[0])
    left, right = max(int(cx - bound), 0), min(math.ceil(cx + bound), canvas[1])
    y = torch.arange(top, bottom, device=device, dtype=torch.float32)[:, None] - cy
    x = torch.arange(left, right, device=device, dtype=torch.float32)[None, :] - cx
    u = (math.cos(turn) * x + math.sin(turn) * y) / reach
    v = (math.cos(turn) * y - math.sin(turn) * x) / (reach * flattening)
    value = choice(generator, _SOLIDS)(generator, u, v)
    down, right_ = torch.gradient(value)
    slope = torch.hypot(down, right_).clamp(min=1e-6)
    return Outline(top, left, (0.5 - value / slope).clamp(0.0, 1.0), u, v)


def _superellipse(generator: torch.Generator, u: Tensor, v: Tensor) -> Tensor:
    power = choice(generator, (1.3, 2.0, 2.0, 4.0, 10.0))
    return (u.abs() ** power + v.abs() ** power) ** (1.0 / power) - 1.0


def _blob(generator: torch.Generator, u: Tensor, v: Tensor) -> Tensor:
    angle = torch.atan2(v, u)
    radius = torch.full_like(u, 1.0)
    for number in range(2, 6):
        phase = uniform(generator, (0.0, 2.0 * math.pi))
        radius += uniform(generator, (0.0, 0.14 / (number - 1))) * torch.cos(number * angle + phase)
    return torch.hypot(u, v) / radius - 1.0


def _polygon(generator: torch.Generator, u: Tensor, v: Tensor) -> Tensor:
    """Three to seven half planes that bound a convex polygon."""
    sides = integer(generator, 3, 7)
    value = torch.full_like(u, -1.0)
    for side in range(sides):
        angle = 2.0 * math.pi * (side + uniform(generator, (-0.3, 0.3))) / sides
        distance = uniform(generator, (0.4, 0.6 if sides == 3 else 0.9))
        value = torch.maximum(value, math.cos(angle) * u + math.sin(angle) * v - distance)
    # Far corners of pointed polygons are cut, so that the cut-out holds them.
    return torch.maximum(value, torch.hypot(u, v) - 1.25)


def _frame(generator: torch.Generator, u: Tensor, v: Tensor) -> Tensor:
    """A rectangle with a rectangular hole."""
    thickness = uniform(generator, (0.08, 0.3))
    box = torch.maximum(u.abs() - 0.9, v.abs() - 0.9)
    return torch.maximum(box, -box - thickness)


_SOLIDS: tuple[Callable[[torch.Generator, Tensor, Tensor], Tensor], ...] = (
    _superellipse,
    _superellipse,
    _blob,
    _polygon,
    _polygon,
    _frame,
)


def random_thin(generator: torch.Generator, canvas: tuple[int, int], device: str) -> Outline:
    """Rods, a fence, a grating or wires, a few pixels wide, at any angle."""
    height, width = canvas
    y = torch.arange(height, device=device, dtype=torch.float32)[:, None] - 0.5 * height
    x = torch.arange(width, device=device, dtype=torch.float32)[None, :] - 0.5 * width
    turn = uniform(generator, (0.0, math.pi))
    u = math.cos(turn) * x + math.sin(turn) * y
    v = math.cos(turn) * y - math.sin(turn) * x
    half = 0.5 * max(canvas)
    distance = choice(generator, _THIN)(generator, u, v, half)
    return Outline(0, 0, (0.5 - distance).clamp(0.0, 1.0), u / half, v / half)


def _rods(generator: torch.Generator, u: Tensor, v: Tensor, half: float) -> Tensor:
    """One to four straight rods, each with its own angle."""
    distance = torch.full_like(u, 1e3)
    for _ in range(integer(generator, 1, 4)):
        angle = uniform(generator, (-0.6, 0.6))
        offset = uniform(generator, (-0.9, 0.9)) * half
        across = (math.cos(angle) * u + math.sin(angle) * v - offset).abs()
        rod = across - 0.5 * log_uniform(generator, (1.0, 7.0))
        if chance(generator, 0.5):
            middle = uniform(generator, (-0.8, 0.8)) * half
            length = uniform(generator, (0.15, 0.8)) * half
            ends = (math.cos(angle) * v - math.sin(angle) * u - middle).abs() - length
            rod = torch.maximum(rod, ends)
        distance = torch.minimum(distance, rod)
    return distance


def _fence(generator: torch.Generator, u: Tensor, v: Tensor, half: float) -> Tensor:
    """Parallel bars, held by two across them or by as many as there are bars."""
    spacing = log_uniform(generator, (8.0, 45.0))
    thickness = min(log_uniform(generator, (1.0, 6.0)), 0.45 * spacing)
    phase = uniform(generator, (0.0, spacing))
    bars = ((u + phase).remainder(spacing) - 0.5 * spacing).abs() - 0.5 * thickness
    if chance(generator, 0.4):
        ratio = log_uniform(generator, (0.8, 2.5))
        rungs = v.remainder(ratio * spacing) - 0.5 * ratio * spacing
    else:
        rungs = v.abs() - uniform(generator, (0.1, 0.5)) * half
    distance = torch.minimum(bars, rungs.abs() - 0.5 * thickness)
    if chance(generator, 0.6):
        centre_u, centre_v = (uniform(generator, (-0.6, 0.6)) * half for _ in range(2))
        length, breadth = (uniform(generator, (0.3, 0.9)) * half for _ in range(2))
        inside = torch.maximum((u - centre_u).abs() - length, (v - centre_v).abs() - breadth)
        distance = torch.maximum(distance, inside)
    return distance


def _wires(generator: torch.Generator, u: Tensor, v: Tensor, half: float) -> Tensor:
    """One to five curved lines."""
    distance = torch.full_like(u, 1e3)
    for _ in range(integer(generator, 1, 5)):
        waves = 2.0 * math.pi / (uniform(generator, (0.4, 3.0)) * half)
        swing = uniform(generator, (0.02, 0.25)) * half
        angle = waves * v + uniform(generator, (0.0, 2.0 * math.pi))
        offset = uniform(generator, (-0.9, 0.9)) * half
        slope = swing * waves * torch.cos(angle)
        across = (u - offset - swing * torch.sin(angle)).abs() / torch.sqrt(1.0 + slope**2)
        distance = torch.minimum(distance, across - 0.5 * log_uniform(generator, (1.0, 4.0)))
    return distance


_THIN: tuple[Callable[[torch.Generator, Tensor, Tensor, float], Tensor], ...] = (
    _rods,
    _rods,
    _fence,
    _wires,
)
