"""Rooms full of things at random, the same for the same seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.default_camera import DEFAULT_INTRINSICS
from focdepth_ros.simulation.primitives import (
    Box,
    Cylinder,
    Primitive,
    Rectangle,
    Sphere,
    Vector,
    rotation,
    rotation_onto,
)
from focdepth_ros.simulation.scenes import Part, Scene
from focdepth_ros.simulation.textures import load_photographs, random_colour, random_texture
from focdepth_ros.stack import CameraIntrinsics, ImageArray

_COARSE_WIDTH = 160  # of the view in which areas are measured


def random_scene(
    seed: int,
    *,
    intrinsics: CameraIntrinsics = DEFAULT_INTRINSICS,
    near: float = 0.42,
    far: float = 4.0,
    textureless_fraction: float = 0.15,
    photographs: Sequence[ImageArray] | None = None,
) -> Scene:
    """A room with boxes, balls, cans, rods and perhaps a fence in it.

    Seeds below `scenes.FIRST_VALIDATION_SEED` are for training, those from there on for tuning,
    and those from `scenes.FIRST_HELD_OUT_SEED` on for tests and evaluation.

    Parameters
    ----------
    seed : int
        The same seed and photographs make the same scene.
    intrinsics : CameraIntrinsics
    near, far : float
        Range of depth in metres within which everything seen lies.
    textureless_fraction : float
        About how much of the image shows plain surfaces, in [0, 0.5].
    photographs : sequence of (H, W, 3) uint8 RGB, optional
        To texture with; `load_photographs` by default. An empty sequence gives patterns only,
        which do not depend on what is installed.

    Raises
    ------
    OptionError
        If the range of depth or the fraction is out of range.
    """
    if not (0.0 < near and 2.0 * near < far < np.inf):
        raise OptionError(
            f"scene from {near} m to {far} m; give 0 < near and a finite far above twice that"
        )
    if not 0.0 <= textureless_fraction <= 0.5:
        raise OptionError(f"textureless fraction {textureless_fraction} is not in [0, 0.5]")
    if photographs is None:
        photographs = load_photographs()
    return _Builder(seed, intrinsics, near, far, photographs).build(textureless_fraction)


class _Builder:
    def __init__(
        self,
        seed: int,
        camera: CameraIntrinsics,
        near: float,
        far: float,
        photographs: Sequence[ImageArray],
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._camera = camera
        self._near, self._far = near, far
        self._photographs = photographs
        # Slopes of the rays at the border of the image.
        self._left, self._right = -camera.cx / camera.fx, (camera.width - camera.cx) / camera.fx
        self._up, self._down = -camera.cy / camera.fy, (camera.height - camera.cy) / camera.fy

    def build(self, textureless_fraction: float) -> Scene:
        wall = self._wall()
        room: list[Primitive] = [wall]
        floor = self._rng.uniform(0.15, 0.32) * self._far * self._down
        if self._rng.random() < 0.85:
            tilt = np.deg2rad(90.0 + self._rng.uniform(-4.0, 4.0))
            room.append(
                Rectangle(
                    (0.0, floor, 0.0),
                    (np.inf, np.inf),
                    orientation=rotation(
                        pitch=float(tilt), roll=float(np.deg2rad(self._rng.uniform(-4.0, 4.0)))
                    ),
                )
            )
        if self._rng.random() < 0.4:
            room.append(self._side_wall())
        things = self._things(floor if len(room) > 1 else np.inf, wall.centre[2])
        thin = self._thin_structures(wall.centre[2])
        plain, patch = self._choose_plain(room, things, thin, textureless_fraction)

        rng = self._rng
        parts = [self._textured(shape, 0.5 * (self._near + self._far)) for shape in room]
        if patch is not None:
            parts.append(Part(patch, random_colour(rng)))
        for number, shape in enumerate(things):
            if number in plain:
                parts.append(Part(shape, random_colour(rng)))
            else:
                parts.append(self._textured(shape, shape.centre[2]))
        for group in thin:
            texture = random_texture(rng, group[0].centre[2] / self._camera.fx)
            parts.extend(Part(rod, texture) for rod in group)
        light = (float(rng.uniform(-0.8, 0.8)), -0.8, -0.6)
        return Scene(tuple(parts), self._camera, light=light)

    def _textured(self, shape: Primitive, depth: float) -> Part:
        texel = depth / self._camera.fx * self._rng.uniform(0.8, 1.6)
        return Part(shape, random_texture(self._rng, texel, self._photographs))

    def _wall(self) -> Rectangle:
        yaw, pitch = np.deg2rad(self._rng.uniform((-25.0, -8.0), (25.0, 8.0)))
        # As far back as keeps every corner of the image nearer than `far`.
        steepest = max(abs(self._left), self._right) * np.tan(abs(yaw))
        steepest += max(abs(self._up), self._down) * np.tan(abs(pitch)) / np.cos(yaw)
        depth = self._far * self._rng.uniform(0.8, 1.0) * (1.0 - min(steepest, 0.6))
        turn = rotation(yaw=float(yaw), pitch=float(pitch))
        return Rectangle((0.0, 0.0, float(depth)), (np.inf, np.inf), orientation=turn)

    def _side_wall(self) -> Rectangle:
        side = self._rng.choice((-1.0, 1.0))
        edge = self._right if side > 0 else self._left
        offset = self._rng.uniform(0.25, 0.5) * self._far * edge
        yaw = np.deg2rad(90.0 + self._rng.uniform(-10.0, 10.0))
        turn = rotation(yaw=float(yaw))
        return Rectangle((float(offset), 0.0, 0.0), (np.inf, np.inf), orientation=turn)

    def _depths(self, count: int, wall: float) -> NDArray[np.float64]:
        """Depths spread over the range evenly in dioptres, with jitter, metres."""
        low, high = 1.0 / (0.9 * wall), 1.0 / (1.05 * self._near)
        steps = (np.arange(count) + self._rng.uniform(0.0, 1.0, size=count)) / count
        return np.asarray(1.0 / (low + steps * (high - low)))

    def _place(self, depth: float) -> Vector:
        x = self._rng.uniform(0.9 * self._left, 0.9 * self._right) * depth
        y = self._rng.uniform(0.8 * self._up, 0.8 * self._down) * depth
        return float(x), float(y), float(depth)

    def _things(self, floor: float, wall: float) -> list[Primitive]:
        rng = self._rng
        things: list[Primitive] = []
        for front in self._depths(int(rng.integers(5, 9)), wall).tolist():
            thing = self._thing(front, floor)
            corners = thing.corners()
            assert corners is not None
            x, y, z = thing.centre
            z += front - float(corners[:, 2].min())
            if z < wall:
                things.append(dataclasses.replace(thing, centre=(x, y, z)))
        return things

    def _thing(self, depth: float, floor: float) -> Primitive:
        """A box, a ball or a can about a depth, on the floor where that is in the picture."""
        rng = self._rng
        half = float(rng.uniform(0.12, 0.32) * self._right * depth)
        x, y, z = self._place(depth)
        stands = floor < 0.95 * self._down * (depth + half)
        kind = rng.random()
        if kind < 0.4:
            size = 2.0 * half * rng.uniform((0.5, 0.6, 0.4), (1.2, 1.6, 1.0))
            width, height, length = size.tolist()
            yaw = float(rng.uniform(0.0, np.pi))
            turn = rotation(yaw) if stands else rotation(yaw, *rng.uniform(-0.6, 0.6, 2))
            y = floor - height / 2 if stands else y
            return Box((x, y, z), (width, height, length), orientation=turn)
        if kind < 0.7:
            radius = half * float(rng.uniform(0.7, 1.1))
            turn = rotation(*rng.uniform(0.0, np.pi, 3))
            return Sphere((x, floor - radius if stands else y, z), radius, orientation=turn)
        length = 2.0 * half * float(rng.uniform(0.8, 1.8))
        tilted = (float(rng.normal()), float(rng.normal()), float(0.5 * rng.normal()))
        turn = rotation_onto((0.0, 1.0, 0.0) if stands else tilted)
        y = floor - length / 2 if stands else y
        return Cylinder((x, y, z), half * float(rng.uniform(0.4, 0.7)), length, orientation=turn)

    def _thin_structures(self, wall: float) -> list[list[Cylinder]]:
        """Groups of rods; the rods of one group are made of one material."""
        rng = self._rng
        groups = []
        for depth in self._depths(int(rng.integers(2, 5)), 0.9 * wall):
            radius = float(depth / self._camera.fx * rng.uniform(1.0, 4.0))
            length = float(2.0 * depth * (self._right - self._left))
            across = (float(rng.normal()), float(rng.normal()), float(0.3 * rng.normal()))
            turn = rotation_onto(across)
            # A rod that leans towards the camera must not come nearer than the range.
            lean = abs(float(turn[2, 1]))
            length = min(length, 1.6 * (depth - self._near) / max(lean, 0.05))
            if length > 20.0 * radius:
                groups.append([Cylinder(self._place(depth), radius, length, orientation=turn)])
        if rng.random() < 0.5:
            groups.append(self._fence(float(self._depths(1, 0.9 * wall)[0])))
        return groups

    def _fence(self, depth: float) -> list[Cylinder]:
        rng = self._rng
        pixel = depth / self._camera.fx
        radius, spacing = float(pixel * rng.uniform(1.0, 3.0)), float(pixel * rng.uniform(18, 40))
        count = int(rng.integers(5, 11))
        height = float(rng.uniform(0.5, 1.2) * depth * self._down)
        x, y, z = self._place(depth)
        yaw = float(rng.uniform(-0.5, 0.5)) if depth > 1.5 * self._near else 0.0
        along = rotation(yaw)[:, 0]
        offsets = (np.arange(count) - (count - 1) / 2) * spacing
        posts = [
            Cylinder((x + float(along[0]) * o, y, z + float(along[2]) * o), radius, height)
            for o in offsets.tolist()
        ]
        bar = rotation_onto((float(along[0]), 0.0, float(along[2])))
        for level in (-0.35, 0.35):
            centre = (x, y + level * height, z)
            posts.append(Cylinder(centre, radius, spacing * count, orientation=bar))
        return posts

    def _choose_plain(
        self,
        room: Sequence[Primitive],
        things: Sequence[Primitive],
        thin: Sequence[Sequence[Primitive]],
        fraction: float,
    ) -> tuple[set[int], Rectangle | None]:
        """Which things are plain, and a plain patch on the wall, to cover about `fraction`."""
        if fraction == 0.0:
            return set(), None
        shapes = [*room, *things, *(rod for group in thin for rod in group)]
        white = np.ones(3, dtype=np.float32)
        camera = _coarse(self._camera)
        view = Scene(tuple(Part(shape, white) for shape in shapes), camera).view()
        area = np.bincount(view.part.ravel(), minlength=len(shapes)) / view.part.size
        plain: set[int] = set()
        missing = fraction
        for number in self._rng.permutation(len(things)).tolist():
            share = float(area[len(room) + number])
            # Few of them: most things, the near ones above all, must have a depth to be found.
            if 0.005 < share <= 0.7 * missing and len(plain) < max(len(things) // 3, 1):
                plain.add(number)
                missing -= share
        patch = self._plain_patch(room[0], view.depth, view.part == 0, missing)
        return plain, patch

    def _plain_patch(
        self, wall: Primitive, depth: NDArray[np.float32], seen: NDArray[np.bool_], share: float
    ) -> Rectangle | None:
        """A patch a little before the wall, of which about `share` of the image is seen."""
        rows, columns = np.nonzero(seen)
        if not rows.size:
            return None
        camera = _coarse(self._camera)
        chosen = int(self._rng.integers(rows.size))
        row, column = int(rows[chosen]), int(columns[chosen])
        z = float(depth[row, column]) - 0.004
        centre = ((column - camera.cx) / camera.fx * z, (row - camera.cy) / camera.fy * z, z)
        ratio = float(self._rng.uniform(0.6, 1.6))
        wanted = share * seen.size
        best, best_error = None, np.inf
        for side in np.geomspace(0.5, 4.0, 13) * np.sqrt(wanted) * z / camera.fx:
            size = (float(side * ratio), float(side / ratio))
            patch = Rectangle(centre, size, orientation=wall.orientation)
            found = Scene((Part(patch, np.ones(3, np.float32)),), camera).view().part == 0
            error = abs(np.count_nonzero(found & seen) - wanted)
            if error < best_error:
                best, best_error = patch, error
        return best


def _coarse(camera: CameraIntrinsics) -> CameraIntrinsics:
    scale = min(_COARSE_WIDTH / camera.width, 1.0)
    return CameraIntrinsics(
        width=max(round(camera.width * scale), 1),
        height=max(round(camera.height * scale), 1),
        fx=camera.fx * scale,
        fy=camera.fy * scale,
        cx=(camera.cx + 0.5) * scale - 0.5,
        cy=(camera.cy + 0.5) * scale - 0.5,
    )
