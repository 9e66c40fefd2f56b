"""Scenes with exactly known depth, and the view of a pinhole camera into them.

`random_scene` makes a different scene of every seed. Seeds below 900 are for training, those up
to 1000 for comparing what was trained and for tuning; seeds from 1000 on are held out for tests
and evaluation, so that figures are given for scenes that nothing was adjusted to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.default_camera import DEFAULT_INTRINSICS
from focdepth_ros.simulation.layers import LayeredView, downsample_hits
from focdepth_ros.simulation.primitives import Primitive, Vector
from focdepth_ros.simulation.textures import Texture
from focdepth_ros.stack import CameraIntrinsics, FloatImage

FIRST_VALIDATION_SEED = 900
FIRST_HELD_OUT_SEED = 1000

#: Steps of `Scene.layered_view`.
VIEW_STEPS = 3

_SUPERSAMPLING = 2  # rays per pixel and direction, for colours
_NO_ID = -1
_EYE: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Part:
    """A primitive and what it is covered with.

    Parameters
    ----------
    shape : Primitive
    paint : Texture or (3,) float32
        A texture, or one linear-light colour: then the part is textureless.
    """

    shape: Primitive
    paint: Texture | NDArray[np.float32]

    @property
    def textureless(self) -> bool:
        """Whether the part shows nothing that could be in or out of focus but its outline."""
        return not isinstance(self.paint, Texture)


@dataclass(frozen=True, eq=False)
class PinholeView:
    """What a camera with a pinhole in place of its lens sees of a scene.

    Parameters
    ----------
    depth : (H, W) float32
        Metres along the optical axis at the centres of the pixels; +inf where nothing is.
    part : (H, W) int32
        Which part of the scene is seen there; -1 where none is.
    textureless : (H, W) bool
        Whether that part has one plain colour.
    """

    depth: FloatImage
    part: NDArray[np.int32]
    textureless: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scene:
    """Things in front of a camera.

    Parameters
    ----------
    parts : tuple of Part
    intrinsics : CameraIntrinsics
        Of the camera that looks at them; without distortion.
    light : tuple of float
        Direction from which the light comes, in the optical frame.
    sky : tuple of float
        Linear-light colour where no part is seen.
    """

    parts: tuple[Part, ...]
    intrinsics: CameraIntrinsics = DEFAULT_INTRINSICS
    light: Vector = (-0.4, -0.8, -0.5)
    sky: Vector = (0.5, 0.6, 0.75)

    def __post_init__(self) -> None:
        if any(self.intrinsics.distortion):
            raise OptionError(
                f"scene camera has distortion {self.intrinsics.distortion}; simulated cameras "
                "are pinholes, give intrinsics without coefficients"
            )

    def view(self, origin: Vector = _EYE) -> PinholeView:
        """Depth and identity at the centres of the pixels, without colour."""
        hits = self._cast(self._slopes(0, 1), origin)
        plain = np.array([part.textureless for part in self.parts] + [True])
        return PinholeView(hits.depth[0], hits.part[0], plain[hits.part[0]])

    def layered_view(
        self, margin: int = 0, *, on_step: Callable[[], None] = lambda: None
    ) -> LayeredView:
        """The colours and depths of what is seen, and of what is hidden behind it.

        Parameters
        ----------
        margin : int
            Pixels to add on every side of the image.
        on_step : callable
            Called after each of the `VIEW_STEPS` steps; what it raises ends the work.
        """
        slopes = self._slopes(margin, _SUPERSAMPLING)
        hits = self._cast(slopes, _EYE)
        on_step()
        front = self._shade(hits.part[0], hits.depth[0], slopes, _EYE)
        on_step()
        back = self._shade(hits.part[1], hits.depth[1], slopes, _EYE)
        on_step()
        return downsample_hits(
            (front, back), hits.depth, hits.part, factor=_SUPERSAMPLING, margin=margin
        )

    def trace(self, slopes: FloatImage, origin: Vector = _EYE) -> FloatImage:
        """The light that comes along any rays.

        Parameters
        ----------
        slopes : (H, W, 2) float32
            x/z and y/z of the rays, on a regular grid.
        origin : tuple of float
            Where they end, metres.

        Returns
        -------
        (H, W, 3) float32
            Linear light.
        """
        hits = self._cast(slopes, origin)
        return self._shade(hits.part[0], hits.depth[0], slopes, origin)

    def _slopes(self, margin: int, supersampling: int) -> FloatImage:
        camera = self.intrinsics
        columns, rows = (
            (np.arange((size + 2 * margin) * supersampling) + 0.5) / supersampling - 0.5 - margin
            for size in (camera.width, camera.height)
        )
        slopes = np.empty((len(rows), len(columns), 2), dtype=np.float32)
        slopes[..., 0] = (columns - camera.cx) / camera.fx
        slopes[..., 1] = ((rows - camera.cy) / camera.fy)[:, None]
        return slopes

    def _cast(self, slopes: FloatImage, origin: Vector) -> _Hits:
        """The nearest part along every ray and the nearest of the others."""
        shape = (2, *slopes.shape[:2])
        depth = np.full(shape, np.inf, dtype=np.float32)
        part = np.full(shape, _NO_ID, dtype=np.int32)
        for number, item in enumerate(self.parts):
            window = _window(item.shape, slopes, origin)
            if window is None:
                continue
            found = item.shape.intersect(slopes[window], origin)
            near, far = depth[0][window], depth[1][window]
            near_part, far_part = part[0][window], part[1][window]
            first = found < near
            second = ~first & (found < far)
            far[...] = np.where(first, near, np.where(second, found, far))
            far_part[...] = np.where(first, near_part, np.where(second, number, far_part))
            near[first] = found[first]
            near_part[first] = number
        return _Hits(depth, part)

    def _shade(
        self, parts: NDArray[np.int32], depth: FloatImage, slopes: FloatImage, origin: Vector
    ) -> FloatImage:
        """Linear-light colour of the surface that every ray has met."""
        colours = np.empty((*parts.shape, 3), dtype=np.float32)
        colours[:] = self.sky
        ray_step = slopes[0, 1, 0] - slopes[0, 0, 0]
        light = np.asarray(self.light, dtype=np.float32)
        light = light / np.linalg.norm(light)
        order = np.argsort(parts, axis=None, kind="stable")
        ends = np.searchsorted(parts.ravel()[order], np.arange(len(self.parts) + 1))
        flat_slopes, flat_depth = slopes.reshape(-1, 2), depth.ravel()
        flat_colours = colours.reshape(-1, 3)
        for number, item in enumerate(self.parts):
            chosen = order[ends[number] : ends[number + 1]]
            if not chosen.size:
                continue
            z = flat_depth[chosen]
            points = np.empty((len(chosen), 3), dtype=np.float32)
            np.multiply(flat_slopes[chosen], z[:, None], out=points[:, :2])
            points[:, 2] = z
            coordinates, normals = item.shape.surface(points + np.asarray(origin, np.float32))
            facing = np.einsum("ij,ij->i", points, normals)
            normals[facing > 0.0] *= -1.0
            if isinstance(item.paint, Texture):
                cosine = np.abs(facing) / np.linalg.norm(points, axis=1)
                # Between the footprint along and across the slope; supersampling does the rest.
                footprint = ray_step * z / np.sqrt(np.maximum(cosine, 0.05))
                colour = item.paint.sample(coordinates, footprint)
            else:
                colour = np.broadcast_to(item.paint, (len(chosen), 3))
            shade = 0.45 + 0.55 * np.maximum(np.einsum("ij,j->i", normals, light), 0.0)
            flat_colours[chosen] = colour * shade[:, None]
        return colours


@dataclass(frozen=True, eq=False)
class _Hits:
    depth: FloatImage  # (2, H, W)
    part: NDArray[np.int32]  # (2, H, W)


def _window(shape: Primitive, slopes: FloatImage, origin: Vector) -> tuple[slice, slice] | None:
    """The rays that can meet a primitive at all; None where none can."""
    height, width = slopes.shape[:2]
    corners = shape.corners()
    if corners is None:
        return slice(0, height), slice(0, width)
    corners = corners - np.asarray(origin, dtype=np.float32)
    if corners[:, 2].max() <= 0.0:
        return None
    if corners[:, 2].min() <= 1e-3:
        return slice(0, height), slice(0, width)
    seen = corners[:, :2] / corners[:, 2:]
    low, high = seen.min(axis=0), seen.max(axis=0)
    left, right = np.searchsorted(slopes[0, :, 0], (low[0], high[0]))
    top, bottom = np.searchsorted(slopes[:, 0, 1], (low[1], high[1]))
    if left == right or top == bottom:
        return None
    return slice(int(top), int(bottom)), slice(int(left), int(right))
