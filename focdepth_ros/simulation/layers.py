"""Images that also know what is hidden behind what is seen: the input of the defocus renderer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage


@dataclass(frozen=True, eq=False)
class LayeredView:
    """A pinhole image in two layers; the second is what the edges of the first hide.

    A wide lens sees past the edge of a near object. What it sees there is the back layer.

    Parameters
    ----------
    front, back : (H, W, 3) float32
        Linear-light colours.
    front_dioptre, back_dioptre : (H, W) float32
        Inverse depths in 1/m; 0 at infinity.
    coverage : (H, W) float32
        Share of the pixel that the front layer covers, in (0, 1]; the rest shows the back.
    margin : int
        Pixels on every side that are not part of the image, but blur into it.
    """

    front: FloatImage
    back: FloatImage
    front_dioptre: FloatImage
    back_dioptre: FloatImage
    coverage: FloatImage
    margin: int = 0

    def all_in_focus(self) -> FloatImage:
        """Linear-light pinhole image, (H, W, 3), without the margin."""
        share = self.coverage[..., None]
        image = share * self.front + (1.0 - share) * self.back
        return crop(image, self.margin)


def crop(image: FloatImage, margin: int) -> FloatImage:
    """The image without `margin` pixels on every side."""
    return image[margin:-margin, margin:-margin] if margin else image


def downsample_hits(
    colours: tuple[FloatImage, FloatImage],
    depth: FloatImage,
    part: NDArray[np.int32],
    *,
    factor: int,
    margin: int,
) -> LayeredView:
    """Pixels from several rays each.

    The front layer of a pixel is the part that its nearest ray has met. What its other rays
    have met, and what its front rays would meet next, is the back layer.

    Parameters
    ----------
    colours : two of (H * factor, W * factor, 3) float32
        Of the first and of the second surface along each ray.
    depth : (2, H * factor, W * factor) float32
        Metres; +inf for none.
    part : (2, H * factor, W * factor) int32
        Which part of the scene that is.
    factor : int
        Rays per pixel in each direction.
    margin : int
        Pixels, handed on.
    """

    def rays(image: FloatImage) -> FloatImage:
        """Rays of a pixel on the first axis: (factor², H, W, ...)."""
        height, width = image.shape[0] // factor, image.shape[1] // factor
        split = image.reshape(height, factor, width, factor, *image.shape[2:])
        split = np.moveaxis(split, (1, 3), (0, 1))
        return split.reshape(factor * factor, height, width, *image.shape[2:])

    def chosen_mean(values: FloatImage, chosen: NDArray[np.bool_]) -> FloatImage:
        weight = chosen / np.maximum(chosen.sum(axis=0), 1)
        weight = weight.astype(np.float32)
        return np.asarray(np.einsum("rij...,rij->ij...", values, weight))

    with np.errstate(divide="ignore"):
        dioptre = 1.0 / depth
    first, second = rays(dioptre[0]), rays(dioptre[1])
    first_part, second_part = rays(part[0]), rays(part[1])
    nearest = np.argmax(first, axis=0)[None]
    in_front = first_part == np.take_along_axis(first_part, nearest, axis=0)

    behind = np.where(in_front, second, first)
    behind_part = np.where(in_front, second_part, first_part)
    nearest_behind = np.argmax(behind, axis=0)[None]
    in_back = behind_part == np.take_along_axis(behind_part, nearest_behind, axis=0)
    colour, second_colour = rays(colours[0]), rays(colours[1])
    return LayeredView(
        front=chosen_mean(colour, in_front),
        back=chosen_mean(np.where(in_front[..., None], second_colour, colour), in_back),
        front_dioptre=chosen_mean(first, in_front),
        back_dioptre=chosen_mean(behind, in_back),
        coverage=in_front.mean(axis=0, dtype=np.float32),
        margin=margin,
    )
