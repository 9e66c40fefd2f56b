"""The depth that explains a focal stack and on which neighbouring pixels agree: a graph cut.

What a pixel shows leaves its depth open where there is little texture, and beside edges the
forward model favours what is not there. Neighbours that look alike mostly lie on one surface, so
what one of them leaves open others decide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.energy_terms import edge_aware_weights
from focdepth_ros.classical.graph_cut import MAX_LABELS, cut_fast
from focdepth_ros.stack import FloatImage, ImageArray

LABELS_PER_SWEEP = 45  # depths to choose from between the nearest and the farthest focus
WINDOW = 3  # px, side of the square over which the errors are averaged
_TRUNCATION = 0.12  # of the sweep, in dioptres: a larger step between neighbours costs no more
_CONTRAST = 5.0  # grey levels over which a step costs a third
_FLOOR = 0.2  # of the image's median error, below which the fit is no better for any depth
_LEAST_FLOOR = 1e-12


def candidate_dioptres(far: float, near: float, sweep: float) -> NDArray[np.float64]:
    """Depths to choose from, evenly spaced in dioptres.

    Parameters
    ----------
    far, near : float
        Least and largest dioptre [1/m].
    sweep : float
        Between the nearest and the farthest focus [1/m], > 0.
    """
    count = round(LABELS_PER_SWEEP * (near - far) / sweep) + 1
    return np.linspace(far, near, min(max(count, 3), MAX_LABELS), dtype=np.float64)


def cut_surfaces(
    errors: NDArray[np.float32],
    candidates: NDArray[np.float64],
    guide: ImageArray,
    *,
    sweep: float,
    smoothness: float,
) -> FloatImage:
    """Choose a depth for every pixel by its error and by those of its neighbours.

    The cost of a depth is the log of its error over that of the pixel's best. So what counts is by
    how much one depth explains more than another: little where no depth explains much, as beside
    an edge, whatever the noise. Steps between neighbours cost as much as they are high, up to a
    limit, and less where the picture has an edge.

    Parameters
    ----------
    errors : (L, H, W) float32
        Of each depth, >= 0 but for rounding, averaged over `WINDOW` x `WINDOW` pixels. They are
        overwritten.
    candidates : (L,) float64
        The depths as dioptres [1/m], evenly spaced, L >= 3.
    guide : (H, W, 3) or (H, W) uint8
        All-in-focus image.
    sweep : float
        Between the nearest and the farthest focus [1/m].
    smoothness : float
        Cost of a step of a tenth of the sweep between neighbours, >= 0.

    Returns
    -------
    (H, W) float32
        Dioptres, by a parabola through the errors between the candidates.
    """
    step = float(candidates[1] - candidates[0])
    np.maximum(errors, 0.0, out=errors)  # without noise, rounding takes them below
    least = errors.min(axis=0)
    floor = np.float32(max(_FLOOR * float(np.median(least)), _LEAST_FLOOR))
    errors += floor
    errors /= least + floor
    costs = np.log(errors, out=errors)
    truncation = min(max(round(_TRUNCATION * sweep / step), 1), len(candidates) - 1)
    weights = edge_aware_weights(guide, 10.0 * smoothness * step / sweep, _CONTRAST)
    labels, _ = cut_fast(costs, *weights, truncation=truncation)
    # At either end the parabola is that of the three last candidates.
    middle = np.clip(labels.astype(np.intp), 1, len(candidates) - 2)
    below, centre, above = (
        np.exp(np.take_along_axis(costs, (middle + side)[np.newaxis], axis=0)[0])
        for side in (-1, 0, 1)
    )
    curvature = below + above - 2.0 * centre
    shift = np.divide(
        0.5 * (below - above), curvature, out=np.zeros_like(centre), where=curvature > 0.0
    )
    chosen = labels.astype(np.float64)
    vertex = np.where(curvature > 0.0, middle + shift, chosen)
    position = np.clip(np.clip(vertex, chosen - 0.5, chosen + 0.5), 0.0, len(candidates) - 1.0)
    return np.asarray(candidates[0] + step * position, np.float32)
