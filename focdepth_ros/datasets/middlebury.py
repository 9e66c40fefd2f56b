"""Stereo scenes of Middlebury, of 2001 to 2014."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from focdepth_ros.datasets.base import ALL
from focdepth_ros.datasets.files import member, read_lines, read_raw, read_rgb
from focdepth_ros.datasets.rgbd import FittedSweep, Photograph, RgbdDataset
from focdepth_ros.errors import DatasetError, quoted
from focdepth_ros.stack import FloatImage

# Picture and disparities of a scene, which tell its layout.
_COLLECTION = ("left.png", "disp_left.png")  # of 2001 to 2006
_CALIBRATED = ("im0.png", "disp0.pfm")  # 2014
_LAYOUTS = (
    _COLLECTION,
    _CALIBRATED,
    ("view1.png", "disp1.png"),  # 2005 and 2006
    ("im2.png", "disp2.png"),  # 2003, which also comes as the next
    ("im2.ppm", "disp2.pgm"),  # 2001
    ("scene1.row3.col3.ppm", "truedisp.row3.col3.pgm"),  # Tsukuba of 2001
    ("im0.pgm", "disp0.pgm"),  # Map of 2001
)

# How the folders of the scenes begin, in lower case; those of 2006 are the rest.
_SCENES = {
    "2001": ("barn", "bull", "map", "poster", "sawtooth", "tsukuba", "venus"),
    "2003": ("cones", "teddy"),
    "2005": ("art", "books", "dolls", "laundry", "moebius", "reindeer"),
}
_WITHOUT_TRUTH = ("computer", "drumsticks", "dwarves")  # of 2005, kept back by the authors

# One calibration for the scenes of 2005 and 2006. Their disparities are in pixels of the full
# size whichever size the pictures are.
_FOCAL_PX, _FULL_HEIGHT, _BASELINE = 3740.0, 1110, 0.160  # px, px, m
_UNKNOWN_DMIN = 240.0  # px, about that of the scenes where it is known

# None for those of 2001 and 2003, so that their depths are made up.
_NEAR, _FAR = 1.0, 3.0  # m
_NOMINAL_FOCAL_PX = 1250.0  # about that of 2005 and 2006 at a third of the size


class Middlebury(RgbdDataset):
    """Stereo scenes with the disparities of the left picture.

    A scene is a folder in `root`, or one further down, with the files of its year:

    - 2001, 2003: ``im2`` and ``disp2``, other names for Tsukuba and Map. Without calibration:
      inverse depth is right but for scale and shift, and made to go from 1 to 3 m.
    - 2005, 2006: ``view1.png``, ``disp1.png`` and ``dmin.txt``, in full, half or third of the
      size. ``Z = f b / (d + dmin)`` with f = 3740 px and b = 0.160 m.
    - 2014: ``im0.png``, ``disp0.pfm`` and ``calib.txt``. ``Z = f b / (d + doffs)``.
    - A collection of 2001 to 2006, the last two at a third of the size: ``left.png``,
      ``disp_left.png`` and ``meta.json`` with ``dmin_fullsize``. Where that is null, 240 px are
      taken for it: inverse depth is right but for a shift.

    Disparities of 0 (2001 to 2006) or infinity (2014) are not known. That ``dmin`` is in pixels
    of the full size beside smaller pictures too is concluded from the depths that it gives.

    References
    ----------
    2001: Scharstein and Szeliski, "A Taxonomy and Evaluation of Dense Two-Frame Stereo
    Correspondence Algorithms", IJCV 2002. 2003: Scharstein and Szeliski, "High-Accuracy Stereo
    Depth Maps Using Structured Light", CVPR 2003. 2005: Scharstein and Pal, "Learning Conditional
    Random Fields for Stereo", CVPR 2007. 2006: Hirschmüller and Scharstein, "Evaluation of Cost
    Functions for Stereo Matching", CVPR 2007. 2014: Scharstein et al., "High-Resolution Stereo
    Datasets with Subpixel-Accurate Ground Truth", GCPR 2014.
    """

    name = "middlebury"
    title = "Middlebury Stereo Datasets"
    homepage = "https://vision.middlebury.edu/stereo/data/"
    licence = "free to use and publish, citation requested"
    layout = "\n".join(f"*/{picture} with {disparities}" for picture, disparities in _LAYOUTS)
    measured = "depth by structured light (2001: by fitted planes), stacks rendered"
    splits = (ALL, *_SCENES, "2006", "2014")

    sweep = FittedSweep(slices=12, outliers=0.0, wider=0.0)

    def year(self, scene: str) -> str:
        """Split of a scene: the year in which it was published."""
        return _year(self.root / scene)

    def photograph(self, scene: str) -> Photograph:
        """The left picture of a scene."""
        folder = self.root / scene
        layout = _layout(folder)
        image = read_rgb(folder / layout[0])
        disparity = _read_disparity(folder / layout[1])
        if _year(folder) in ("2001", "2003"):
            depth = _made_up_depth(disparity, folder / layout[1])
            return Photograph(image, depth, _NOMINAL_FOCAL_PX)
        if layout == _CALIBRATED:
            rig = _read_calibration(folder / "calib.txt")
        elif layout == _COLLECTION:
            rig = _read_meta(folder / "meta.json")
        else:
            (dmin,) = _numbers(" ".join(read_lines(folder / "dmin.txt")), 1, folder / "dmin.txt")
            rig = _Rig(_FOCAL_PX * _BASELINE, dmin, _FOCAL_PX * len(image) / _FULL_HEIGHT)
        depth = 1.0 / ((disparity + rig.offset) / rig.focal_baseline)
        return Photograph(image, depth, rig.focal_px, rig.principal_point)

    def _find_scenes(self) -> list[str]:
        files = {name for layout in _LAYOUTS for name in layout}
        paths = (*self.root.glob("*/*"), *self.root.glob("*/*/*"))
        folders = sorted({path.parent for path in paths if path.name in files})
        return [
            folder.relative_to(self.root).as_posix()
            for folder in folders
            if not folder.name.lower().startswith(_WITHOUT_TRUTH)
            and self.split in (ALL, _year(folder))
        ]


@dataclass(frozen=True)
class _Rig:
    """Two cameras side by side, and what was cut off their pictures."""

    focal_baseline: float  # px m, for the disparities
    offset: float  # px, to add to the disparities
    focal_px: float  # of the picture
    principal_point: tuple[float, float] | None = None  # px


def _layout(folder: Path) -> tuple[str, str]:
    # By the disparities if they are there, for scenes have more pictures than one.
    for which in (1, 0):
        for layout in _LAYOUTS:
            if (folder / layout[which]).exists():
                return layout
    raise DatasetError(f"{folder}: holds no scene of the Middlebury Stereo Datasets")


def _year(folder: Path) -> str:
    if _layout(folder) == _CALIBRATED:
        return "2014"
    name = folder.name.lower()
    return next((year for year, names in _SCENES.items() if name.startswith(names)), "2006")


def _made_up_depth(disparity: FloatImage, path: Path) -> FloatImage:
    """Depth from the nearest to the farthest that there is to be, metres."""
    known = np.unique(disparity[np.isfinite(disparity)])
    if len(known) < 2:
        raise DatasetError(f"{path}: holds {len(known)} different disparities; download it again")
    low, high = known[[0, -1]]
    share = (disparity - low) / (high - low)
    return np.asarray(1.0 / (1.0 / _FAR + share * (1.0 / _NEAR - 1.0 / _FAR)), np.float32)


def _read_calibration(path: Path) -> _Rig:
    values = dict(line.split("=", 1) for line in read_lines(path) if "=" in line)
    focal_px, _, cx, _, _, cy, *_ = _numbers(member(values, "cam0", path), 9, path)
    (baseline,) = _numbers(member(values, "baseline", path), 1, path)
    (offset,) = _numbers(member(values, "doffs", path), 1, path)
    return _Rig(focal_px * baseline / 1000.0, offset, focal_px, (cx, cy))


def _read_meta(path: Path) -> _Rig:
    try:
        values = json.loads("\n".join(read_lines(path)))
    except ValueError as error:  # also a number of thousands of digits
        raise DatasetError(f"{path}: is no JSON: {error}; download it again") from error
    given = member(values, "dmin_fullsize", path)
    try:
        dmin = _UNKNOWN_DMIN if given is None else float(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise DatasetError(
            f"{path}: dmin_fullsize is {quoted(str(given))}; expected a number; download it again"
        ) from error
    # The focal length is a round one: published figures were measured on stacks made with it.
    return _Rig(_FOCAL_PX * _BASELINE, dmin, _NOMINAL_FOCAL_PX)


def _numbers(text: str, count: int, path: Path) -> list[float]:
    """Numbers of a text, that of a matrix as ``[1 0; 0 1]`` row by row."""
    try:
        numbers = [float(word) for word in text.strip("[]").replace(";", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise DatasetError(f"{path}: holds '{text}'; expected {count} numbers")
    return numbers


def _read_disparity(path: Path) -> FloatImage:
    """Disparities, (H, W) in pixels of the file's own scale, NaN where not known."""
    stored = read_raw(path)
    return np.where(np.isfinite(stored) & (stored > 0), stored, np.nan).astype(np.float32)
