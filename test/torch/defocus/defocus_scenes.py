"""Small scenes for the tests of depth from defocus."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from focdepth_ros.defocus import image_step, solver
from focdepth_ros.defocus.forward_model import DefocusModel
from focdepth_ros.stack import Lens

#: Of the NYU Depth v2 experiments of the paper, seen with a quarter of the pixels.
LENS = Lens(focal_length=50e-3, f_number=8.0, pixel_pitch=48e-6)
FOCUS_DISTANCES = (1.0, 1.5, 2.5, 4.0, 6.0)


def textured_image(height: int, width: int, channels: int = 3) -> Tensor:
    """Coarse and fine noise, (H, W, C) in [0, 1]."""
    generator = torch.Generator().manual_seed(1)
    image = torch.zeros((1, channels, height, width))
    for size, share in ((1, 0.25), (3, 0.45), (9, 0.3)):
        shape = (1, channels, height // size + 2, width // size + 2)
        noise = torch.rand(shape, generator=generator)
        image += share * functional.interpolate(noise, (height, width), mode="bilinear")
    return image[0].permute(1, 2, 0).contiguous()


def slanted_dioptres(height: int, width: int, near: float = 1.0, far: float = 5.0) -> Tensor:
    """A plane from `near` on the left to `far` on the right [m], as (H, W) dioptres."""
    return torch.linspace(1.0 / near, 1.0 / far, width).expand(height, width).contiguous()


def focal_stack(image: Tensor, dioptre: Tensor, *, psf: str = "gaussian") -> Tensor:
    """(K, H, W, C), by the forward model itself."""
    operator = DefocusModel(LENS, FOCUS_DISTANCES, psf=psf).operator(dioptre)
    return operator.forward(image).permute(2, 0, 1, 3).contiguous()


class Clock:
    """In place of the one by which the solver keeps to its time; it stands still by itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in (image_step, solver):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now

    def tick(self, seconds: float = 1.0) -> None:
        self.now += seconds
