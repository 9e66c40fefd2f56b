"""DIODE, rooms and streets with dense depths by a laser scanner."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.datasets.files import read_rgb
from focdepth_ros.datasets.rgbd import Photograph, RgbdDataset
from focdepth_ros.errors import DatasetError

_HALF_FIELD = (math.radians(30.0), math.radians(22.5))  # of view, across and down

_PICTURE, _DEPTH, _MASK = ".png", "_depth.npy", "_depth_mask.npy"


class Diode(RgbdDataset):
    """Pictures of 1024 x 768 cut out of panoramas of a laser scanner.

    A scene is one picture, named by its path below the folder of its part,
    ``indoors/scene_00019/scan_00183/00019_00183_indoors_000_010``. The parts are ``val`` and
    ``train``, and what is indoors or outdoor of each; the part to test on is not published.

    Depths are metres, known where the mask says that the laser came back. It is not stated whether
    they are along the axis or along the ray of the pixel; they are taken as along the axis, as
    most do. Intrinsics are those of the authors, 886.81 and 927.06 px, which are 60 by 45 degrees
    of view. A user has found that walls stand at right angles with 42.3 by 32.4 degrees instead
    (issue 20 of the authors' repository, not answered).

    References
    ----------
    Vasiljevic et al., "DIODE: A Dense Indoor and Outdoor DEpth Dataset", arXiv 1908.00463, 2019.
    """

    name = "diode"
    title = "DIODE: A Dense Indoor and Outdoor DEpth Dataset"
    homepage = "https://diode-dataset.org"
    licence = "MIT"
    layout = (
        "{val,train}/{indoors,outdoor}/scene_*/scan_*/*.png with *_depth.npy and *_depth_mask.npy"
    )
    measured = "depth by a laser scanner (FARO Focus S350), stacks rendered"
    splits = ("val", "val_indoors", "val_outdoor", "train", "train_indoors", "train_outdoor")

    def photograph(self, scene: str) -> Photograph:
        """A picture."""
        picture = self._part / f"{scene}{_PICTURE}"
        image = read_rgb(picture)
        size = image.shape[0], image.shape[1]
        depth = _read_npy(self._part / f"{scene}{_DEPTH}", size).astype(np.float32)
        mask = _read_npy(self._part / f"{scene}{_MASK}", size)
        depth[~((mask > 0) & (depth > 0.0))] = np.nan
        height, width = size
        return Photograph(
            image=image,
            depth=depth,
            focal_px=_focal_px(width, _HALF_FIELD[0]),
            focal_px_down=_focal_px(height, _HALF_FIELD[1]),
            principal_point=(width / 2, height / 2),
        )

    def _find_scenes(self) -> list[str]:
        part, _, where = self.split.partition("_")
        self._part = self.root / part
        scans = sorted(self._part.glob(f"{where or '*'}/scene_*/scan_*"))
        return [scene for scan in scans for scene in self._scenes_of(scan)]

    def _scenes_of(self, scan: Path) -> list[str]:
        # Either file counts, so that a missing one is missed when it is read.
        stems = {
            path.name.removesuffix(end)
            for end in (_PICTURE, _DEPTH)
            for path in scan.glob(f"*{end}")
        }
        folder = scan.relative_to(self._part).as_posix()
        return [f"{folder}/{stem}" for stem in sorted(stems)]


def _focal_px(pixels: int, half_field: float) -> float:
    return 0.5 * pixels / math.tan(half_field)


def _read_npy(path: Path, size: tuple[int, int]) -> NDArray[Any]:
    """An array of NumPy of the size of the picture, (H, W); a last axis of 1 is dropped."""
    try:
        values: NDArray[Any] = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file; the dataset is not complete") from error
    except Exception as error:  # a damaged header makes NumPy raise whatever its parser does
        raise DatasetError(f"{path}: cannot be read as a NumPy array; download it again") from error
    if values.shape not in (size, (*size, 1)) or values.dtype.kind not in "fiub":
        raise DatasetError(
            f"{path}: holds {values.dtype} of shape {values.shape}; expected numbers of the size "
            f"of the picture, {size}"
        )
    return values.reshape(size)
