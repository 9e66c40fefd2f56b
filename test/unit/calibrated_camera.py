"""A simulated camera whose lens positions mean something nonlinear, as those of a voice coil."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

from focdepth_ros.files.image_io import write_image
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.simulation import RenderOptions, render_rgbd
from focdepth_ros.stack import Lens, Slice

LENS = Lens(focal_length=12e-3, f_number=1.4, pixel_pitch=20e-6)
POSITIONS = np.arange(0.0, 256.0, 10.0)
TARGETS = tuple(1.0 / d for d in np.linspace(0.5, 4.0, 8))
#: A tenth of the light of the default camera and more read noise; the light flickers.
NOISY = RenderOptions(full_well=1000.0, read_noise=10.0, flicker=0.05)


def true_dioptres(positions: ArrayLike) -> NDArray[np.float64]:
    """What the positions mean: 0.2 to 4.5 dioptres, in steps that grow to nearly threefold."""
    share = np.asarray(positions, np.float64) / 255.0
    return 0.2 + 4.3 * (0.55 * share + 0.45 * share**2)


def true_map() -> LensMap:
    positions = np.linspace(0.0, 255.0, 60)
    return LensMap(tuple(positions.tolist()), tuple(true_dioptres(positions).tolist()))


def worst_error(lens_map: LensMap) -> float:
    """Largest relative error of a map in dioptres, over all positions that it knows."""
    positions = np.linspace(*lens_map.range, 500)
    return float(np.abs(lens_map.to_dioptres(positions) / true_dioptres(positions) - 1.0).max())


@lru_cache(maxsize=64)
def target_slices(
    distance: float, seed: int = 0, options: RenderOptions = NOISY, size: int = 96
) -> tuple[Slice, ...]:
    """A sweep over a flat target, by position."""
    return sweep_slices(np.full((size * 3 // 4, size), distance, np.float32), seed, options)


def sweep_slices(
    depth: NDArray[np.float32],
    seed: int = 0,
    options: RenderOptions = NOISY,
    positions: Sequence[float] = tuple(POSITIONS),
) -> tuple[Slice, ...]:
    """A sweep of a random texture at this depth, near to far as a stack, each at its position."""
    image = np.random.default_rng(seed).integers(0, 256, (*depth.shape, 3), dtype=np.uint8)
    distances = (1.0 / true_dioptres(positions)).tolist()
    stack = render_rgbd(image, depth, None, LENS, distances, options=options, seed=seed).stack
    found = [int(np.abs(true_dioptres(positions) - s.dioptre).argmin()) for s in stack.slices]
    slices = [
        Slice(item.image, item.focus_distance, lens_position=positions[i])
        for item, i in zip(stack.slices, found, strict=True)
    ]
    return tuple(sorted(slices, key=lambda item: item.lens_position or 0.0))


def write_sweep(folder: Path, slices: Sequence[Slice], **description: object) -> None:
    """Images with their position in the name, and what else is known in ``stack.yaml``."""
    folder.mkdir(parents=True)
    for item in slices:
        write_image(folder / f"focus_{item.lens_position:05.1f}.png", item.image)
    if description:
        (folder / "stack.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")


def write_targets(folder: Path, distances: Sequence[float] = TARGETS) -> None:
    for seed, distance in enumerate(distances):
        write_sweep(folder / f"{distance:.4f}m", target_slices(distance, seed))
