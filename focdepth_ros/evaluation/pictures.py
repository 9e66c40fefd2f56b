"""Small pictures of a scene and of what backends made of it, for the report."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.scores import comparable_depth
from focdepth_ros.image_io import write_image
from focdepth_ros.stack import FloatImage, ImageArray
from focdepth_ros.visualization import as_colour, colour_depth, colour_error, depth_range

FOLDER = "pictures"
#: What the scene itself looks like, and its truth.
SCENE_PICTURES = ("image", "truth")
#: What there is of every backend.
BACKEND_PICTURES = ("depth", "error")
#: Relative error of the last colour of an error picture.
ERROR_LIMIT = 0.2

_LONGEST_SIDE = 320  # px


def picture_path(folder: Path, scene: str, what: str, backend: str = "") -> Path:
    """Where a picture of a scene lies in a folder of results."""
    # Scenes are named like folders; a checksum tells apart those that look alike without them.
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", scene).strip("._")[:60]
    name = f"{plain}-{zlib.crc32(scene.encode()):08x}"
    return folder / FOLDER / name / (f"{backend}-{what}.jpg" if backend else f"{what}.jpg")


def write_pictures(
    folder: Path, sample: LabelledStack, answers: Mapping[str, DepthEstimate]
) -> None:
    """Write the pictures of a scene, all depths in the colours of the truth.

    Parameters
    ----------
    folder : Path
        Of the results.
    sample : LabelledStack
    answers : mapping of str to DepthEstimate
        By backend.
    """
    image = sample.all_in_focus
    if image is None:
        image = as_colour(sample.stack.slices[sample.stack.reference].image)
    truth = sample.depth if sample.valid_mask.any() else None
    write_scene_pictures(folder, sample.name, image, truth, answers, is_metric=sample.is_metric)


def write_scene_pictures(
    folder: Path,
    scene: str,
    image: ImageArray | None,
    truth: FloatImage | None,
    answers: Mapping[str, DepthEstimate],
    *,
    is_metric: bool = True,
) -> None:
    """As `write_pictures`, without the stack.

    Parameters
    ----------
    image : (H, W, 3) uint8 or None
        What the scene looks like, RGB.
    truth : (H, W) float32 or None
        Metres; None where nothing of it is known.
    is_metric : bool
        Whether it is in the unit of the focus distances.
    """
    if image is not None:
        _write(picture_path(folder, scene, "image"), image)
    if truth is None:
        return
    limits = depth_range(truth)
    picture = colour_depth(truth, metric=True, limits=limits)
    _write(picture_path(folder, scene, "truth"), picture)
    for name, estimate in answers.items():
        depth = comparable_depth(estimate, truth, is_metric=is_metric)
        pictures = (
            colour_depth(depth, metric=True, limits=limits),
            colour_error(depth, truth, limit=ERROR_LIMIT),
        )
        for what, picture in zip(BACKEND_PICTURES, pictures, strict=True):
            _write(picture_path(folder, scene, what, name), picture)


def _write(path: Path, picture: ImageArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scale = _LONGEST_SIDE / max(picture.shape[:2])
    if scale < 1.0:
        size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    write_image(path, picture)
