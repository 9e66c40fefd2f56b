"""The camera that is simulated unless another is asked for.

A 16 mm f/1.4 lens on a one-inch sensor whose pixels are binned to 640 x 480: wide open and
close up, as a camera chosen for depth from focus would be. Its focus goes from 0.4 m to 4 m.
"""

from __future__ import annotations

from focdepth_ros.optics import sweep_distances
from focdepth_ros.stack import CameraIntrinsics, Lens

DEFAULT_LENS = Lens(focal_length=16e-3, f_number=1.4, pixel_pitch=20e-6)

DEFAULT_INTRINSICS = CameraIntrinsics(
    width=640,
    height=480,
    fx=DEFAULT_LENS.focal_length / DEFAULT_LENS.pixel_pitch,
    fy=DEFAULT_LENS.focal_length / DEFAULT_LENS.pixel_pitch,
    cx=319.5,
    cy=239.5,
)

DEFAULT_FOCUS_DISTANCES: tuple[float, ...] = tuple(sweep_distances(0.4, 4.0, 10).tolist())
