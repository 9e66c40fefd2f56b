"""Which files of a focal stack folder are its slices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from focdepth_ros.errors import StackFileError
from focdepth_ros.files.image_io import IMAGE_SUFFIXES
from focdepth_ros.stack_folder.description import STACK_YAML

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)")


def list_folder(folder: Path) -> list[str]:
    """Names of the files in a folder.

    Raises
    ------
    StackFileError
        If there is no such folder, or it cannot be listed.
    """
    if not folder.exists():
        raise StackFileError(f"{folder}: no such folder; give the folder of a focal stack")
    if not folder.is_dir():
        raise StackFileError(f"{folder}: not a folder; give the folder that holds the images")
    try:
        return [entry.name for entry in folder.iterdir() if entry.is_file()]
    except OSError as error:
        raise StackFileError(
            f"{folder}: cannot be listed: {error.strerror}; check its permissions"
        ) from error


def check_listed_slices(folder: Path, names: Sequence[str], truths: Mapping[str, Path]) -> None:
    """Make sure that the images which ``stack.yaml`` lists are there, and are slices.

    Raises
    ------
    StackFileError
        If there are fewer than two, one is missing, or one is among the `truths`, which are by key.
    """
    if len(names) < 2:
        raise StackFileError(
            f"{folder / STACK_YAML}: {len(names)} images listed; a focal stack needs at least 2"
        )
    for name in names:
        if not (folder / name).is_file():
            raise StackFileError(
                f"{folder / name}: no such file, but {STACK_YAML} lists it under images; "
                "add the file or correct the list"
            )
        for key, truth in truths.items():
            if folder / name == truth:
                raise StackFileError(
                    f"{folder / STACK_YAML}: {name} is listed both under images and as {key}; "
                    "a ground truth is no slice"
                )


def check_given_slices(paths: Sequence[Path]) -> None:
    """Make sure that image files which are named one by one can be the slices of a stack.

    Raises
    ------
    StackFileError
        If there are fewer than two, one is not there or no file, or one is named twice.
    """
    for path in paths:
        if path.is_dir():
            raise StackFileError(f"{path}: a folder; give one folder alone, or image files")
        if not path.is_file():
            raise StackFileError(f"{path}: no such file; give the image files of a focal stack")
    if len(paths) < 2:
        given = f"{paths[0]}: 1 image" if paths else "0 images"
        raise StackFileError(f"{given} given; a focal stack needs at least 2, or give its folder")
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise StackFileError(f"{path}: given twice; name each image once")
        seen.add(path.resolve())


def choose_slices(names: Iterable[str], folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which pictures of a folder are the slices, where no list says so.

    They are the largest series of names that differ in their numbers only; where no such
    series has two members, all pictures of the commonest suffix.

    Parameters
    ----------
    names : iterable of str
        Files of the folder; those that are no images are passed over.
    folder : Path
        For the messages.

    Returns
    -------
    slices, left_out : tuple of str
        Sorted by the numbers in the names: ``2.png`` comes before ``10.png``.

    Raises
    ------
    StackFileError
        If there are fewer than two images, or two series of the same length.
    """
    images = sorted(
        (n for n in names if Path(n).suffix.lower() in IMAGE_SUFFIXES and not n.startswith(".")),
        key=natural_order,
    )
    if not images:
        raise StackFileError(
            f"{folder}: no images in it; give a folder of {', '.join(sorted(IMAGE_SUFFIXES))} files"
        )
    if len(images) == 1:
        raise StackFileError(
            f"{folder}: only one image in it, {images[0]}; a focal stack needs at least 2"
        )
    for family in (_series, _suffix):
        groups: dict[str, list[str]] = {}
        for name in images:
            groups.setdefault(family(name), []).append(name)
        largest = max(groups.values(), key=len)
        if len(largest) < 2:
            continue
        rivals = [key for key, group in groups.items() if len(group) == len(largest)]
        if len(rivals) > 1:
            break
        return tuple(largest), tuple(name for name in images if name not in largest)
    raise StackFileError(
        f"{folder}: which of {', '.join(images[:4])}{' …' if len(images) > 4 else ''} are the "
        f"slices is not clear; list them under images in {STACK_YAML}"
    )


def _series(name: str) -> str:
    return _NUMBER.sub("#", name.lower())


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def natural_order(name: str) -> list[Any]:
    """Sort key under which ``2.png`` comes before ``10.png``."""
    # Splitting gives text, number, text, ... so that only like is compared with like.
    parts = _NUMBER.split(name.lower())
    return [Decimal(part) if i % 2 else part for i, part in enumerate(parts)]
