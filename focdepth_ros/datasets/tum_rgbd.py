"""Frames of the TUM RGB-D benchmark, videos of a structured-light camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from focdepth_ros.datasets.files import read_depth_png, read_lines, read_rgb
from focdepth_ros.datasets.rgbd import Photograph, RgbdVideo
from focdepth_ros.errors import DatasetError

_PER_METRE = 5000.0
_LARGEST_GAP = 0.02  # s, between a picture and its depths; that of the authors' associate.py

# Focal lengths across and down, and principal point, of the colour cameras in pixels. The folders
# of the sequences are named after the cameras.
_CAMERAS = {
    "freiburg1": (517.3, 516.5, (318.6, 255.3)),
    "freiburg2": (520.9, 521.0, (325.1, 249.7)),
    "freiburg3": (535.4, 539.2, (320.1, 247.6)),
}


class TumRgbd(RgbdVideo):
    """RGB-D frames, 640 x 480, of the sequences ``rgbd_dataset_freiburg*``.

    A scene is a picture with the depths nearest in time, at most 0.02 s away; it is named by the
    stamp of the picture, as ``rgbd_dataset_freiburg1_xyz/1305031102.175304``. The root is a
    folder of sequences, or of one.

    The depths are registered to the pictures. Those of freiburg1 and freiburg2 are distorted by
    the lens, which is left as it is.

    References
    ----------
    Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems", IROS 2012.
    """

    name = "tum_rgbd"
    title = "TUM RGB-D SLAM Dataset and Benchmark"
    homepage = "https://cvg.cit.tum.de/data/datasets/rgbd-dataset"
    licence = "Creative Commons Attribution 4.0"
    layout = "rgb.txt with depth.txt\n*/rgb.txt"
    measured = "depth by a structured-light camera, stacks rendered"

    def photograph(self, scene: str) -> Photograph:
        """A frame."""
        folder, picture, depth = self._frames[scene]
        focal_px, focal_px_down, principal_point = _camera(folder)
        return Photograph(
            image=read_rgb(folder / picture),
            depth=read_depth_png(folder / depth, per_metre=_PER_METRE),
            focal_px=focal_px,
            focal_px_down=focal_px_down,
            principal_point=principal_point,
        )

    def _find_scenes(self) -> list[str]:
        self._frames: dict[str, tuple[Path, str, str]] = {}
        for path in sorted((*self.root.glob("rgb.txt"), *self.root.glob("*/rgb.txt"))):
            folder = path.parent
            for picture, depth in _pairs(path, folder / "depth.txt")[:: self._every]:
                name = (folder.relative_to(self.root) / Path(picture).stem).as_posix()
                self._frames[name] = folder, picture, depth
        return list(self._frames)


def _pairs(pictures: Path, depths: Path) -> list[tuple[str, str]]:
    """Files of the pictures, in the order of time, each with that of the nearest depths."""
    depth_files = _stamped(depths)
    if not depth_files:
        raise DatasetError(f"{depths}: names no file; download it again")
    stamps = np.array([stamp for stamp, _ in depth_files])
    pairs = []
    for stamp, picture in _stamped(pictures):
        gaps = np.abs(stamps - stamp)
        nearest = int(np.argmin(gaps))
        if gaps[nearest] < _LARGEST_GAP:
            pairs.append((picture, depth_files[nearest][1]))
    return pairs


def _stamped(path: Path) -> list[tuple[float, str]]:
    """Stamps in seconds and files of a list, in the order of time."""
    entries = []
    for line in read_lines(path):
        try:
            stamp, file = line.split()
            entries.append((float(stamp), file))
        except ValueError as error:
            raise DatasetError(
                f"{path}: holds the line '{line}'; expected a stamp in seconds and a file"
            ) from error
    return sorted(entries)


def _camera(folder: Path) -> tuple[float, float, tuple[float, float]]:
    name = folder.resolve().name  # the root may be given as "."
    for camera, intrinsics in _CAMERAS.items():
        if camera in name:
            return intrinsics
    raise DatasetError(
        f"{folder}: cannot tell the camera by the name of the folder; keep it as it was "
        f"distributed, with {', '.join(_CAMERAS)} in it"
    )
