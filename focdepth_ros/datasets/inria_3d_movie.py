"""Inria 3DMovie: stereo frames of feature films, with people segmented by hand.

Seguin, Alahari, Sivic and Laptev, "Pose Estimation and Segmentation of Multiple People in
Stereoscopic Movies", TPAMI 2015; Alahari et al., ICCV 2013. The files are read as the README
and the MATLAB demos of version 1 describe them. That version 2 has the same layout could not be
confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.datasets.files import member, read_mat, read_rgb
from focdepth_ros.datasets.rgbd import Photograph, RgbdDataset
from focdepth_ros.errors import DatasetError
from focdepth_ros.stack import FloatImage
from focdepth_ros.stack_folder.slice_files import natural_order

_FOLDER = "inria_stereo_dataset"  # what the archives unpack to

# Nobody knows in metres what the films show; the sweep goes over this range instead.
_NEAREST, _FARTHEST = 1.0, 10.0  # m
_OUTLIERS = 0.5  # per cent of the flow at either end
_HALF = 127  # of the 255 of a mask


class Inria3dMovie(RgbdDataset):
    """The left frames of "StreetDance 3D" and "Pina", with depth from their disparity.

    Scenes are named after the files, such as ``5/00009243``. The disparity is no measurement but
    optical flow from the left to the right frame (Ayvaci et al., IJCV 2011), ``uv``, of which the
    horizontal component is ``x_right - x_left = s - f b / Z``. Focal length, baseline and shift
    of the frames against each other are not known: inverse depth is right but for a scale and a
    shift, and here such that it goes from 1/10 m to 1/1 m. The focal length in the intrinsics is
    a guess, the width of the frame.

    In the split ``segmentation`` labels are 1 on people and 0 elsewhere.
    """

    name = "inria_3d_movie"
    title = "Inria 3DMovie Dataset v2"
    homepage = "https://www.di.ens.fr/willow/research/stereoseg/"
    licence = "non-commercial research; the films belong to others"
    layout = "\n".join(
        (
            "SPLIT/frames/[SEQUENCE/]FRAME.jpg (the left one; FRAME.jpg.right is not read)",
            "SPLIT/disparity/[SEQUENCE/]FRAME.jpg_disparity.mat (uv)",
            "SPLIT/labels/[SEQUENCE/]FRAME.jpg_gt1.mat (det_gt; optional)",
        )
    )
    measured = "depth by optical flow between stereo frames, in no unit, stacks rendered"
    splits = (
        "segmentation",
        "video_segmentation",
        "poseestimation_train",
        "poseestimation_test",
        "persondetection_train",
        "persondetection_test",
        "negatives",
    )

    def photograph(self, scene: str) -> Photograph:
        """The left frame of a scene."""
        image = read_rgb(self._path("frames", f"{scene}.jpg"))
        size = image.shape[:2]
        return Photograph(
            image=image,
            depth=_depth(self._path("disparity", f"{scene}.jpg_disparity.mat"), size),
            focal_px=float(size[1]),
            labels=_labels(self._path("labels", f"{scene}.jpg_gt1.mat"), size),
        )

    def _find_scenes(self) -> Sequence[str]:
        frames = self._path("frames")
        names = (path.relative_to(frames).with_suffix("") for path in frames.rglob("*.jpg"))
        return sorted((name.as_posix() for name in names), key=natural_order)

    def _path(self, *parts: str) -> Path:
        unpacked = self.root / _FOLDER
        return (unpacked if unpacked.is_dir() else self.root).joinpath(self.split, *parts)


def _depth(path: Path, size: tuple[int, ...]) -> FloatImage:
    flow = np.asarray(member(read_mat(path), "uv", path))
    if flow.shape != (*size, 2) or flow.dtype.kind != "f":
        raise DatasetError(
            f"{path}: uv is {flow.dtype} of shape {flow.shape}; expected floats of shape "
            f"{(*size, 2)} for this frame"
        )
    nearness = np.where(np.isfinite(flow[..., 0]), -flow[..., 0], np.nan)
    if np.isnan(nearness).all():
        raise DatasetError(f"{path}: uv is finite nowhere; leave the scene out")
    low, high = np.nanpercentile(nearness, (_OUTLIERS, 100.0 - _OUTLIERS))
    if not high > low:
        raise DatasetError(f"{path}: uv is {-low:g} px everywhere; leave the scene out")
    share = np.clip((nearness - low) / (high - low), 0.0, 1.0)
    dioptre = 1.0 / _FARTHEST + share * (1.0 / _NEAREST - 1.0 / _FARTHEST)
    return np.asarray(1.0 / dioptre, dtype=np.float32)


def _labels(path: Path, size: tuple[int, ...]) -> NDArray[np.int32] | None:
    if not path.is_file():
        return None
    people = np.asarray(member(read_mat(path), "det_gt", path))  # one mask of 0 and 255 each
    if people.shape[:2] != size or people.ndim not in (2, 3):
        raise DatasetError(
            f"{path}: det_gt is of shape {people.shape}; expected {size} and the number of people"
        )
    masks = people.reshape(*size, -1)  # MATLAB drops the last axis where it is 1
    return np.asarray((masks > _HALF).any(axis=2), dtype=np.int32)
