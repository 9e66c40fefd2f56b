"""From a photograph with a depth map to what the defocus renderer needs.

A depth map knows nothing of what is hidden behind the edges of near things, and a wide lens
sees a little of it. The background is therefore continued behind them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.colour import linear_from_srgb
from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.layers import LayeredView
from focdepth_ros.stack import FloatImage, ImageArray

_CONTRAST_WINDOW = 9  # px
_LEAST_CONTRAST = 3.0  # standard deviation in grey levels of 255


def check_rgbd(image: ImageArray, depth: FloatImage) -> None:
    """Raise an OptionError unless the two are an RGB image and a depth map that fit together."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise OptionError(f"image is {image.dtype} {image.shape}; give (H, W, 3) uint8 RGB")
    if depth.shape != image.shape[:2]:
        raise OptionError(
            f"depth map has shape {depth.shape}, image {image.shape[:2]}; give one of the same size"
        )
    if not np.any(depth > 0.0):
        raise OptionError("depth map has no value above 0; give metres, 0 or NaN where not known")


def layered_view_from_rgbd(
    image: ImageArray, depth: FloatImage, *, margin: int, reach: int, gap: float
) -> LayeredView:
    """Continue the background of a photograph behind the edges of its foreground.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB, sharp everywhere.
    depth : (H, W) float32
        Metres; +inf allowed. Where it is NaN or not above 0, the nearest known pixel's is taken.
    margin : int
        Pixels to add on every side; the border is repeated there.
    reach : int
        How far behind an edge to continue the background, px.
    gap : float
        Difference in dioptres between two neighbours from which on it is an edge.
    """
    known = depth > 0.0
    nearest = _nearest_known(known)
    with np.errstate(divide="ignore", invalid="ignore"):
        dioptre = (1.0 / depth.ravel()[nearest]).astype(np.float32)
    border = (margin, margin, margin, margin)
    colour = cv2.copyMakeBorder(linear_from_srgb(image), *border, cv2.BORDER_REPLICATE)
    padded = cv2.copyMakeBorder(dioptre, *border, cv2.BORDER_REPLICATE)
    front, front_dioptre = np.asarray(colour, np.float32), np.asarray(padded, np.float32)
    back, back_dioptre = _continued_background(front, front_dioptre, reach, gap)
    return LayeredView(
        front=front,
        back=back,
        front_dioptre=front_dioptre,
        back_dioptre=back_dioptre,
        coverage=np.ones_like(front_dioptre),
        margin=margin,
    )


def _nearest_known(known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Flat index of the nearest known pixel of every pixel, (H, W)."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index_of_label = np.zeros(int(labels.max()) + 1, dtype=np.intp)
    places = np.flatnonzero(known)
    index_of_label[labels.ravel()[places]] = places
    return np.asarray(index_of_label[labels], dtype=np.intp)


def _continued_background(
    colour: FloatImage, dioptre: FloatImage, reach: int, gap: float
) -> tuple[FloatImage, FloatImage]:
    """Grow whatever is farther into whatever is nearer, pixel by pixel from the edges."""
    height, width = dioptre.shape
    colour, dioptre = colour.copy(), dioptre.copy()
    flat_colour, flat_dioptre = colour.reshape(-1, 3), dioptre.reshape(-1)
    around = [dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    window = np.ones((3, 3), dtype=np.uint8)
    inside = np.zeros((height, width), dtype=bool)
    inside[1:-1, 1:-1] = True
    for _ in range(reach):
        lowest = cv2.erode(dioptre, window).reshape(-1)
        edge = np.flatnonzero((flat_dioptre - lowest >= gap) & inside.reshape(-1))
        if not edge.size:
            break
        neighbours = edge[:, None] + np.array(around)
        near_dioptre = flat_dioptre[neighbours]
        weight = (near_dioptre < lowest[edge, None] + gap).astype(np.float32)
        weight /= weight.sum(axis=1, keepdims=True)
        new_colour = np.einsum("ij,ijk->ik", weight, flat_colour[neighbours])
        flat_dioptre[edge] = np.einsum("ij,ij->i", weight, near_dioptre)
        flat_colour[edge] = new_colour
    return colour, dioptre


def textureless_mask(image: ImageArray) -> NDArray[np.bool_]:
    """Where an RGB image has too little contrast to tell whether it is in focus, (H, W)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    size = (_CONTRAST_WINDOW, _CONTRAST_WINDOW)
    mean, mean_square = cv2.blur(grey, size), cv2.blur(grey * grey, size)
    return np.asarray(mean_square - mean * mean < _LEAST_CONTRAST**2)
