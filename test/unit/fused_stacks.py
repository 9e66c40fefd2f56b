"""Stacks and pairs for the tests of `focdepth fuse`, and what it writes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from synthetic_sweeps import blurred, texture, two_surfaces

from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack import ImageArray

SIZE = (72, 96)
RELATIVE_FILES = {
    "all_in_focus.png",
    "slice_index.npy",
    "index.png",
    "depth_preview.png",
    "result.json",
}
METRIC_FILES = RELATIVE_FILES | {"depth.npy", "depth.png"}


def sharp(*, mono: bool = False) -> ImageArray:
    return texture(SIZE, mono=mono)


def error(image: ImageArray, truth: ImageArray) -> float:
    """Mean squared error in grey levels squared."""
    return float(np.mean(np.square(image.astype(float) - truth)))


def write_slices(folder: Path, *, mono: bool = False, names: Sequence[str] = ()) -> Path:
    """A relative stack of two surfaces, sharp in the images 1 and 5."""
    folder.mkdir(parents=True)
    slices = two_surfaces(size=SIZE, mono=mono)
    for name, item in zip(names or [f"{i}.png" for i in range(len(slices))], slices, strict=True):
        write_image(folder / name, item.image)
    return folder


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Two images, of which one is sharp on the left and the other on the right."""
    folder.mkdir(exist_ok=True)
    half = SIZE[1] // 2
    left, right = sharp().copy(), sharp().copy()
    left[:, half:] = blurred(sharp(), 3.0)[:, half:]
    right[:, :half] = blurred(sharp(), 3.0)[:, :half]
    write_image(folder / "b.png", left)
    write_image(folder / "a.png", right)
    return folder / "b.png", folder / "a.png"


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def result_of(output: Path) -> dict[str, object]:
    content = json.loads((output / "result.json").read_text())
    assert isinstance(content, dict)
    return content


def write_dataset(root: Path) -> Path:
    """Two stacks in the layout of the fusion networks, with depth maps and sharp images."""
    for name in ("scene2", "scene10"):
        write_slices(root / "test" / "image_stacks" / name)
        for beside in ("depth_maps", "AiF"):
            (root / "test" / beside).mkdir(exist_ok=True)
            write_image(root / "test" / beside / f"{name}.png", np.zeros(SIZE, np.uint8))
    return root
