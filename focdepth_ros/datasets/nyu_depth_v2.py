"""The labelled pictures of NYU Depth V2, rooms seen by a Kinect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.datasets.files import member, open_hdf5, read_mat
from focdepth_ros.datasets.rgbd import FixedSweep, Photograph, RgbdDataset
from focdepth_ros.errors import DatasetError

_PICTURES = "nyu_depth_v2_labeled.mat"
_SPLITS = "splits.mat"
_COUNT = 1449
_WIDTH, _HEIGHT = 640, 480
_FOCAL_PX = 518.85790117450188
_PRINCIPAL_POINT = (325.58244941119034, 253.73616633400465)  # px
_KINECT_SAW = (slice(44, 471), slice(40, 601))  # rows and columns


class NyuDepthV2(RgbdDataset):
    """The 1449 labelled RGB-D pictures, 640 x 480, of 464 rooms.

    A scene is one picture, named by its number in the file from ``0001`` on. The split is that of
    Silberman et al.: 795 pictures to train on, 654 to test on.

    Depths are `depths` of the file: what the Kinect saw, on the grid of the picture, its holes
    filled in by the authors. They are known in columns 41 to 601 and rows 45 to 471, which the
    Kinect sees for sure by the authors' ``get_projection_mask.m`` and in which most evaluate.
    Around them the picture has a white margin, and the depths are nothing but filling. Labels are
    the numbers of the classes in `names` of the file, which begin at 1.

    The focal length is that of ``camera_params.m`` across; down it is 0.1 % more. The lens and the
    focus distances are those with which Si et al. made focal stacks of the dataset. Their pixel
    pitch is not the one that goes with the focal length in pixels: it says how much is blurred.

    References
    ----------
    Silberman, Hoiem, Kohli and Fergus, "Indoor Segmentation and Support Inference from RGBD
    Images", ECCV 2012.
    Si et al., "Fully Self-Supervised Depth Estimation from Defocus Clue", CVPR 2023.
    """

    name = "nyu_depth_v2"
    title = "NYU Depth Dataset V2, labelled"
    homepage = "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
    licence = "none stated by its authors; made for research"
    layout = f"{_PICTURES}\n{_SPLITS}"
    measured = "depth by a Kinect (structured light), holes filled, stacks rendered"
    splits = ("train", "test")
    sweep = FixedSweep(
        focal_length=0.05,
        f_number=8.0,
        focus_distances=(1.0, 1.5, 2.5, 4.0, 6.0),
        pixel_pitch=12e-6,
    )

    def photograph(self, scene: str) -> Photograph:
        """A picture; nothing else of the large file is read."""
        path = self.root / _PICTURES
        index = int(scene) - 1
        with open_hdf5(path) as file:
            image = _read(file, "images", index, path, "uint8", (3, _WIDTH, _HEIGHT))
            filled = _read(file, "depths", index, path, "float32", (_WIDTH, _HEIGHT))
            stored_labels = _read(file, "labels", index, path, "uint16", (_WIDTH, _HEIGHT))
        depth = np.full_like(filled, np.nan)
        depth[_KINECT_SAW] = filled[_KINECT_SAW]
        depth[~(depth > 0.0)] = np.nan
        labels = stored_labels.astype(np.int32)
        labels[labels == 0] = -1  # "unlabelled"
        return Photograph(
            image=image,
            depth=depth,
            focal_px=_FOCAL_PX,
            principal_point=_PRINCIPAL_POINT,
            labels=labels,
        )

    def _find_scenes(self) -> list[str]:
        path = self.root / _SPLITS
        numbers = np.ravel(member(read_mat(path), f"{self.split}Ndxs", path))
        if numbers.dtype.kind not in "iuf" or not np.all((numbers >= 1) & (numbers <= _COUNT)):
            raise DatasetError(
                f"{path}: '{self.split}Ndxs' holds something else than numbers of pictures from "
                f"1 to {_COUNT}; download the file again"
            )
        return [f"{int(number):04d}" for number in np.sort(numbers)]


def _read(
    file: Any, name: str, index: int, path: Path, dtype: str, shape: tuple[int, ...]
) -> NDArray[Any]:
    """One of the pictures of an array, rows first: MATLAB stores columns first."""
    values = member(file, name, path)
    if values.dtype != dtype or values.shape[1:] != shape:
        raise DatasetError(
            f"{path}: '{name}' is {values.dtype} of shape {values.shape}; expected {dtype} of "
            f"shape {(_COUNT, *shape)}"
        )
    if index >= len(values):
        raise DatasetError(
            f"{path}: '{name}' has {len(values)} pictures, not number {index + 1}; "
            "download the file again"
        )
    try:
        return np.ascontiguousarray(np.asarray(values[index]).T)
    except OSError as error:
        raise DatasetError(
            f"{path}: '{name}' is damaged at picture {index + 1}; download the file again"
        ) from error
