"""Sets of focal stacks with known depth, rendered when asked for and kept in a folder.

``sim`` (seeds from 1000 on), ``middlebury``, ``7scenes`` and ``icl`` are held out: nothing may be
tuned or trained on them. While something is developed, ``val_sim`` (seeds from 900 on) and
``val_middlebury`` take their place. The sweeps (`sweep_sets`) change one thing each about the
simulated camera: the number of slices, the size of the image, where the sweep goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rgbd_stacks import (
    ICL,
    MIDDLEBURY,
    SEVEN_SCENES,
    RgbdScene,
    icl_scenes,
    middlebury_scenes,
    seven_scenes,
)

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.optics import sweep_distances
from focdepth_ros.simulation import (
    DEFAULT_FOCUS_DISTANCES,
    DEFAULT_LENS,
    SimulatedStack,
    random_scene,
    render_random_sweep,
    render_stack,
)
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED, FIRST_VALIDATION_SEED
from focdepth_ros.stack import CameraIntrinsics, FloatImage, FocalStack, Lens, Slice

HELD_OUT_SETS = ("sim", "middlebury", "7scenes", "icl")
VALIDATION_SETS = ("val_sim", "val_middlebury")

_SWEEP_SLICES = 10
_NEAR, _FAR = 0.4, 4.0  # m
_BEHIND_FOCUS = 1.05  # of the nearest thing, over the first focus distance
_BLUR_DIAMETER = 24.0  # px, of the near end in the slice focused at the far end


@dataclass(frozen=True)
class StackCase:
    """One focal stack of a set, not yet rendered.

    Parameters
    ----------
    kind, name : str
        The set, and the stack within it; together they are the place in the cache.
    render : callable
    """

    kind: str
    name: str
    render: Callable[[], SimulatedStack | LabelledStack]

    def load(self, cache: Path | None = None) -> tuple[FocalStack, FloatImage]:
        """The stack and its depth in metres, from the cache if it is there.

        Parameters
        ----------
        cache : Path, optional
            Folder in which stacks are kept as ``<set>/<name>.npz``. What is there is taken as it
            is: empty the folder when what is rendered changes.
        """
        if cache is None:
            simulated = self.render()
            return simulated.stack, simulated.depth
        path = cache / self.kind.replace(" ", "_") / f"{self.name}.npz"
        if not path.exists():
            simulated = self.render()
            path.parent.mkdir(parents=True, exist_ok=True)
            _save(path, simulated.stack, simulated.depth)
        return _load(path)


def stack_set(kind: str, rgbd: Path | None, scenes: int) -> Iterator[StackCase]:
    """The stacks of a set.

    Parameters
    ----------
    kind : str
        One of `HELD_OUT_SETS` or `VALIDATION_SETS`.
    rgbd : Path or None
        Folder with the sets of photographs with depth.
    scenes : int
        Most that there are to be.

    Raises
    ------
    FileNotFoundError
        If the photographs of the set are not there.
    """
    if kind in ("sim", "val_sim"):
        first = FIRST_HELD_OUT_SEED if kind == "sim" else FIRST_VALIDATION_SEED
        for seed in range(first, first + scenes):
            yield StackCase(kind, str(seed), partial(_default_sweep, seed))
        return
    folder_name, read = _RGBD_SETS[kind]
    if rgbd is None:
        raise FileNotFoundError("no folder of photographs with depth is given")
    if not (rgbd / folder_name).is_dir():
        raise FileNotFoundError(f"there is no folder {rgbd / folder_name}")
    for scene in islice(read(rgbd / folder_name), scenes):
        yield StackCase(kind, scene.name, scene.render)


def sweep_sets(
    slices: Sequence[int], sizes: Sequence[tuple[int, int]], *, ranges: bool, scenes: int
) -> dict[str, list[StackCase]]:
    """Simulated scenes, held out, seen by other cameras.

    Parameters
    ----------
    slices : sequence of int
        Numbers of slices.
    sizes : sequence of (width, height)
        In pixels.
    ranges : bool
        Whether to add sweeps over other ranges, and unevenly spaced ones.
    scenes : int
        Stacks of each.
    """
    cameras: dict[str, Callable[[int], SimulatedStack]] = {}
    for count in slices:
        cameras[f"{count} slices"] = partial(render_random_sweep, slices=count)
    for width, height in sizes:
        cameras[f"{width}x{height}"] = partial(render_random_sweep, width=width, height=height)
    if ranges:
        cameras |= _OTHER_SWEEPS
    seeds = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + scenes)
    return {
        kind: [StackCase(kind, str(seed), partial(render, seed)) for seed in seeds]
        for kind, render in cameras.items()
    }


_RGBD_SETS: dict[str, tuple[str, Callable[[Path], Iterator[RgbdScene]]]] = {
    "middlebury": (MIDDLEBURY, lambda folder: middlebury_scenes(folder, held_out=True)),
    "val_middlebury": (MIDDLEBURY, lambda folder: middlebury_scenes(folder, held_out=False)),
    "7scenes": (SEVEN_SCENES, seven_scenes),
    "icl": (ICL, icl_scenes),
}


def _default_sweep(seed: int) -> SimulatedStack:
    return render_stack(random_scene(seed), DEFAULT_LENS, DEFAULT_FOCUS_DISTANCES, seed=seed)


def _sweep_at(seed: int, focus_distances: NDArray[np.float64]) -> SimulatedStack:
    """A scene within the given distances, with the aperture that gives 24 px of blur."""
    near, far = float(focus_distances[0]), float(focus_distances[-1])
    lens = DEFAULT_LENS
    reach = (1 / near - 1 / far) / (1 - lens.focal_length / far)
    f_number = lens.focal_length**2 * reach / (lens.pixel_pitch * _BLUR_DIAMETER)
    scene = random_scene(seed, near=_BEHIND_FOCUS * near, far=far)
    return render_stack(
        scene, replace(lens, f_number=f_number), focus_distances.tolist(), seed=seed
    )


def _uneven_distances(seed: int) -> NDArray[np.float64]:
    """Distances whose steps in dioptres differ by up to five times, metres."""
    steps = np.random.default_rng(seed).uniform(1.0, 5.0, _SWEEP_SLICES - 1)
    place = np.concatenate(([0.0], np.cumsum(steps))) / steps.sum()
    return np.asarray(1.0 / (1 / _NEAR + place * (1 / _FAR - 1 / _NEAR)))


_OTHER_SWEEPS: dict[str, Callable[[int], SimulatedStack]] = {
    "0.08-0.25 m": lambda seed: _sweep_at(seed, sweep_distances(0.08, 0.25, _SWEEP_SLICES)),
    "5-100 m": lambda seed: _sweep_at(seed, sweep_distances(5.0, 100.0, _SWEEP_SLICES)),
    "even in log m": lambda seed: _sweep_at(seed, np.geomspace(_NEAR, _FAR, _SWEEP_SLICES)),
    "uneven steps": lambda seed: _sweep_at(seed, _uneven_distances(seed)),
}


def _save(path: Path, stack: FocalStack, depth: FloatImage) -> None:
    camera, lens = stack.intrinsics, stack.lens
    assert camera is not None
    assert lens is not None
    unfinished = path.with_suffix(".partial")
    with unfinished.open("wb") as file:  # a run that is ended must not leave half a stack
        np.savez(
            file,
            images=np.stack([item.image for item in stack.slices]),
            focus=stack.dioptres,
            depth=depth,
            lens=[lens.focal_length, lens.f_number, lens.pixel_pitch],
            camera=[camera.fx, camera.fy, camera.cx, camera.cy],
        )
    unfinished.replace(path)


def _load(path: Path) -> tuple[FocalStack, FloatImage]:
    with np.load(path) as saved:
        images, depth = saved["images"], saved["depth"]
        height, width = depth.shape
        slices = [
            Slice(image, 1.0 / dioptre if dioptre > 0.0 else float("inf"))
            for image, dioptre in zip(images, saved["focus"].tolist(), strict=True)
        ]
        intrinsics = CameraIntrinsics(width, height, *saved["camera"].tolist())
        return FocalStack(slices, intrinsics, Lens(*saved["lens"].tolist())), depth
