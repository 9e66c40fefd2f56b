"""Focal stacks rendered from photographs with depth that nothing was tuned or trained on.

The data is third-party and not part of the project: a folder that holds one folder per set,
of which those that are missing are left out.

- ``middlebury2001_2006``: stereo scenes, a folder each with ``left.png``, ``disp_left.png`` (0:
  not known) and ``meta.json``. Those of 2001 and 2003 were looked at during development.
- ``7scenes``: frames of a Kinect, ``frame-*.color.jpg`` and ``frame-*.depth.png`` in
  millimetres, 0 and 65535 not known. Colours and depths are a little out of register, and many
  depths are missing, most of them at edges: rendered with the nearest one, they are not scored.
- ``icl_livingroom1``: frames of a synthetic room, ``rgb/*.jpg`` and ``depth/*.png`` in
  millimetres, 0 not known.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.optics import sweep_distances
from focdepth_ros.simulation import SimulatedStack, render_rgbd
from focdepth_ros.stack import FloatImage, ImageArray, Lens

MIDDLEBURY, SEVEN_SCENES, ICL = "middlebury2001_2006", "7scenes", "icl_livingroom1"

#: Scenes looked at while the methods were developed; figures are to come from the others.
DEVELOPMENT_YEARS = ("2001", "2003")

_BLUR_DIAMETER = 24.0  # px, of the near end in the slice focused at the far end
_FOCAL_LENGTH = 0.05  # m; with the focal length in px it gives the pixel pitch

_MIDDLEBURY_SLICES = 12
_MIDDLEBURY_FOCAL_PX = 1250.0  # of the scenes of 2005 and 2006
_UNKNOWN_DMIN = 240.0  # px at full size; where it is not given, depth is right but for an offset
_NEAR, _FAR = 1.0, 3.0  # m, for the scenes whose calibration is not known

_FRAMES = 8  # of each video, evenly spaced: neighbours show the same
_FRAME_SLICES = 10
_SEVEN_SCENES_FOCAL_PX, _ICL_FOCAL_PX = 585.0, 525.0
_INVALID_MM = (0, 65535)
_OUTLIERS = 0.5  # % of the depths at either end that a sweep need not reach
_WIDER = 0.05  # by which a sweep goes beyond the rest at either end, of its range in dioptres


@dataclass(frozen=True)
class RgbdScene:
    """A photograph with its depth, and the sweep to record of it.

    Parameters
    ----------
    name : str
        Unique within its set.
    image : (H, W, 3) uint8
    depth : (H, W) float32
        Metres, NaN where it is not known.
    focal_px : float
        Focal length of the photograph in pixels.
    near, far : float
        First and last focus distance in metres.
    slices : int
        Number of focus distances, evenly spaced in dioptres.
    """

    name: str
    image: ImageArray
    depth: FloatImage
    focal_px: float
    near: float
    far: float
    slices: int

    def render(self) -> SimulatedStack:
        """Record the sweep, with a blur of up to 24 px."""
        pitch = _FOCAL_LENGTH / self.focal_px
        reach = 1 / self.near - 1 / self.far
        f_number = _FOCAL_LENGTH**2 * reach / (pitch * _BLUR_DIAMETER)
        return render_rgbd(
            self.image,
            self.depth,
            lens=Lens(_FOCAL_LENGTH, f_number, pitch),
            focus_distances=tuple(sweep_distances(self.near, self.far, self.slices)),
            seed=zlib.crc32(self.name.encode()),
        )


def middlebury_scenes(folder: Path, *, held_out: bool) -> Iterator[RgbdScene]:
    """Middlebury scenes in the order of their names.

    Parameters
    ----------
    folder : Path
        That of the set.
    held_out : bool
        Whether to give those of 2005 and 2006, or those of the `DEVELOPMENT_YEARS`.
    """
    for meta_path in sorted(folder.glob("*/meta.json")):
        scene = meta_path.parent
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
        year = str(meta["year"])[:4]
        if held_out == (year in DEVELOPMENT_YEARS):
            continue
        stored = _read(scene / "disp_left.png", cv2.IMREAD_GRAYSCALE)
        known = stored > 0
        disparity = stored.astype(np.float32)
        if held_out:
            dmin = meta["dmin_fullsize"]
            dioptre = (disparity + (_UNKNOWN_DMIN if dmin is None else dmin)) / (3740 * 0.160)
        else:
            low, high = disparity[known].min(), disparity[known].max()
            share = (disparity - low) / (high - low)
            dioptre = 1 / _FAR + share * (1 / _NEAR - 1 / _FAR)
        depth = np.where(known, 1.0 / dioptre, np.nan).astype(np.float32)
        yield RgbdScene(
            name=scene.name,
            image=_read_rgb(scene / "left.png"),
            depth=depth,
            focal_px=_MIDDLEBURY_FOCAL_PX,
            near=float(np.nanmin(depth)),
            far=float(np.nanmax(depth)),
            slices=_MIDDLEBURY_SLICES,
        )


def seven_scenes(folder: Path) -> Iterator[RgbdScene]:
    """Frames of 7-Scenes, evenly spaced in time, from the folder of the set."""
    for path in _some(sorted(folder.glob("frame-*.color.jpg"))):
        name = path.name.removesuffix(".color.jpg")
        yield _frame(name, path, folder / f"{name}.depth.png", _SEVEN_SCENES_FOCAL_PX)


def icl_scenes(folder: Path) -> Iterator[RgbdScene]:
    """Frames of the ICL living room, evenly spaced in time, from the folder of the set."""
    for path in _some(sorted(folder.glob("rgb/*.jpg"))):
        yield _frame(path.stem, path, folder / "depth" / f"{path.stem}.png", _ICL_FOCAL_PX)


def _some(paths: Sequence[Path]) -> list[Path]:
    return list(paths[:: max(len(paths) // _FRAMES, 1)][:_FRAMES])


def _frame(name: str, colour: Path, millimetres: Path, focal_px: float) -> RgbdScene:
    """A frame, and a sweep over its depths without the outliers, a little wider."""
    stored = _read(millimetres, cv2.IMREAD_UNCHANGED)
    depth = np.where(np.isin(stored, _INVALID_MM), np.nan, stored / 1000.0).astype(np.float32)
    low, high = np.nanpercentile(1.0 / depth, (_OUTLIERS, 100.0 - _OUTLIERS))
    wider = _WIDER * (high - low)
    return RgbdScene(
        name=name,
        image=_read_rgb(colour),
        depth=depth,
        focal_px=focal_px,
        near=float(1.0 / (high + wider)),
        far=float(1.0 / (low - wider)),
        slices=_FRAME_SLICES,
    )


def _read_rgb(path: Path) -> ImageArray:
    return np.asarray(cv2.cvtColor(_read(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def _read(path: Path, flags: int) -> NDArray[Any]:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise OSError(f"{path} cannot be read as an image")
    return image
