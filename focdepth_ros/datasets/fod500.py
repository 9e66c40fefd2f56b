"""FoD500: rendered focal stacks of things in free air, the data of DefocusNet."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.datasets.files import read_rgb
from focdepth_ros.errors import DatasetError
from focdepth_ros.stack import FloatImage, FocalStack, Lens, Slice

_FOLDER = "fs_6"
_SLICE, _DEPTH = "All.tif", "Dpt.exr"
_DIGITS = 6  # with which the name of a file says its scene
_FIRST_OF_TEST = 400

_FOCUS_DISTANCES = (0.1, 0.15, 0.3, 0.7, 1.5)  # m
_FOCAL_LENGTH = 2.9e-3  # m
_F_NUMBER = 1.0
_SENSOR_WIDTH = 3.1e-3  # m

_ENABLE_EXR = "OPENCV_IO_ENABLE_OPENEXR"


class Fod500(Dataset):
    """500 stacks of 5 slices, 256 x 256, rendered with Blender.

    `root` is the folder ``fs_6`` of the authors or the one around it. A scene is one stack,
    ``000000``. The first 400 are to train on, the others to test on, as in the authors' README.

    Slices lie near to far; focus distances, focal length and f-number are those of the README.
    Depth is metres, the red channel of the file. It is infinite, or very large, where there is
    only the environment; 0 and infinity are not known here. The authors clip at 3 m, and others
    evaluate from 0.1 to 1.5 m, the range of the focus distances.

    Not confirmed: the width of the sensor, from which the pixel pitch of the lens comes, is the
    3.1 mm that Si et al. take for this dataset; the authors do not state it. They do not give
    intrinsics either, nor a picture that is sharp everywhere.

    References
    ----------
    Maximov, Galim and Leal-Taixé, "Focus on Defocus: Bridging the Synthetic to Real Domain Gap for
    Depth Estimation", CVPR 2020, arXiv 2005.09623. The name FoD500 is that of Yang et al., "Deep
    Depth from Focus with Differential Focus Volume", CVPR 2022.
    Si et al., "Fully Self-Supervised Depth Estimation from Defocus Clue", CVPR 2023.
    """

    name = "fod500"
    title = "FoD500 (DefocusNet)"
    homepage = "https://github.com/dvl-tum/defocus-net"
    licence = "none stated for the data; the code that goes with it says MIT"
    layout = f"[{_FOLDER}/]000000_01{_SLICE} ... 000000_05{_SLICE} with 000000{_DEPTH}"
    measured = "rendered with a thin lens (Blender), exact depth"
    splits = ("train", "test")

    def _find_scenes(self) -> list[str]:
        inner = self.root / _FOLDER
        self._folder = inner if inner.is_dir() else self.root
        if not self._folder.is_dir():
            return []
        # Any file of a scene counts, so that a missing one is missed when it is read.
        files = (path.name for end in (_SLICE, _DEPTH) for path in self._folder.glob(f"*{end}"))
        scenes = {name[:_DIGITS] for name in files if name[:_DIGITS].isdecimal()}
        wants_test = self.split == "test"
        return sorted(scene for scene in scenes if (int(scene) >= _FIRST_OF_TEST) == wants_test)

    def _load(self, scene: str) -> LabelledStack:
        paths = sorted(self._folder.glob(f"{scene}*{_SLICE}"))
        if len(paths) != len(_FOCUS_DISTANCES):
            names = ", ".join(path.name for path in paths) or "none"
            raise DatasetError(
                f"{self._folder}: scene '{scene}' has {len(paths)} slices ({names}); expected "
                f"{len(_FOCUS_DISTANCES)}, {scene}_01{_SLICE} to {scene}_05{_SLICE}"
            )
        images = [read_rgb(path) for path in paths]
        for path, image in zip(paths, images, strict=True):
            if image.shape != images[0].shape:
                raise DatasetError(
                    f"{path}: of shape {image.shape}, but {paths[0].name} is of "
                    f"{images[0].shape}; download the files again"
                )
        slices = [Slice(i, d) for i, d in zip(images, _FOCUS_DISTANCES, strict=True)]
        lens = Lens(_FOCAL_LENGTH, _F_NUMBER, _SENSOR_WIDTH / images[0].shape[1])
        depth = _read_exr(self._folder / f"{scene}{_DEPTH}")
        depth[~(np.isfinite(depth) & (depth > 0.0))] = np.nan
        return LabelledStack(scene, FocalStack(slices, lens=lens), depth)


def _read_exr(path: Path) -> FloatImage:
    """Red channel of an OpenEXR file, (H, W) float32."""
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; the dataset is not complete")
    # OpenCV reads OpenEXR only if this is set by the first time that it is asked to.
    os.environ[_ENABLE_EXR] = "1"
    try:
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DatasetError(
            f"{path}: OpenCV does not read OpenEXR files here; start with {_ENABLE_EXR}=1 in the "
            "environment"
        ) from error
    if values is None:
        raise DatasetError(f"{path}: cannot be read as an OpenEXR image; download the file again")
    red = values[..., 2] if values.ndim == 3 else values  # OpenCV has blue first
    return np.array(red, dtype=np.float32)
