"""Random scenes made of layers, in torch, for training on the fly.

A backdrop, solid things and thin structures are drawn one over the other; every one has its own
outline, its own inverse depth at every pixel and its own surface. A plane seen in perspective is
linear in inverse depth, so planes are exact; curved and wavy surfaces only look like such.
Quicker by far than tracing rays, and as varied in what matters to focus: edges, slopes, texture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from focdepth_ros.errors import OptionError
from focdepth_ros.training.randomness import (
    Range,
    chance,
    check_probability,
    check_range,
    choice,
    integer,
    log_uniform,
    uniform,
)
from focdepth_ros.training.rendering.layered_tensors import (
    LayeredScene,
    LayeredTensors,
    Reflection,
    without_margin,
)
from focdepth_ros.training.rendering.photographs import Photographs
from focdepth_ros.training.rendering.random_shapes import Outline, random_solid, random_thin


class SurfaceClass(IntEnum):
    """What the segmentation head learns to tell apart."""

    BACKDROP = 0
    """Whatever is behind everything and is no plane."""
    PLANE = 1
    """Walls, floors, ceilings."""
    SOLID = 2
    """Things with an extent."""
    THIN = 3
    """Rods, fences, wires: a few pixels wide."""
    REFLECTIVE = 4
    """Surfaces that show a mirror image of something else."""


_FIELDS = (1, 20)
_FIELD_SIDE = (4.0, 120.0)  # px
_RULED = 0.3


@dataclass(frozen=True)
class LayerConfig:
    """What random scenes are made of.

    Parameters
    ----------
    solids, thin : (int, int)
        Fewest and most solid things, and groups of thin ones.
    textureless : float
        Probability that a surface has no detail at all.
    faint : float
        Probability that one has little.
    printed : float
        Probability that plain fields and lines are printed on one: they look like things, and
        are none.
    reflective : float
        Probability that one surface of a scene reflects.
    reflected : range
        Share of the mirrored light.
    slant, bulge, wave : range
        Change of inverse depth over a surface, as a share of that over the scene.
    texture_scale : range
        Pixels of a photograph per pixel.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    solids: tuple[int, int] = (3, 8)
    thin: tuple[int, int] = (0, 3)
    textureless: float = 0.15
    faint: float = 0.15
    printed: float = 0.4
    reflective: float = 0.25
    reflected: Range = (0.08, 0.6)
    slant: Range = (0.0, 0.5)
    bulge: Range = (0.03, 0.3)
    wave: Range = (0.01, 0.08)
    texture_scale: Range = (0.5, 2.5)

    def __post_init__(self) -> None:
        owner = "random layers option"
        for name in ("textureless", "faint", "printed", "reflective"):
            check_probability(owner, name, getattr(self, name))
        for name in ("solids", "thin"):
            check_range(owner, name, getattr(self, name), 0, 100)
        for name in ("reflected", "slant", "bulge", "wave"):
            check_range(owner, name, getattr(self, name), 0.0, 1.0)
        check_range(owner, "texture_scale", self.texture_scale, 0.1, 16.0)


def random_layers(
    generator: torch.Generator,
    photographs: Photographs,
    size: tuple[int, int],
    *,
    dioptres: Range,
    margin: int = 0,
    config: LayerConfig | None = None,
) -> LayeredScene:
    """A scene on the device of the photographs.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.
    photographs : Photographs
    size : (int, int)
        Height and width without the margin.
    dioptres : range
        Inverse depths of the scene in 1/m, from the farthest to the nearest.
    margin : int
        Pixels on every side that blur into the image.
    config : LayerConfig, optional

    Raises
    ------
    OptionError
        If the inverse depths do not rise from 0 or above.
    """
    low, high = dioptres
    if not 0.0 <= low < high < math.inf:
        raise OptionError(
            f"scene from {low} to {high} dioptres; give a finite range that rises from 0 or above"
        )
    canvas = (size[0] + 2 * margin, size[1] + 2 * margin)
    painter = _Painter(generator, photographs, canvas, dioptres, config or LayerConfig())
    return painter.paint(margin)


_COLOUR, _DIOPTRE, _STRENGTH, _LABEL = slice(0, 3), 3, 4, 5  # channels of a layer
_CHANNELS = 6


class _Painter:
    def __init__(
        self,
        generator: torch.Generator,
        photographs: Photographs,
        canvas: tuple[int, int],
        dioptres: Range,
        config: LayerConfig,
    ) -> None:
        self._generator = generator
        self._photographs = photographs
        self._device = photographs.device
        self._canvas = canvas
        self._low, self._span = dioptres[0], dioptres[1] - dioptres[0]
        self._config = config
        self._front = torch.zeros((_CHANNELS, *canvas), device=self._device)
        self._front[_DIOPTRE] = -1.0  # behind everything
        self._back = self._front.clone()
        self._coverage = torch.ones(canvas, device=self._device)
        self._mirror: float | None = None  # dioptre of the mirror image

    def paint(self, margin: int) -> LayeredScene:
        generator, config = self._generator, self._config
        self._backdrop()
        solids = integer(generator, *config.solids)
        thin = integer(generator, *config.thin)
        kinds = [random_solid] * solids + [random_thin] * thin
        order = torch.randperm(len(kinds), generator=generator).tolist()
        mirror = -1
        if kinds and self._mirror is None and chance(generator, config.reflective):
            mirror = integer(generator, 0, len(kinds) - 1)
        for place, number in enumerate(order):
            # From far to near, spread evenly over the range with jitter.
            level = (place + uniform(generator, (0.0, 1.0))) / len(kinds)
            outline = kinds[number](generator, self._canvas, self._device)
            if kinds[number] is random_thin:
                depth = self._plane(outline, level, 0.5)
                self._draw(outline, depth, SurfaceClass.THIN)
            else:
                depth, shade = self._surface(outline, level)
                self._draw(outline, depth, SurfaceClass.SOLID, shade, mirror=place == mirror)
        return self._scene(margin)

    def _scene(self, margin: int) -> LayeredScene:
        # Where nothing is hidden, nothing must lie before the surface that is seen.
        self._back = torch.where(self._back[_DIOPTRE] < 0.0, self._front, self._back)
        front, back = self._front, self._back
        reflection = None
        if self._mirror is not None:
            light = self._photographs.random_crop(
                self._generator, self._canvas, self._config.texture_scale
            )
            strength = torch.stack([front[_STRENGTH], back[_STRENGTH]])
            reflection = Reflection(light, strength, self._mirror)
        view = LayeredTensors(
            front=front[_COLOUR],
            back=back[_COLOUR],
            front_dioptre=front[_DIOPTRE],
            back_dioptre=back[_DIOPTRE],
            coverage=self._coverage,
            margin=margin,
            reflection=reflection,
        )
        labels = torch.where(self._coverage >= 0.5, front[_LABEL], back[_LABEL])
        labels = without_margin(labels, margin).long()
        return LayeredScene(view, view.inverse_depth(), labels)

    def _backdrop(self) -> None:
        """A wall, a wall with a floor or the corner of a room, or a curved backdrop."""
        generator, config = self._generator, self._config
        everything = self._everything()
        kind = uniform(generator, (0.0, 1.0))
        if kind < 0.2:
            level = uniform(generator, (0.0, 0.25))
            depth = self._plane(everything, level, 0.3) + self._waves(everything)
            self._draw(everything, depth, SurfaceClass.BACKDROP)
            return
        planes = [self._plane(everything, uniform(generator, (0.0, 0.25)), 0.4)]
        for _ in range(integer(generator, 0, 2) if kind < 0.9 else 0):
            planes.append(self._side_plane(everything))
        # Sometimes one of them is a polished floor, or a window.
        mirror = -1
        if chance(generator, 0.5 * config.reflective):
            mirror = integer(generator, 0, len(planes) - 1)
        for number, depth in enumerate(planes):
            self._draw(everything, depth, SurfaceClass.PLANE, mirror=number == mirror)

    def _everything(self) -> Outline:
        y = torch.linspace(-1.0, 1.0, self._canvas[0], device=self._device)[:, None]
        x = torch.linspace(-1.0, 1.0, self._canvas[1], device=self._device)[None, :]
        u, v = torch.broadcast_tensors(x, y)
        return Outline(0, 0, torch.ones_like(u), u, v)

    def _plane(self, outline: Outline, level: float, share: float) -> Tensor:
        """Inverse depth of a slanted plane, as a share of the range of the scene."""
        slant = share * uniform(self._generator, self._config.slant)
        angle = uniform(self._generator, (0.0, 2.0 * math.pi))
        return (
            level
            + slant * math.cos(angle) * outline.across
            + slant * math.sin(angle) * outline.along
        )

    def _side_plane(self, outline: Outline) -> Tensor:
        """A floor, ceiling or side wall: comes nearer towards one border of the image."""
        generator = self._generator
        tilt = uniform(generator, (-0.25, 0.25))
        side = choice(generator, ("down", "down", "up", "left", "right"))
        towards, along = (
            (outline.along, outline.across)
            if side in ("down", "up")
            else (outline.across, outline.along)
        )
        if side in ("up", "left"):
            towards = -towards
        horizon = uniform(generator, (-0.2, 0.8))
        steepness = uniform(generator, (0.3, 1.0))
        return steepness * (towards + tilt * along - horizon)

    def _waves(self, outline: Outline) -> Tensor:
        generator = self._generator
        height = uniform(generator, self._config.wave)
        count = uniform(generator, (1.0, 9.0))
        angle, phase = (uniform(generator, (0.0, 2.0 * math.pi)) for _ in range(2))
        position = math.cos(angle) * outline.across + math.sin(angle) * outline.along
        return height * torch.sin(count * position + phase)

    def _surface(self, outline: Outline, level: float) -> tuple[Tensor, Tensor | None]:
        """Inverse depth of a flat, bulging, rolled or wavy surface, and its shading."""
        generator = self._generator
        depth = self._plane(outline, level, 0.3)
        kind = uniform(generator, (0.0, 1.0))
        if kind < 0.45:
            return depth, None
        if kind < 0.6:
            return depth + self._waves(outline), None
        squared = outline.across**2
        if kind < 0.85:
            squared = squared + outline.along**2
        rise = torch.sqrt((1.0 - squared).clamp(min=0.0))
        darkest = uniform(generator, (0.3, 1.0))
        bulge = uniform(generator, self._config.bulge)
        return depth + bulge * (rise - 0.5), darkest + (1.0 - darkest) * rise

    def _colour(self, size: tuple[int, int], detail: bool) -> Tensor:
        """A crop of a photograph, a faint one, or a plain colour that changes slowly."""
        generator, config = self._generator, self._config
        kind = uniform(generator, (0.0, 1.0))
        if kind < config.textureless or not detail:
            corners = torch.rand((1, 3, 2, 2), generator=generator)
            low, high = sorted(uniform(generator, (0.03, 0.8)) for _ in range(2))
            if chance(generator, 0.4):
                high = low
            paint = torch.lerp(
                torch.full((1, 3, 1, 1), 0.5), torch.rand((1, 3, 1, 1), generator=generator), 0.6
            )
            ramp = (low + (high - low) * corners.mean(dim=1, keepdim=True)) * 2.0 * paint
            return torch.nn.functional.interpolate(
                ramp.to(self._device), size=size, mode="bilinear", align_corners=True
            )[0].clamp_(0.0, 1.0)
        light = self._photographs.random_crop(generator, size, config.texture_scale)
        if kind < config.textureless + config.faint:
            mean = light.mean(dim=(1, 2), keepdim=True)
            light = torch.lerp(mean, light, log_uniform(generator, (0.03, 0.4)))
        if chance(generator, config.printed):
            self._print_on(light)
        return light

    def _print_on(self, light: Tensor) -> None:
        """Plain rectangles, some of them ruled, on a surface (3, h, w)."""
        generator = self._generator
        for _ in range(integer(generator, *_FIELDS)):
            top, left = (integer(generator, 0, side - 1) for side in light.shape[1:])
            height, width = (round(log_uniform(generator, _FIELD_SIDE)) for _ in range(2))
            field = light[:, top : top + height, left : left + width]
            field[:] = torch.rand((3, 1, 1), generator=generator).to(field.device)
            if chance(generator, _RULED):
                ink = torch.rand((3, 1, 1), generator=generator).to(field.device)
                field[:, :: integer(generator, 3, 9)] = ink

    def _draw(
        self,
        outline: Outline,
        depth: Tensor,
        label: SurfaceClass,
        shade: Tensor | None = None,
        *,
        mirror: bool = False,
    ) -> None:
        """Put a surface where it lies among those that are there already."""
        layer = torch.empty((_CHANNELS, *outline.size), device=self._device)
        detail = label != SurfaceClass.THIN or chance(self._generator, 0.5)
        colour = self._colour(outline.size, detail)
        layer[_COLOUR] = colour if shade is None else colour * shade
        layer[_DIOPTRE] = self._low + self._span * depth.clamp(0.0, 1.0)
        layer[_STRENGTH] = 0.0
        layer[_LABEL] = float(label)
        if mirror:
            self._reflect(layer, outline)
        front, back = outline.cut(self._front), outline.cut(self._back)
        coverage = outline.cut(self._coverage)
        touched = outline.coverage > 0.0
        nearer = layer[_DIOPTRE] > front[_DIOPTRE]
        over = touched & nearer
        below = (outline.coverage >= 0.5) & ~nearer & (layer[_DIOPTRE] > back[_DIOPTRE])
        beneath = coverage * front + (1.0 - coverage) * back
        mostly = torch.where(coverage >= 0.5, front, back)
        beneath[_DIOPTRE], beneath[_LABEL] = mostly[_DIOPTRE], mostly[_LABEL]
        back.copy_(torch.where(over, beneath, torch.where(below, layer, back)))
        front.copy_(torch.where(over, layer, front))
        coverage.copy_(torch.where(over, outline.coverage, coverage))

    def _reflect(self, layer: Tensor, outline: Outline) -> None:
        """Let a surface show a mirror image, which lies some way behind it."""
        generator = self._generator
        strength = uniform(generator, self._config.reflected)
        layer[_COLOUR] *= 1.0 - strength
        layer[_STRENGTH] = strength
        layer[_LABEL] = float(SurfaceClass.REFLECTIVE)
        visible = outline.coverage > 0.0
        surface = float(layer[_DIOPTRE][visible].mean()) if bool(visible.any()) else self._low
        self._mirror = self._low + (surface - self._low) * uniform(generator, (0.0, 0.8))
