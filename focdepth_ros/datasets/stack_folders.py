"""Focal stack folders of one's own, as ``focdepth simulate`` and `save_stack` write them."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.datasets.files import read_rgb
from focdepth_ros.errors import DatasetError, StackFileError
from focdepth_ros.files.image_io import IMAGE_SUFFIXES
from focdepth_ros.stack_folder.description import STACK_YAML
from focdepth_ros.stack_folder.reading import StackFolder
from focdepth_ros.stack_folder.slice_files import natural_order

_MOST_LEVELS = 3  # below the root


class StackFolders(Dataset):
    """A focal stack folder, or a folder of such, up to three levels deep.

    A scene is a folder with a ``stack.yaml`` or at least two images with a number in their
    names; what lies within it is not looked at. Its name is its path below the root. Lens,
    intrinsics, focus distances and ground truth are those of its ``stack.yaml``: without focus
    distances the stack is relative, without ``depth:`` there is no truth, and without
    ``all_in_focus:`` no true all-in-focus image.
    """

    name = "stack_folders"
    title = "Focal stack folders"
    homepage = "your own camera, or `focdepth simulate`"
    licence = "your own, or that of who made them"
    layout = "\n".join(
        (
            "[GROUP/[GROUP/]][STACK/]stack.yaml",
            "[GROUP/[GROUP/]][STACK/]NUMBER.png (or another image format)",
        )
    )
    measured = "whatever camera made them"

    def _find_scenes(self) -> Sequence[str]:
        self._folders = stacks_below(self.root) if self.root.is_dir() else {}
        return tuple(self._folders)

    def _load(self, scene: str) -> LabelledStack:
        try:
            folder = StackFolder.open(self._folders[scene])
            sharp = None if folder.all_in_focus is None else read_rgb(folder.all_in_focus)
            return LabelledStack(scene, folder.load(), folder.ground_truth(), all_in_focus=sharp)
        except StackFileError as error:
            raise DatasetError(str(error)) from error


def stacks_below(
    root: Path, *, passing_over: Container[str] = (), any_images: bool = False
) -> dict[str, Path]:
    """The focal stack folders in a folder, up to three levels deep, by their paths below it.

    Parameters
    ----------
    root : Path
        If it is a stack itself it is the only one, under its own name.
    passing_over : container of str
        Names of folders that are not looked into.
    any_images : bool
        Whether a folder with images of which no two have numbers is one, too, unless there is
        one below it: whoever works on all stacks wants to hear of those that are damaged.
    """
    found = _stack_folders(root, _MOST_LEVELS, passing_over, any_images)
    return {_name_below(root, folder): folder for folder in found}


def _stack_folders(
    folder: Path, levels: int, passing_over: Container[str], any_images: bool
) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        is_folder = {entry.name: entry.is_dir() for entry in entries}
    images = [name for name in is_folder if not is_folder[name] and _is_image(name)]
    if STACK_YAML in is_folder or _are_slices(images):
        yield folder
        return
    is_leaf = True
    if levels > 0:
        for name in sorted(is_folder, key=natural_order):
            if is_folder[name] and not name.startswith(".") and name not in passing_over:
                for stack in _stack_folders(folder / name, levels - 1, passing_over, any_images):
                    is_leaf = False
                    yield stack
    if any_images and is_leaf and images:
        yield folder


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")


def _are_slices(images: Iterable[str]) -> bool:
    """Whether at least two of the images have a number in their names."""
    return sum(any(letter.isdigit() for letter in Path(name).stem) for name in images) >= 2


def _name_below(root: Path, folder: Path) -> str:
    return folder.relative_to(root).as_posix() if folder != root else root.resolve().name
