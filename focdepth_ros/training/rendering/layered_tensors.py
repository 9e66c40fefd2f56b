"""Layered images as tensors, on any device: `simulation.layers` for training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from focdepth_ros.simulation.layers import LayeredView


@dataclass(frozen=True, eq=False)
class Reflection:
    """The mirror image that shows in some of the surfaces of a view.

    It lies behind the surface that shows it, so it is in focus at another distance.

    Parameters
    ----------
    light : (3, H, W) float32
        Linear light of the mirrored world.
    strength : (2, H, W) float32
        Share of it that the front and the back layer reflect; 0 for most surfaces.
    dioptre : float
        Inverse distance of the mirror image along the path of the light, 1/m.
    """

    light: Tensor
    strength: Tensor
    dioptre: float


@dataclass(frozen=True, eq=False)
class LayeredTensors:
    """A pinhole image in two layers; the second is what the edges of the first hide.

    Parameters
    ----------
    front, back : (3, H, W) float32
        Linear-light colours.
    front_dioptre, back_dioptre : (H, W) float32
        Inverse depths in 1/m; 0 at infinity.
    coverage : (H, W) float32
        Share of the pixel that the front layer covers, in (0, 1].
    margin : int
        Pixels on every side that are not part of the image, but blur into it.
    reflection : Reflection, optional
    """

    front: Tensor
    back: Tensor
    front_dioptre: Tensor
    back_dioptre: Tensor
    coverage: Tensor
    margin: int = 0
    reflection: Reflection | None = None

    def all_in_focus(self) -> Tensor:
        """Linear-light pinhole image, (3, H, W), without the margin."""
        image = self.coverage * self.front + (1.0 - self.coverage) * self.back
        if self.reflection is not None:
            front, back = self.reflection.strength
            image = image + self.reflection.light * (
                self.coverage * front + (1.0 - self.coverage) * back
            )
        return without_margin(image, self.margin)

    def inverse_depth(self) -> Tensor:
        """Of what covers most of each pixel, (H, W), 1/m, without the margin."""
        seen = torch.where(self.coverage >= 0.5, self.front_dioptre, self.back_dioptre)
        return without_margin(seen, self.margin)


@dataclass(frozen=True, eq=False)
class LayeredScene:
    """What is to be rendered, and the truth about it.

    Parameters
    ----------
    view : LayeredTensors
    inverse_depth : (H, W) float32
        Truth in 1/m without the margin; NaN where it is not known, 0 at infinity.
    labels : (H, W) int64, optional
        `SurfaceClass` of what is seen, without the margin.
    """

    view: LayeredTensors
    inverse_depth: Tensor
    labels: Tensor | None = None


def without_margin(image: Tensor, margin: int) -> Tensor:
    """The image (..., H, W) without `margin` pixels on every side."""
    return image[..., margin:-margin, margin:-margin] if margin else image


def layered_tensors(view: LayeredView, device: str = "cpu") -> LayeredTensors:
    """A view from `simulation` on a device."""

    def plane(image: object) -> Tensor:
        return torch.as_tensor(image, device=device)

    return LayeredTensors(
        front=plane(view.front).permute(2, 0, 1).contiguous(),
        back=plane(view.back).permute(2, 0, 1).contiguous(),
        front_dioptre=plane(view.front_dioptre),
        back_dioptre=plane(view.back_dioptre),
        coverage=plane(view.coverage),
        margin=view.margin,
    )
