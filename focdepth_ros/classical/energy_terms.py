"""The terms of the energy that the graph cut lowers: unary and pairwise costs."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage, ImageArray

# A step costs something also where the image has an edge: noise has edges, too.
_LEAST_WEIGHT = 0.05
_USUAL_SLICES = 10


def sweep_density(count: int) -> float:
    """How the cost of a step of one slice falls, and the truncation grows, with their number.

    1 for 10 slices. In a dense sweep a slice more or less means little, and many are alike.

    Parameters
    ----------
    count : int
        Number of slices, >= 2.
    """
    return math.sqrt((count - 1) / (_USUAL_SLICES - 1))


def log_unary(energy: NDArray[np.float32], floor: np.float32) -> NDArray[np.float32]:
    """How far the log of each slice's focus measure lies below the pixel's best.

    Next to nothing where there is no texture above the noise floor, so that the neighbours
    decide there: ``max_k log(E_k + floor) - log(E_i + floor)``.

    Parameters
    ----------
    energy : (N, h, w) float32
        Focus measure. It is overwritten with the costs.
    floor : float32
        Focus measure of a place without texture, > 0.

    Returns
    -------
    (N, h, w) float32
        Costs >= 0; the least of each pixel is 0.
    """
    energy += floor
    np.negative(np.log(energy, out=energy), out=energy)
    energy -= energy.min(axis=0)
    return energy


def inverse_unary(energy: NDArray[np.float32], noise_gain: float) -> NDArray[np.float32]:
    """Inverse focus measure, as the classic graph-cut pipelines take it.

    ``exp(-γ E / 255²)``, scaled to [0, 1] over the whole stack: γ E is the mean square of the
    operator's response, here to an image in [0, 1]. Texture of low contrast weighs little in it,
    and what a scale of the costs means depends on the strongest edge of the scene.

    Parameters
    ----------
    energy : (N, h, w) float32
        Focus measure. It is overwritten with the costs.
    noise_gain : float
        γ of the operator, see `FocusMeasure`.

    Returns
    -------
    (N, h, w) float32
        Costs in [0, 1].

    References
    ----------
    Suwajanakorn, Hernandez, Seitz, "Depth from Focus with Your Mobile Phone", CVPR 2015,
    section 4: a multi-label MRF over the slices with the negated sharpness as its unary term.
    """
    np.exp(np.multiply(energy, np.float32(-noise_gain / 255.0**2), out=energy), out=energy)
    lowest, highest = float(energy.min()), float(energy.max())
    energy -= np.float32(lowest)
    energy *= np.float32(1.0 / max(highest - lowest, 1e-12))
    return energy


def edge_aware_weights(
    guide: ImageArray, pair_scale: float, contrast: float
) -> tuple[FloatImage, FloatImage]:
    """Cost of a step of one slice between neighbours, less where the image has an edge.

    Depth changes abruptly mostly where the picture does: ``s (0.05 + exp(-|ΔI| / c))``, with
    |ΔI| the mean difference of the channels.

    Parameters
    ----------
    guide : (h, w, 3) or (h, w) uint8
        All-in-focus image on the grid of the cut.
    pair_scale : float
        s, the cost within a surface.
    contrast : float
        c in grey levels; 0: s everywhere.

    Returns
    -------
    weight_right, weight_down : (h, w) float32
        Between a pixel and the one to its right, or below it. The last column of the one and
        the last row of the other have no such neighbour.

    References
    ----------
    Boykov, Jolly, "Interactive Graph Cuts for Optimal Boundary & Region Segmentation", ICCV
    2001, equation 3: contrast-sensitive pairwise costs.
    """
    size = guide.shape[:2]
    right, down = np.full(size, pair_scale, np.float32), np.full(size, pair_scale, np.float32)
    if contrast > 0.0:
        for weight, behind, ahead in (
            (right[:, :-1], guide[:, :-1], guide[:, 1:]),
            (down[:-1], guide[:-1], guide[1:]),
        ):
            if weight.size == 0:
                continue
            difference = cv2.absdiff(behind, ahead).astype(np.float32)
            if difference.ndim == 3:
                difference = difference.mean(axis=2)
            weight *= np.float32(_LEAST_WEIGHT) + np.exp(difference * np.float32(-1.0 / contrast))
    return right, down
