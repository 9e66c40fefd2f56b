"""Writing a focal stack as a folder that `reading` reads back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from focdepth_ros.errors import StackError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray
from focdepth_ros.stack_folder.description import STACK_YAML, StackDescription, write_description


def save_stack(
    folder: str | os.PathLike[str],
    stack: FocalStack,
    *,
    depth: FloatImage | None = None,
    all_in_focus: ImageArray | None = None,
) -> None:
    """Write a focal stack as a folder that `load_stack` reads back without loss.

    Stamps have no place in the format and are not kept. Lens positions are where all are known.

    Parameters
    ----------
    folder : path-like
        Made where missing; files of the same names are replaced.
    stack : FocalStack
    depth : (H, W) float32, optional
        Ground truth in metres, NaN where not known.
    all_in_focus : (H, W, 3) uint8, optional
        The true picture that is sharp everywhere.

    Raises
    ------
    StackError
        If one of these is of another size than the slices.
    OSError
        If a file cannot be written.
    """
    for truth in (depth, all_in_focus):
        if truth is not None and truth.shape[:2] != stack.size:
            raise StackError(f"ground truth has shape {truth.shape}, the slices {stack.size}")
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    names = tuple(f"{i:03d}.png" for i in range(len(stack)))
    for name, item in zip(names, stack.slices, strict=True):
        write_image(path / name, item.image)
    if depth is not None:
        np.save(path / "depth.npy", depth.astype(np.float32, copy=False), allow_pickle=False)
    if all_in_focus is not None:
        write_image(path / "all_in_focus.png", all_in_focus)
    distances = [item.focus_distance for item in stack.slices if item.focus_distance is not None]
    positions = [item.lens_position for item in stack.slices if item.lens_position is not None]
    write_description(
        path / STACK_YAML,
        StackDescription(
            focus_distances=tuple(distances) if stack.is_metric else None,
            lens_positions=tuple(positions) if len(positions) == len(stack) else None,
            images=names,
            lens=stack.lens,
            intrinsics=stack.intrinsics,
            depth=None if depth is None else "depth.npy",
            all_in_focus=None if all_in_focus is None else "all_in_focus.png",
            reference=stack.reference,
        ),
    )
