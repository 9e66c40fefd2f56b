"""Focal stacks rendered from the Middlebury stereo scenes of 2001 to 2006.

The data is third-party and not part of the project: a folder per scene with ``left.png``,
``disp_left.png`` and ``meta.json``, in which the disparity of 0 means that it is not known.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from focdepth_ros.optics import sweep_distances
from focdepth_ros.simulation import SimulatedStack, render_rgbd
from focdepth_ros.stack import FloatImage, ImageArray, Lens

#: Scenes looked at while the methods were developed; figures are to come from the others.
DEVELOPMENT_YEARS = ("2001", "2003")

_SLICES = 12
_BLUR_DIAMETER = 24.0  # px, of the near end in the slice focused at the far end
_FOCAL_LENGTH, _PIXEL_PITCH = 0.05, 40e-6  # m; 1250 px, as those of the scenes of 2005 and 2006
_UNKNOWN_DMIN = 240.0  # px at full size; where it is not given, depth is right but for an offset
_NEAR, _FAR = 1.0, 3.0  # m, for the scenes whose calibration is not known


@dataclass(frozen=True)
class MiddleburyScene:
    """A photograph with its depth in metres, NaN where it is not known."""

    name: str
    year: str
    image: ImageArray
    depth: FloatImage


def middlebury_scenes(folder: Path) -> Iterator[MiddleburyScene]:
    """The scenes in `folder`, in the order of their names."""
    for meta_path in sorted(folder.glob("*/meta.json")):
        scene = meta_path.parent
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
        image = cv2.cvtColor(cv2.imread(str(scene / "left.png")), cv2.COLOR_BGR2RGB)
        stored = cv2.imread(str(scene / "disp_left.png"), cv2.IMREAD_GRAYSCALE)
        known = stored > 0
        disparity = stored.astype(np.float32)
        year = str(meta["year"])[:4]
        if year in ("2005", "2006"):
            dmin = meta["dmin_fullsize"]
            dioptre = (disparity + (_UNKNOWN_DMIN if dmin is None else dmin)) / (3740 * 0.160)
        else:
            low, high = disparity[known].min(), disparity[known].max()
            share = (disparity - low) / (high - low)
            dioptre = 1 / _FAR + share * (1 / _NEAR - 1 / _FAR)
        depth = np.where(known, 1.0 / dioptre, np.nan).astype(np.float32)
        yield MiddleburyScene(scene.name, year, np.asarray(image, np.uint8), depth)


def middlebury_stack(scene: MiddleburyScene) -> SimulatedStack:
    """Render the sweep: 12 slices over the range of the scene, blur of up to 24 px."""
    near, far = float(np.nanmin(scene.depth)), float(np.nanmax(scene.depth))
    f_number = _FOCAL_LENGTH**2 * (1 / near - 1 / far) / (_PIXEL_PITCH * _BLUR_DIAMETER)
    return render_rgbd(
        scene.image,
        scene.depth,
        lens=Lens(_FOCAL_LENGTH, f_number, _PIXEL_PITCH),
        focus_distances=tuple(sweep_distances(near, far, _SLICES)),
        seed=zlib.crc32(scene.name.encode()),
    )
