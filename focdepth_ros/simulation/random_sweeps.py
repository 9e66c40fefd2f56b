"""A random scene, the default lens and a sweep through it in one call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from focdepth_ros.geometry import intrinsics_from_lens
from focdepth_ros.optics import sweep_distances
from focdepth_ros.simulation.default_camera import DEFAULT_INTRINSICS, DEFAULT_LENS
from focdepth_ros.simulation.random_scenes import random_scene
from focdepth_ros.simulation.renderer import (
    RenderOptions,
    RenderProgress,
    SimulatedStack,
    render_stack,
)
from focdepth_ros.simulation.textures import load_photographs

_FARTHEST_THING = 20.0  # metres; where a sweep to infinity has its last wall
# The nearest thing is a little behind the first focus distance, so that a sweep finds it.
_SCENE_BEHIND_FOCUS = 1.05


def render_random_sweep(
    seed: int,
    *,
    slices: int = 10,
    near: float = 0.4,
    far: float = 4.0,
    width: int = DEFAULT_INTRINSICS.width,
    height: int = DEFAULT_INTRINSICS.height,
    textures: Path | None = None,
    options: RenderOptions | None = None,
    progress: RenderProgress | None = None,
) -> SimulatedStack:
    """Sweep of the default lens through the scene of a seed.

    Parameters
    ----------
    seed : int
        Of scene, noise and shake.
    slices : int
        Number of focus distances, evenly spaced in dioptres.
    near, far : float
        First and last focus distance in metres; the scene lies between them. `far` may be inf.
    width, height : int
        Of the images in pixels; the sensor keeps its width, so the field of view stays.
    textures : Path, optional
        Folder of photographs; by default see `load_photographs`.
    options : RenderOptions, optional
    progress : callable, optional
        Called with the number of steps that are done and the number of all; what it raises ends
        the work.

    Raises
    ------
    OptionError
        If a value is out of range.
    """
    distances = sweep_distances(near, far, slices)
    pitch = DEFAULT_LENS.pixel_pitch * DEFAULT_INTRINSICS.width / width
    lens = replace(DEFAULT_LENS, pixel_pitch=pitch)
    scene = random_scene(
        seed,
        intrinsics=intrinsics_from_lens(lens, width, height),
        near=_SCENE_BEHIND_FOCUS * near,
        far=min(far, _FARTHEST_THING),
        photographs=load_photographs(textures),
    )
    return render_stack(
        scene, lens, distances.tolist(), options=options, seed=seed, progress=progress
    )
