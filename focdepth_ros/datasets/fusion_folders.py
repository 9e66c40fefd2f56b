"""Multi-focus image fusion: folders of stacks in the layouts of StackMFF.

The code that makes the stacks and reads them: https://github.com/Xinzhe99/StackMFF-V2
(``make_datasets/make_dataset.py``, ``Dataloader.py``, README).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from focdepth_ros.datasets.base import ALL, Dataset, LabelledStack
from focdepth_ros.datasets.files import read_raw, read_rgb
from focdepth_ros.errors import DatasetError, StackFileError
from focdepth_ros.files.image_io import IMAGE_SUFFIXES
from focdepth_ros.stack import FloatImage, ImageArray
from focdepth_ros.stack_folder.reading import StackFolder
from focdepth_ros.stack_folder.slice_files import natural_order

_STACKS = ("image_stacks", "dof_stack", "image stack")
_DEPTHS = ("depth_maps", "depth")
_SHARP = "AiF"

#: Folders of images that are none of stacks.
NO_STACKS = frozenset({*_DEPTHS, _SHARP, "quantized_depth"})

_GREY_LEVELS = 256


class FusionFolders(Dataset):
    """Stacks without focus distances, of slices in the order of their numbers.

    The splits are the folders that are there; a root that holds the stacks itself has the
    split ``all``. By default the first that is there is opened.

    Depth maps are of 8 bits. The authors cut their range into as many parts as there are slices,
    and each slice is sharp in one part, the first in the darkest: the grey level is the place in
    the sweep. Blur being linear in dioptres, the inverse of the depth goes evenly with it here,
    ``depth = 256 / (1 + grey)``, in no unit and with `is_metric` False. The authors took inverse
    depths of Depth Anything V2 for all sets but NYU Depth V2, where grey is depth from its
    least to its greatest: there only the order of the slices is true, and near comes first.
    """

    name = "fusion_folders"
    title = "Multi-focus fusion folders (StackMFF)"
    homepage = "https://github.com/Xinzhe99/StackMFF-V2"
    licence = "that of the photographs; the code that makes the stacks says MIT"
    layout = "\n".join(
        (
            "[SPLIT/]STACK/NUMBER.png (or .jpg, .bmp)",
            "depth_maps/[SPLIT/]STACK.png (optional)",
            "[SPLIT/]image_stacks/STACK/NUMBER.png with [SPLIT/]depth_maps/STACK.png",
            "[SPLIT/]dof_stack/STACK/NUMBER.png, or 'image stack', with depth/STACK.png",
            "[SPLIT/]AiF/STACK.png (or .jpg; optional)",
        )
    )
    measured = "photographs blurred by monocular depth; real cameras in some test sets"
    splits = ("train", "val", "test", ALL)

    def __init__(self, root: Path | str, split: str | None = None) -> None:
        if split is None:
            split = next((name for name in self.splits if (Path(root) / name).is_dir()), ALL)
        super().__init__(root, split)

    def _find_scenes(self) -> Sequence[str]:
        self._place = self.root if self.split == ALL else self.root / self.split
        self._stacks = _first_folder(self._place / name for name in _STACKS) or self._place
        if not self._stacks.is_dir():
            return ()
        names = (path.name for path in self._stacks.iterdir() if _holds_images(path))
        return sorted((name for name in names if name not in NO_STACKS), key=natural_order)

    def _load(self, scene: str) -> LabelledStack:
        try:
            stack = StackFolder.open(self._stacks / scene).load()
        except StackFileError as error:
            raise DatasetError(str(error)) from error
        return LabelledStack(
            name=scene,
            stack=stack,
            depth=self._depth(scene),
            is_metric=False,
            all_in_focus=self._all_in_focus(scene),
        )

    def _depth(self, scene: str) -> FloatImage | None:
        beside = () if self.split == ALL else (self.root / _DEPTHS[0] / self.split,)
        folder = _first_folder((*beside, *(self._place / name for name in _DEPTHS)))
        if folder is None:
            return None
        return read_grey_depth(folder / f"{scene}.png")

    def _all_in_focus(self, scene: str) -> ImageArray | None:
        folder = self._place / _SHARP
        if not folder.is_dir():
            return None
        names = (f"{scene}{suffix}" for suffix in (".png", ".jpg", ".bmp"))
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        return read_rgb(found or folder / f"{scene}.png")


def read_grey_depth(path: Path) -> FloatImage:
    """Depth (H, W) in no unit, from 1 to 256, of a map of 8 bits; see `FusionFolders`.

    Raises
    ------
    DatasetError
        If the file cannot be read or holds something else.
    """
    grey = read_raw(path)
    if grey.dtype != np.uint8:
        raise DatasetError(f"{path}: holds {grey.dtype} values; expected 8-bit grey levels")
    return np.float32(_GREY_LEVELS) / (1.0 + grey.astype(np.float32))


def _first_folder(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_dir()), None)


def _holds_images(path: Path) -> bool:
    return path.is_dir() and any(
        inside.suffix.lower() in IMAGE_SUFFIXES for inside in path.iterdir()
    )
