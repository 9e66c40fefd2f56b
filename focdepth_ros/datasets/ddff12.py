"""DDFF 12-Scene: rooms photographed with a light field camera, depth by an RGB-D sensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.datasets.files import depth_from_disparity, member, open_hdf5
from focdepth_ros.errors import DatasetError
from focdepth_ros.stack import CameraIntrinsics, FocalStack, ImageArray, Lens, Slice

# The authors' calibration (ddff-toolbox: IntParamLF.mat, IntParamLF_SubAperture.mat).
_FOCAL_PX = 521.4052  # of a view of the light field
_PRINCIPAL_POINT = (285.11397, 187.82529)  # px
_VIEW_SIZE = (383, 552)  # height and width in px
_RAW_FOCAL_PX = 7317.020641763665  # of the raw image, on the pixels of the sensor
_BASELINE = 1982.0250823695178 / _RAW_FOCAL_PX * 1e-3  # m, from one view to the next

_SLICES = 10
_NEAREST, _FARTHEST = 0.5, 7.0  # m, focus distances of the first and the last slice

# Refocusing sums 9 x 9 views, each of which stands for a square of the aperture.
_APERTURE = 9 * _BASELINE  # m
_FOCAL_LENGTH = _RAW_FOCAL_PX * 1.4e-6  # m; the sensor of the Lytro ILLUM has pixels of 1.4 µm
_LENS = Lens(_FOCAL_LENGTH, _FOCAL_LENGTH / _APERTURE, _FOCAL_LENGTH / _FOCAL_PX)

_TRAINVAL, _TEST = "ddff-dataset-trainval.h5", "ddff-dataset-test.h5"


class Ddff12(Dataset):
    """Focal stacks of 10 slices, refocused by the authors, with disparities of the light field.

    `root` is the folder of the authors' HDF5 files, or one such file under any name. A scene is
    one stack, ``train_00000``. The truth of the split ``test`` is kept by the authors; its stacks
    are 20 each of lockeroom, cafeteria, library, spencerlab, office44 and magistrale.

    Disparity is in pixels from one view of the light field to the next and turns into depth by the
    authors' calibration, ``Z = 521.4052 px · 0.27088 mm / d``; 0 is not known. The slices are
    evenly spaced in disparity from 0.28248 px (0.5 m) to 0.02018 px (7 m), as in ``refocus.py`` of
    the authors' toolbox. The lens is the thin lens with the aperture of the 9 x 9 views (square,
    2.44 mm) and the focal length of the calibration; the blur that it foretells is right to about
    2 %. Where the stack is of whole views (383 x 552) the intrinsics are those of the calibration.

    Not confirmed: the colours of the split ``test`` are taken as stored in the order blue, green,
    red, since AiFDepthNet and DFV, when they write its pictures, treat them so. Others read the
    stacks of ``train`` and ``val`` as patches of 224 x 224; any size is accepted.

    References
    ----------
    Hazirbas, Soyer, Staab, Leal-Taixé and Cremers, "Deep Depth From Focus", ACCV 2018,
    arXiv 1704.01085. Calibration and refocusing: https://github.com/hazirbas/ddff-toolbox; names
    and shapes in the files: https://github.com/soyers/ddff-pytorch.
    """

    name = "ddff12"
    title = "DDFF 12-Scene"
    homepage = "https://hazirbas.com/datasets/ddff12scene/"
    licence = "CC BY 4.0"
    layout = (
        f"{_TRAINVAL} with stack_train, disp_train, stack_val, disp_val\n{_TEST} with stack_test"
    )
    measured = "refocused light field (Lytro ILLUM), depth by an RGB-D sensor"
    splits = ("train", "val", "test")

    def _find_scenes(self) -> list[str]:
        path = self._path()
        if not path.is_file():
            return []
        with open_hdf5(path) as file:
            count = len(member(file, f"stack_{self.split}", path))
        return [f"{self.split}_{index:05d}" for index in range(count)]

    def _load(self, scene: str) -> LabelledStack:
        path = self._path()
        index = self.scenes.index(scene)
        stored = _read(path, f"stack_{self.split}", index)
        images = _images(stored, f"{path}: stack_{self.split}[{index}]")
        depth = None
        if self.split != "test":
            disparity = _read(path, f"disp_{self.split}", index)
            if disparity.shape != images.shape[1:3]:
                raise DatasetError(
                    f"{path}: disp_{self.split}[{index}] is of shape {disparity.shape}, the slices "
                    f"of {images.shape[1:3]}; download the file again"
                )
            depth = depth_from_disparity(disparity, _FOCAL_PX, _BASELINE)
        else:
            images = np.ascontiguousarray(images[..., ::-1])
        slices = [
            Slice(image, float(distance))
            for image, distance in zip(images, _focus_distances(), strict=True)
        ]
        return LabelledStack(scene, FocalStack(slices, _intrinsics(images), _LENS), depth)

    def _path(self) -> Path:
        if self.root.is_file():
            return self.root
        return self.root / (_TEST if self.split == "test" else _TRAINVAL)


def _focus_distances() -> NDArray[np.float64]:
    """Of the slices as stored, (10,) in metres, rising."""
    return 1.0 / np.linspace(1.0 / _NEAREST, 1.0 / _FARTHEST, _SLICES)


def _read(path: Path, name: str, index: int) -> NDArray[Any]:
    """One entry of an array; nothing else of the large file is read."""
    with open_hdf5(path) as file:
        try:
            return np.asarray(member(file, name, path)[index])
        except (OSError, IndexError, ValueError) as error:
            raise DatasetError(
                f"{path}: {name}[{index}] cannot be read: {error}; download the file again"
            ) from error


def _images(stored: NDArray[Any], where: str) -> ImageArray:
    """Slices as (10, H, W, 3) uint8, also if they are stored as floats with the same values."""
    if stored.ndim != 4 or stored.shape[0] != _SLICES or stored.shape[3] != 3:
        raise DatasetError(
            f"{where} is of shape {stored.shape}; expected ({_SLICES}, height, width, 3)"
        )
    if stored.dtype.kind not in "iuf" or not np.all((stored >= 0) & (stored <= 255)):
        raise DatasetError(f"{where} holds {stored.dtype} values; expected numbers from 0 to 255")
    images: ImageArray = np.rint(stored).astype(np.uint8)
    return images


def _intrinsics(images: ImageArray) -> CameraIntrinsics | None:
    """Of whole views; where a patch lay in its view is not told."""
    height, width = images.shape[1:3]
    if (height, width) != _VIEW_SIZE:
        return None
    return CameraIntrinsics(width, height, _FOCAL_PX, _FOCAL_PX, *_PRINCIPAL_POINT)
