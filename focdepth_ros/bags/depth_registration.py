"""The depth of one camera as another one sees it.

The measured surface is drawn as a mesh, a triangle between every three neighbouring pixels, and
of what falls onto a pixel the nearest is kept. So the two cameras may have any resolution:
a surface has no holes where pixels come to lie apart, as single points would leave them. What
is not known stays so: no triangle goes over a depth edge or a pixel without depth, and where the
depth camera cannot see, behind an edge or beside its picture, nothing lands. An object that only
the other camera sees cannot be known of; the depth there is that of what lies behind it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.bags.rigid_transform import RigidTransform
from focdepth_ros.geometry import back_project, pixel_rays, project
from focdepth_ros.stack import CameraIntrinsics, FloatImage

_MAX_STEP = 0.05
_NEAREST = 1e-3  # m; what is nearer to the camera cannot be projected
_FIELD_MARGIN = 0.1  # beyond the field of view a distortion polynomial may turn back
_ON_EDGE = 1e-3  # px, or share of a triangle, that what is on its edge may seem to be outside

_Values = NDArray[np.float64]


def register_depth(
    depth: FloatImage,
    depth_intrinsics: CameraIntrinsics,
    intrinsics: CameraIntrinsics,
    extrinsic: RigidTransform,
    *,
    max_step: float = _MAX_STEP,
) -> FloatImage:
    """A depth image as it would be on the pixel grid of another camera.

    Parameters
    ----------
    depth : (H, W) float32
        Metres along the optical axis of the depth camera; NaN where not known.
    depth_intrinsics : CameraIntrinsics
        Of the depth camera, for images of this size.
    intrinsics : CameraIntrinsics
        Of the other camera, whose images are (h, w).
    extrinsic : RigidTransform
        How the optical frame of the depth camera lies in that of the other.
    max_step : float
        Neighbouring depths that differ by more, as a share of the nearer, are two surfaces.

    Returns
    -------
    (h, w) float32
        Metres along the optical axis of the other camera; NaN where not known. Between the
        pixels of the depth camera the inverse depth goes linearly, which is exact for planes.

    Raises
    ------
    CalibrationError
        If the intrinsics are for another image size, or a distortion is not known.
    """
    points = back_project(depth, depth_intrinsics).astype(np.float64)
    points = points @ extrinsic.matrix.T + np.array(extrinsic.translation)
    columns, rows, inverse, seen = _projected(points.reshape(-1, 3), intrinsics)
    triangles = _triangles(depth, max_step)
    triangles = triangles[:, seen[triangles].all(axis=0)]
    # Corners as three long rows each: NumPy is many times faster at these.
    nearest = _drawn(columns[triangles], rows[triangles], inverse[triangles], intrinsics)
    with np.errstate(divide="ignore"):
        answer = np.where(nearest > 0.0, 1.0 / nearest, np.nan)
    return np.asarray(answer, np.float32)


def _triangles(depth: FloatImage, max_step: float) -> NDArray[np.intp]:
    """Pixels (3, N) at the corners of the triangles of the surface, by their flat index."""
    height, width = depth.shape
    index = np.arange(height * width, dtype=np.intp).reshape(height, width)
    flat = depth.reshape(-1)
    a, b, c, d = (
        corner.ravel()
        for corner in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:])
    )
    with np.errstate(invalid="ignore"):
        # Of the two diagonals that of the smaller step is the better guess.
        falling = ~(np.abs(flat[a] - flat[d]) > np.abs(flat[b] - flat[c]))
        upper = np.stack([a, b, np.where(falling, d, c)])
        lower = np.stack([np.where(falling, a, b), d, c])
        found = np.concatenate([upper, lower], axis=1)
        values = flat[found]
        low, high = values.min(axis=0), values.max(axis=0)
        is_surface = np.isfinite(high) & (low > 0.0) & (high <= (1.0 + max_step) * low)
    return found[:, is_surface]


def _projected(
    points: _Values, intrinsics: CameraIntrinsics
) -> tuple[_Values, _Values, _Values, NDArray[np.bool_]]:
    """Column, row and inverse depth (N,) of points (N, 3), and whether they are in view."""
    with np.errstate(invalid="ignore"):
        seen = points[:, 2] > _NEAREST
    inverse = np.zeros(len(points))
    inverse[seen] = 1.0 / points[seen, 2]
    rays = points[:, :2] * inverse[:, np.newaxis]
    field = pixel_rays(intrinsics).reshape(-1, 2)
    low, high = np.nanmin(field, axis=0), np.nanmax(field, axis=0)
    margin = _FIELD_MARGIN * (high - low)
    seen &= np.all((rays >= low - margin) & (rays <= high + margin), axis=1)
    pixels = np.zeros((len(points), 2))
    pixels[seen] = project(rays[seen], intrinsics)
    return pixels[:, 0], pixels[:, 1], inverse, seen


def _drawn(x: _Values, y: _Values, inverse: _Values, intrinsics: CameraIntrinsics) -> _Values:
    """Largest inverse depth (h, w) that triangles have at a pixel; 0 where there is none.

    Parameters
    ----------
    x, y, inverse : (3, N) float64
        Column, row and inverse depth of their corners.
    intrinsics : CameraIntrinsics
    """
    height, width = intrinsics.height, intrinsics.width
    nearest = np.zeros(height * width)
    left, columns = _covered(x, width)
    top, rows = _covered(y, height)
    covering = np.flatnonzero((columns > 0) & (rows > 0))
    x, y, inverse = x[:, covering], y[:, covering], inverse[:, covering]
    left, columns, top, rows = (v[covering] for v in (left, columns, top, rows))
    at_first, across, down = _weights(x, y, left, top)
    first = top * width + left
    these = np.arange(len(covering))
    for j in range(int(rows.max(initial=0))):
        these = these[rows[these] > j]
        some = these
        for i in range(int(columns[these].max(initial=0))):
            some = some[columns[some] > i]
            weights = at_first[:, some] + i * across[:, some] + j * down[:, some]
            inside = weights.min(axis=0) >= -_ON_EDGE
            drawn = some[inside]
            value = np.sum(weights[:, inside] * inverse[:, drawn], axis=0)
            np.maximum.at(nearest, first[drawn] + (j * width + i), value)
    return nearest.reshape(height, width)


def _covered(corners: _Values, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First of the columns, or rows, that triangles may cover, and how many there are."""
    first = np.maximum(np.ceil(corners.min(axis=0) - _ON_EDGE), 0)
    last = np.minimum(np.floor(corners.max(axis=0) + _ON_EDGE), size - 1)
    return first.astype(np.intp), (last - first + 1).astype(np.intp)


def _weights(
    x: _Values, y: _Values, left: NDArray[np.intp], top: NDArray[np.intp]
) -> tuple[_Values, _Values, _Values]:
    """Barycentric coordinates (3, N) of the first pixel, and their change across and down."""
    weights, across, down = (np.empty(x.shape) for _ in range(3))
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    area[area == 0.0] = np.nan  # seen from its edge: it covers nothing
    for k, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        across[k] = (y[i] - y[j]) / area
        down[k] = (x[j] - x[i]) / area
        weights[k] = (left - x[i]) * across[k] + (top - y[i]) * down[k]
    return weights, across, down
