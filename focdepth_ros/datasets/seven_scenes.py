"""Frames of 7-Scenes, videos of a Kinect."""

from __future__ import annotations

from pathlib import Path

from focdepth_ros.datasets.base import ALL
from focdepth_ros.datasets.files import read_depth_png, read_lines, read_rgb
from focdepth_ros.datasets.rgbd import Photograph, RgbdVideo
from focdepth_ros.errors import DatasetError

_SPLIT_FILES = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
_FOCAL_PX = 585.0
_PER_METRE = 1000.0
_UNKNOWN = (0.0, 65535.0)


class SevenScenes(RgbdVideo):
    """RGB-D frames of 7 rooms, 640 x 480.

    A scene is one frame, as ``chess/seq-01/frame-000000``. A folder of frames alone is read too,
    with pictures in PNG or JPEG; there is no other split than ``all`` then.

    Colours and depths are a little out of register, for the depths are on the grid of the depth
    camera, and many depths are missing, most of them at edges. The cameras were not calibrated:
    the focal length is what the authors give, the principal point the middle (they give (320,
    240)).

    References
    ----------
    Shotton et al., "Scene Coordinate Regression Forests for Camera Relocalization in RGB-D
    Images", CVPR 2013.
    """

    name = "7scenes"
    title = "RGB-D Dataset 7-Scenes"
    homepage = "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/"
    licence = "Microsoft Research licence (MSR-LA): not for commercial use"
    layout = "*/seq-*/frame-*.color.png\nframe-*.color.png or .jpg"
    measured = "depth by a Kinect (structured light), stacks rendered"
    splits = (ALL, *_SPLIT_FILES)

    def photograph(self, scene: str) -> Photograph:
        """A frame."""
        picture, jpeg = (self.root / f"{scene}.color.{suffix}" for suffix in ("png", "jpg"))
        return Photograph(
            image=read_rgb(jpeg if jpeg.exists() else picture),
            depth=read_depth_png(
                self.root / f"{scene}.depth.png", per_metre=_PER_METRE, unknown=_UNKNOWN
            ),
            focal_px=_FOCAL_PX,
        )

    def _find_scenes(self) -> list[str]:
        scenes: list[str] = []
        for folder in self._folders():
            # Any file of a frame counts, so that one without its picture is missed when it is read.
            frames = {path.name.split(".")[0] for path in folder.glob("frame-*.*")}
            names = [(folder / frame).relative_to(self.root).as_posix() for frame in sorted(frames)]
            scenes += names[:: self._every]
        return scenes

    def _folders(self) -> list[Path]:
        sequences = sorted(self.root.glob("*/seq-*"))
        if self.split == ALL:
            return [self.root, *sequences]
        rooms = sorted({path.parent for path in sequences})
        chosen = {folder for room in rooms for folder in _listed(room / _SPLIT_FILES[self.split])}
        return [path for path in sequences if path in chosen]


def _listed(path: Path) -> list[Path]:
    """Folders of the sequences that a file names, ``sequence1`` for ``seq-01``."""
    folders = []
    for line in read_lines(path):
        number = line.removeprefix("sequence")
        if not number.isdecimal():
            raise DatasetError(f"{path}: holds the line '{line}'; expected one as 'sequence1'")
        folders.append(path.parent / f"seq-{int(number):02d}")
    return folders
