"""The solids that simulated scenes are built of, and where rays meet them.

Rays are given by their slopes: direction ``(x/z, y/z, 1)`` in the optical frame (x right,
y down, z forward), so that the ray parameter is the depth along the optical axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import OptionError
from focdepth_ros.stack import FloatImage

Vector = tuple[float, float, float]
_Matrix = NDArray[np.float32]

_CUBE = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)


def _vector(values: Sequence[float]) -> _Matrix:
    return np.asarray(values, dtype=np.float32)


def _turned(points: _Matrix, turn: _Matrix) -> _Matrix:
    """`turn` applied to each of many points; a hundred times as fast as a threaded matmul."""
    if not len(points):
        return points
    return np.asarray(cv2.transform(points[None], turn)[0], dtype=np.float32)


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> _Matrix:
    """Rotation about y, then x, then z of the optical frame, angles in radians; (3, 3)."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y, dtype=np.float32)


def rotation_onto(axis: Vector) -> _Matrix:
    """A rotation that takes the y axis onto `axis`; (3, 3)."""
    direction = np.asarray(axis, dtype=np.float64)
    direction /= np.linalg.norm(direction)
    helper = np.eye(3)[int(np.argmin(np.abs(direction)))]
    across = np.cross(direction, helper)
    across /= np.linalg.norm(across)
    return np.stack([across, direction, np.cross(across, direction)], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Primitive(ABC):
    """One solid or surface.

    Parameters
    ----------
    centre : tuple of float
        Metres in the optical frame.
    orientation : (3, 3) float32
        Rotation from the solid's own frame to the optical frame.
    """

    centre: Vector
    orientation: _Matrix = field(default_factory=rotation, kw_only=True)

    def intersect(self, slopes: FloatImage, origin: Vector) -> FloatImage:
        """Depth at which rays from `origin` first meet the surface.

        Parameters
        ----------
        slopes : (H, W, 2) float32
            x/z and y/z of the rays.
        origin : tuple of float
            Where the rays start, metres.

        Returns
        -------
        (H, W) float32
            Depth beyond the origin in metres; +inf where the ray misses.
        """
        turn = self.orientation
        direction = np.asarray(cv2.transform(slopes, turn.T), dtype=np.float32)
        start = np.asarray((_vector(origin) - _vector(self.centre)) @ turn, dtype=np.float32)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            depth = self._meet(start, direction)
        hit = depth > 1e-4  # NaN is a miss too
        return np.asarray(np.where(hit, depth, np.inf), dtype=np.float32)

    def surface(self, points: NDArray[np.float32]) -> tuple[_Matrix, _Matrix]:
        """Position on the surface and its normal.

        Parameters
        ----------
        points : (M, 3) float32
            Points of the surface in the optical frame, metres.

        Returns
        -------
        coordinates : (M, 2) float32
            Metres along the surface, where it can be unrolled.
        normals : (M, 3) float32
            Of unit length, in the optical frame; of either sign.
        """
        turn = self.orientation
        coordinates, normals = self._unroll(_turned(points - _vector(self.centre), turn.T))
        return coordinates, _turned(normals, turn)

    def corners(self) -> NDArray[np.float32] | None:
        """Corners of a box around the primitive, (8, 3) m; None where it has no end."""
        half = _vector(self._half_size())
        if not np.all(np.isfinite(half)):
            return None
        return np.asarray(_CUBE * half @ self.orientation.T + _vector(self.centre), np.float32)

    @abstractmethod
    def _half_size(self) -> Vector:
        """Half the extent along the solid's own axes."""

    @abstractmethod
    def _meet(self, start: _Matrix, direction: FloatImage) -> FloatImage:
        """Ray parameter of the first hit in the solid's own frame; NaN or inf for a miss."""

    @abstractmethod
    def _unroll(self, points: _Matrix) -> tuple[_Matrix, _Matrix]:
        """`surface` in the solid's own frame."""


@dataclass(frozen=True, eq=False)
class Rectangle(Primitive):
    """A flat patch in its own x-y plane, seen from both sides; infinite sides allowed.

    Parameters
    ----------
    size : tuple of float
        Width and height in metres.
    """

    size: tuple[float, float]

    def __post_init__(self) -> None:
        _check_sizes("rectangle", self.size, infinite=True)

    def _half_size(self) -> Vector:
        return self.size[0] / 2, self.size[1] / 2, 0.0

    def _meet(self, start: _Matrix, direction: FloatImage) -> FloatImage:
        depth = -start[2] / direction[..., 2]
        for axis, side in enumerate(self.size):
            if np.isfinite(side):
                across = start[axis] + depth * direction[..., axis]
                depth = np.where(np.abs(across) <= side / 2, depth, np.float32(np.nan))
        return np.asarray(depth)

    def _unroll(self, points: _Matrix) -> tuple[_Matrix, _Matrix]:
        normals = np.zeros_like(points)
        normals[:, 2] = 1.0
        return points[:, :2], normals


@dataclass(frozen=True, eq=False)
class Box(Primitive):
    """A block with sides along its own axes.

    Parameters
    ----------
    size : tuple of float
        Width, height and length in metres.
    """

    size: Vector

    def __post_init__(self) -> None:
        _check_sizes("box", self.size)

    def _half_size(self) -> Vector:
        return self.size[0] / 2, self.size[1] / 2, self.size[2] / 2

    def _meet(self, start: _Matrix, direction: FloatImage) -> FloatImage:
        entry = np.full(direction.shape[:2], -np.inf, dtype=np.float32)
        leave = -entry
        for axis, half in enumerate(self._half_size()):
            one = (-half - start[axis]) / direction[..., axis]
            other = (half - start[axis]) / direction[..., axis]
            entry = np.maximum(entry, np.minimum(one, other))
            leave = np.minimum(leave, np.maximum(one, other))
        return np.where(entry <= leave, entry, np.float32(np.nan))

    def _unroll(self, points: _Matrix) -> tuple[_Matrix, _Matrix]:
        relative = points / _vector(self._half_size())
        face = np.argmax(np.abs(relative), axis=1)
        normals = np.eye(3, dtype=np.float32)[face]
        # The two axes along the face, and another part of the texture for every face.
        along = np.array([[2, 1], [0, 2], [0, 1]])[face]
        coordinates = np.take_along_axis(points, along, axis=1)
        offset = (face + 3 * (relative[np.arange(len(face)), face] > 0)) * np.float32(0.37)
        return coordinates + offset[:, None], normals


@dataclass(frozen=True, eq=False)
class Sphere(Primitive):
    """A ball.

    Parameters
    ----------
    radius : float
        Metres.
    """

    radius: float

    def __post_init__(self) -> None:
        _check_sizes("sphere", (self.radius,))

    def corners(self) -> NDArray[np.float32]:
        """Corners of a box around the ball, (8, 3) m, however the ball is turned."""
        return np.asarray(_CUBE * self.radius + _vector(self.centre), dtype=np.float32)

    def _half_size(self) -> Vector:
        return self.radius, self.radius, self.radius

    def _meet(self, start: _Matrix, direction: FloatImage) -> FloatImage:
        a = np.einsum("ijk,ijk->ij", direction, direction)
        b = np.einsum("ijk,k->ij", direction, start)
        # Perpendicular distance of the centre first: b² - a c would cancel to noise.
        aside = start - (b / a)[..., None] * direction
        root = self.radius**2 - np.einsum("ijk,ijk->ij", aside, aside)
        return np.asarray((-b - np.sqrt(root * a)) / a)

    def _unroll(self, points: _Matrix) -> tuple[_Matrix, _Matrix]:
        normals = points / np.linalg.norm(points, axis=1, keepdims=True)
        longitude = np.arctan2(normals[:, 0], -normals[:, 2])
        latitude = np.arcsin(np.clip(normals[:, 1], -1.0, 1.0))
        coordinates = np.float32(self.radius) * np.stack([longitude, latitude], axis=1)
        return coordinates.astype(np.float32), normals


@dataclass(frozen=True, eq=False)
class Cylinder(Primitive):
    """A round rod along its own y axis with flat ends; a can, a post, a wire.

    Parameters
    ----------
    radius, length : float
        Metres.
    """

    radius: float
    length: float

    def __post_init__(self) -> None:
        _check_sizes("cylinder", (self.radius, self.length))

    def _half_size(self) -> Vector:
        return self.radius, self.length / 2, self.radius

    def _meet(self, start: _Matrix, direction: FloatImage) -> FloatImage:
        flat, origin = direction[..., ::2], start[::2]
        a = np.einsum("ijk,ijk->ij", flat, flat)
        b = np.einsum("ijk,k->ij", flat, origin)
        aside = origin - (b / a)[..., None] * flat
        root = self.radius**2 - np.einsum("ijk,ijk->ij", aside, aside)
        side = (-b - np.sqrt(root * a)) / a
        half = self.length / 2
        side = np.where(np.abs(start[1] + side * direction[..., 1]) <= half, side, np.inf)
        # Of the two ends only the one that faces the ray can be met first.
        end = (-np.sign(direction[..., 1]) * half - start[1]) / direction[..., 1]
        across = origin + end[..., None] * flat
        inside = np.einsum("ijk,ijk->ij", across, across) <= self.radius**2
        return np.fmin(side, np.where(inside, end, np.inf)).astype(np.float32)

    def _unroll(self, points: _Matrix) -> tuple[_Matrix, _Matrix]:
        on_side = np.abs(points[:, 1]) < self.length / 2 * (1 - 1e-4)
        angle = np.arctan2(points[:, 0], -points[:, 2])
        side = np.stack([np.float32(self.radius) * angle, points[:, 1]], axis=1)
        coordinates = np.where(on_side[:, None], side, points[:, ::2])
        normals = points / np.float32(self.radius)
        normals[:, 1] = 0.0
        normals[~on_side] = (0.0, 1.0, 0.0)
        return coordinates.astype(np.float32), normals


def _check_sizes(what: str, sizes: tuple[float, ...], *, infinite: bool = False) -> None:
    for size in sizes:
        if not (size > 0.0 and (infinite or np.isfinite(size))):
            raise OptionError(f"{what} has a size of {size} m; sizes are metres above 0")
