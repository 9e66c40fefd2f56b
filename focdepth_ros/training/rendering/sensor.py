"""What a camera makes of the light that its lens lets in, for focal stacks to train with.

The same model as `simulation.renderer`: the image moves and breathes, exposure flickers, corners
darken, electrons are counted with noise, and what is left is coded in sRGB and perhaps as JPEG.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from focdepth_ros.training.randomness import (
    Range,
    chance,
    check_probability,
    check_range,
    integer,
    log_uniform,
    normal,
    uniform,
)

_SRGB_STEPS = 16384  # of the encoding table, as in simulation.colour
_LEAST_NORMALS = 2**22


@dataclass(frozen=True)
class SensorConfig:
    """Ranges that the faults of a camera are drawn from, once per focal stack.

    Parameters
    ----------
    full_well : range
        Electrons at which a pixel is white; shot noise is their square root.
    read_noise : range
        Standard deviation in electrons.
    flicker : range
        Relative standard deviation of the exposure from slice to slice.
    vignetting : range
        Share of the light lost in the darkest corner, in [0, 1).
    moved : float
        Probability that the slices of a stack do not lie exactly on the first.
    shift, rotation : range
        Standard deviations per slice, in pixels and in degrees, where they do not.
    breathing : range
        Change of the image scale with focus that is left; 1 is that of a thin lens.
    focal_length : range
        Metres; settles with `breathing` how much the scale changes.
    jpeg : float
        Probability that a stack went through JPEG.
    jpeg_quality : (int, int)
        In [1, 100].

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    full_well: Range = (1_500.0, 50_000.0)
    read_noise: Range = (1.0, 8.0)
    flicker: Range = (0.0, 0.04)
    vignetting: Range = (0.0, 0.4)
    moved: float = 0.15
    shift: Range = (0.0, 0.4)
    rotation: Range = (0.0, 0.05)
    breathing: Range = (0.0, 0.1)
    focal_length: Range = (0.003, 0.016)
    jpeg: float = 0.25
    jpeg_quality: tuple[int, int] = (60, 98)

    def __post_init__(self) -> None:
        owner = "sensor option"
        check_range(owner, "full_well", self.full_well, 1.0)
        for name in ("read_noise", "flicker", "shift", "rotation", "breathing"):
            check_range(owner, name, getattr(self, name), 0.0)
        check_range(owner, "vignetting", self.vignetting, 0.0, 0.99)
        check_range(owner, "focal_length", self.focal_length, 1e-4, 0.1)
        check_range(owner, "jpeg_quality", self.jpeg_quality, 1, 100)
        for name in ("moved", "jpeg"):
            check_probability(owner, name, getattr(self, name))


PERFECT_SENSOR = SensorConfig(
    full_well=(math.inf, math.inf),
    read_noise=(0.0, 0.0),
    flicker=(0.0, 0.0),
    vignetting=(0.0, 0.0),
    moved=0.0,
    jpeg=0.0,
)
"""Without any fault: what is recorded is the light itself in 8-bit sRGB."""


class SensorModel:
    """Records the light of focal stacks.

    Parameters
    ----------
    config : SensorConfig, optional
    """

    def __init__(self, config: SensorConfig | None = None) -> None:
        self.config = config or SensorConfig()

    def record(
        self, light: Tensor, dioptres: Tensor, generator: torch.Generator, *, margin: int = 0
    ) -> Tensor:
        """One focal stack as a camera would hand it out.

        Parameters
        ----------
        light : (N, 3, H + 2 * margin, W + 2 * margin) float32
            Linear light in [0, 1], in the order of exposure; overwritten.
        dioptres : (N,) float
            Inverse focus distances, 1/m.
        generator : torch.Generator
            On the CPU.
        margin : int
            Pixels on every side that are cut off; what moves into the image comes from there.

        Returns
        -------
        (N, 3, H, W) uint8
            On the device of `light`.
        """
        config = self.config
        size = (light.shape[-2] - 2 * margin, light.shape[-1] - 2 * margin)
        # Crops come from anywhere in an image, so its centre is seldom theirs.
        centre = tuple((uniform(generator, (0.0, 1.0)) * side) - 0.5 for side in size)
        if chance(generator, config.moved):
            light = self._moved(light, dioptres, centre, generator, margin)
        elif margin:
            light = light[..., margin:-margin, margin:-margin].contiguous()
        codes = self._exposed(light, self._vignette(size, centre, generator), generator)
        if chance(generator, config.jpeg):
            quality = integer(generator, *config.jpeg_quality)
            return through_jpeg(codes, quality)
        return codes

    def _moved(
        self,
        light: Tensor,
        dioptres: Tensor,
        centre: tuple[float, ...],
        generator: torch.Generator,
        margin: int,
    ) -> Tensor:
        """Every slice but the first as seen by a camera that moved and breathed."""
        config = self.config
        shift = uniform(generator, config.shift)
        rotation = math.radians(uniform(generator, config.rotation))
        breathing = uniform(generator, config.breathing)
        focal_length = log_uniform(generator, config.focal_length)
        scales = magnifications(dioptres, focal_length, breathing).tolist()
        motions = torch.stack(
            [
                slice_motion(
                    scale,
                    (normal(generator, shift), normal(generator, shift)),
                    normal(generator, rotation),
                    centre,
                )
                for scale in scales[1:]
            ]
            or [torch.zeros(0, 2, 3)]
        )
        first = light[:1, :, margin : light.shape[-2] - margin, margin : light.shape[-1] - margin]
        if light.shape[0] == 1:
            return first.contiguous()
        return torch.cat([first, resampled(light[1:], motions.to(light.device), margin)])

    def _vignette(
        self, size: tuple[int, int], centre: tuple[float, ...], generator: torch.Generator
    ) -> Tensor:
        """Share of the light that arrives, (H, W), falling with the square of the distance."""
        loss = uniform(generator, self.config.vignetting)
        y = torch.arange(size[0], dtype=torch.float32)[:, None] - centre[0]
        x = torch.arange(size[1], dtype=torch.float32)[None, :] - centre[1]
        squared = x**2 + y**2
        return 1.0 - loss * squared / squared.max()

    def _exposed(self, light: Tensor, vignette: Tensor, generator: torch.Generator) -> Tensor:
        """Counted in electrons with noise, then as sRGB codes; `light` is overwritten."""
        flicker = uniform(generator, self.config.flicker)
        gains = 1.0 + flicker * torch.randn(len(light), generator=generator)
        full_well = log_uniform(generator, self.config.full_well)
        read_noise = uniform(generator, self.config.read_noise)
        vignette = vignette.to(light.device)
        size = light[0].numel()
        normals = _normals(str(light.device), max(_LEAST_NORMALS, 4 << (size - 1).bit_length()))
        starts = torch.randint(len(normals) - size, (len(light),), generator=generator)
        codes = torch.empty(light.shape, dtype=torch.uint8, device=light.device)
        # One slice at a time stays in the cache of a CPU: twice as fast as all at once.
        for i, picture in enumerate(light):
            picture.mul_(vignette * max(float(gains[i]), 0.1))
            if math.isfinite(full_well):
                noise = normals[int(starts[i]) :][:size].view(picture.shape)
                deviation = picture.clamp(min=0.0).mul_(1.0 / full_well)
                deviation.add_((read_noise / full_well) ** 2).sqrt_()
                picture.addcmul_(deviation, noise)
            codes[i] = srgb_from_linear(picture)
        return codes


def magnifications(dioptres: Tensor, focal_length: float, breathing: float) -> Tensor:
    """Image scale of every slice over that of the first.

    Of a thin lens the image distance is ``f / (1 - f d)``, and the scale goes with it.

    Parameters
    ----------
    dioptres : (N,) float
        Inverse focus distances, 1/m.
    focal_length : float
        Metres.
    breathing : float
        0 none, 1 that of a thin lens.

    Returns
    -------
    (N,) float64
    """
    share = 1.0 - focal_length * dioptres.to("cpu", torch.float64)
    return 1.0 + breathing * (share[0] / share - 1.0)


def slice_motion(
    scale: float, shift: tuple[float, float], angle: float, centre: tuple[float, ...]
) -> Tensor:
    """From pixels of a slice to those of the first one, as in `simulation.renderer`.

    Parameters
    ----------
    scale : float
        Of the slice over the first one, about `centre`.
    shift : (float, float)
        Pixels along x and y.
    angle : float
        Radians.
    centre : (float, float)
        Row and column of the optical axis.

    Returns
    -------
    (2, 3) float32
        Of x and y.
    """
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    cy, cx = centre
    return torch.tensor(
        [
            [cos, -sin, cx + shift[0] - cos * cx + sin * cy],
            [sin, cos, cy + shift[1] - sin * cx - cos * cy],
        ]
    )


def resampled(light: Tensor, motions: Tensor, margin: int) -> Tensor:
    """What moved cameras cut out of pictures with margin.

    Parameters
    ----------
    light : (N, C, H + 2 * margin, W + 2 * margin) float32
    motions : (N, 2, 3) float32
        From pixels of the result to those of the picture without margin; beyond the margin
        the border is repeated.

    Returns
    -------
    (N, C, H, W) float32
    """
    height, width = light.shape[-2:]
    y = torch.arange(height - 2 * margin, dtype=torch.float32, device=light.device)[:, None]
    x = torch.arange(width - 2 * margin, dtype=torch.float32, device=light.device)[None, :]
    m = motions[:, :, :, None, None]
    places = m[:, :, 0] * x + m[:, :, 1] * y + m[:, :, 2] + margin  # (N, 2, H, W)
    sides = torch.tensor([width, height], dtype=torch.float32, device=light.device)
    grid = (2.0 * places + 1.0) / sides[:, None, None] - 1.0
    # Bilinear weights would blur the moved slices, and blur is what is to be learnt from.
    return F.grid_sample(
        light, grid.permute(0, 2, 3, 1), mode="bicubic", padding_mode="border", align_corners=False
    )


def through_jpeg(codes: Tensor, quality: int) -> Tensor:
    """Images after JPEG of a quality in [1, 100]; (N, 3, H, W) uint8 RGB in and out."""
    images = codes.permute(0, 2, 3, 1).cpu().numpy()
    decoded = np.empty_like(images, order="C")
    for image, result in zip(images, decoded, strict=True):
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        result[...] = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous().to(codes.device)


def srgb_from_linear(light: Tensor) -> Tensor:
    """Codes of sRGB, uint8, from linear light of any shape; what is outside [0, 1] is clipped."""
    index = (light * (_SRGB_STEPS - 1)).clamp_(0.0, _SRGB_STEPS - 1.0).add_(0.5).int()
    table = _encoding_table(str(light.device))
    return torch.index_select(table, 0, index.reshape(-1)).view(light.shape)


@lru_cache(maxsize=4)
def _encoding_table(device: str) -> Tensor:
    linear = torch.arange(_SRGB_STEPS, dtype=torch.float64) / (_SRGB_STEPS - 1)
    code = torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)
    return torch.round(255.0 * code).to(torch.uint8).to(device)


@lru_cache(maxsize=4)
def _normals(device: str, size: int) -> Tensor:
    """Normally distributed numbers, of which every slice takes some from a random place on.

    Drawing fresh ones takes half of the time of a batch on a CPU, and would give other ones on
    another device.
    """
    generator = torch.Generator().manual_seed(0)
    return torch.randn(size, generator=generator).to(device)
