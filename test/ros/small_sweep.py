"""A focus sweep that is quick to render and to work on, with known depth."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from focdepth_ros.optics import sweep_distances
from focdepth_ros.simulation import SimulatedStack, render_rgbd
from focdepth_ros.stack import CameraIntrinsics, Lens

HEIGHT, WIDTH = 120, 160
INTRINSICS = CameraIntrinsics(width=WIDTH, height=HEIGHT, fx=200.0, fy=210.0, cx=80.5, cy=57.25)
LENS = Lens(focal_length=16e-3, f_number=1.4, pixel_pitch=20e-6)


def slope() -> tuple[np.ndarray, np.ndarray]:
    """A textured slope from 0.6 m at the left to 2.4 m at the right: picture and depth."""
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    dioptres = np.linspace(1.0 / 0.6, 1.0 / 2.4, WIDTH)
    return image, np.tile((1.0 / dioptres).astype(np.float32), (HEIGHT, 1))


@lru_cache(maxsize=1)
def small_sweep() -> SimulatedStack:
    """The slope in eight slices."""
    image, depth = slope()
    distances = sweep_distances(0.5, 3.0, 8)
    return render_rgbd(image, depth, INTRINSICS, LENS, distances.tolist())
