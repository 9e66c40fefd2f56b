"""Focal stack folders by the lens positions of their images: told by ``stack.yaml`` or by names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from focdepth_ros.errors import StackFileError
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.stack_folder.description import STACK_YAML, check_focus_distances
from focdepth_ros.stack_folder.reading import StackFolder

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def with_lens_positions(folder: StackFolder) -> StackFolder:
    """The folder with its lens positions, from the names of its images where no list has them.

    ``focus_120.png`` is at position 120: the names differ in one number only, and that is it.

    Raises
    ------
    StackFileError
        If the names do not tell either.
    """
    if folder.lens_positions is not None:
        return folder
    try:
        positions = positions_in_names([path.stem for path in folder.images])
    except ValueError as error:
        raise StackFileError(
            f"{folder.path}: at which lens positions the images were taken is not known: {error}; "
            f"give lens_positions in {STACK_YAML}, one per image"
        ) from error
    return replace(folder, lens_positions=positions)


def positions_in_names(names: Sequence[str]) -> tuple[float, ...]:
    """Lens positions from the names of images without their suffix.

    Raises
    ------
    ValueError
        If not exactly one number is different in them, or it only counts them.
    """
    rows = [[float(text) for text in _NUMBER.findall(name)] for name in names]
    if len({len(row) for row in rows}) != 1:
        raise ValueError("their names have different numbers of numbers")
    columns = [column for column in zip(*rows, strict=True) if len(set(column)) > 1]
    if len(columns) != 1:
        raise ValueError(
            f"their names, like '{names[0]}', differ in {len(columns)} numbers, which should be 1"
        )
    positions = columns[0]
    if np.all(np.diff(sorted(positions)) == 1.0) and min(positions) <= 1.0:
        raise ValueError(f"the number in names like '{names[0]}' seems to count them only")
    return positions


def with_lens_map(folder: StackFolder, lens_map: LensMap) -> StackFolder:
    """The folder with the focus distances that its lens positions stand for.

    Images at positions that the map does not know are left out.

    Raises
    ------
    StackFileError
        If there are no lens positions, or fewer than two that the map knows.
    """
    folder = with_lens_positions(folder)
    assert folder.lens_positions is not None
    positions = folder.lens_positions
    dioptres = lens_map.to_dioptres(positions)
    known = np.flatnonzero(np.isfinite(dioptres)).tolist()
    if len(known) < 2:
        low, high = lens_map.range
        raise StackFileError(
            f"{folder.path}: of its lens positions, {min(positions):g} to {max(positions):g}, the "
            f"lens map knows {len(known)}: it covers {low:g} to {high:g}; is it of this camera?"
        )
    with np.errstate(divide="ignore"):
        distances = (1.0 / dioptres[known]).tolist()
    images = tuple(folder.images[i] for i in known)
    outside = (path.name for path in folder.images if path not in images)
    return replace(
        folder,
        images=images,
        focus_distances=check_focus_distances(distances, images, f"{folder.path} by the lens map"),
        lens_positions=tuple(positions[i] for i in known),
        reference=known.index(folder.reference) if folder.reference in known else 0,
        left_out=(*folder.left_out, *outside),
    )
