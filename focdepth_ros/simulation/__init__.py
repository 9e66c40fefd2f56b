"""A simulated auto-focus camera: scenes with known depth, a thin-lens renderer, a camera.

Plain NumPy and OpenCV. Without it nothing could be tested where there is no camera, and no
real scene has depth known for every pixel.
"""

from focdepth_ros.simulation.camera import CameraFrame, SimulatedCamera
from focdepth_ros.simulation.default_camera import (
    DEFAULT_FOCUS_DISTANCES,
    DEFAULT_INTRINSICS,
    DEFAULT_LENS,
)
from focdepth_ros.simulation.random_scenes import random_scene
from focdepth_ros.simulation.random_sweeps import render_random_sweep
from focdepth_ros.simulation.renderer import (
    RenderOptions,
    SimulatedStack,
    render_rgbd,
    render_stack,
)
from focdepth_ros.simulation.scenes import Part, Scene

__all__ = [
    "DEFAULT_FOCUS_DISTANCES",
    "DEFAULT_INTRINSICS",
    "DEFAULT_LENS",
    "CameraFrame",
    "Part",
    "RenderOptions",
    "Scene",
    "SimulatedCamera",
    "SimulatedStack",
    "random_scene",
    "render_random_sweep",
    "render_rgbd",
    "render_stack",
]
