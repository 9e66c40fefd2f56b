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
from focdepth_ros.evaluation.fusion_pictures import cut_outs
from focdepth_ros.evaluation.scores import comparable_depth
from focdepth_ros.files.image_io import encode_image
from focdepth_ros.pictures.depth_pictures import as_colour, colour_depth, colour_error, depth_range
from focdepth_ros.stack import FloatImage, ImageArray

FOLDER = "pictures"
#: What the scene itself looks like, and its truth.
SCENE_PICTURES = ("image", "truth")
#: What there is of every backend.
BACKEND_PICTURES = ("depth", "error")
#: The same of all-in-focus images, where they are measured in full: see `fusion_pictures`.
SCENE_CUT_OUTS, BACKEND_CUT_OUTS = ("sharp",), ("fused", "difference")
#: Relative error of the last colour of an error picture.
ERROR_LIMIT = 0.2

_LONGEST_SIDE = 320  # px


def picture_path(folder: Path, scene: str, what: str, backend: str = "", dataset: str = "") -> Path:
    """Where a picture of a scene lies in a folder of results."""
    return folder / _place(dataset, scene, what, backend)


def make_pictures(
    sample: LabelledStack,
    answers: Mapping[str, DepthEstimate],
    dataset: str = "",
    *,
    aif: bool = False,
) -> dict[str, bytes]:
    """The pictures of a scene, all depths in the colours of the truth.

    Parameters
    ----------
    sample : LabelledStack
    answers : mapping of str to DepthEstimate
        By backend.
    dataset : str
        What the results call it.
    aif : bool
        Whether parts of the all-in-focus images are wanted, too.

    Returns
    -------
    dict of str to bytes
        JPEG files by their path below the folder of the results.
    """
    image = sample.all_in_focus
    if image is None:
        image = as_colour(sample.stack.slices[sample.stack.reference].image)
    made = make_scene_pictures(
        sample.name,
        image,
        sample.depth if sample.valid_mask.any() else None,
        answers,
        dataset,
        is_metric=sample.is_metric,
    )
    if aif:
        fused = {k: v.all_in_focus for k, v in answers.items() if v.all_in_focus is not None}
        for (what, backend), picture in cut_outs(fused, sample.all_in_focus).items():
            made[_place(dataset, sample.name, what, backend)] = _as_file(picture)
    return made


def make_scene_pictures(
    scene: str,
    image: ImageArray | None,
    truth: FloatImage | None,
    answers: Mapping[str, DepthEstimate],
    dataset: str = "",
    *,
    is_metric: bool = True,
) -> dict[str, bytes]:
    """As `make_pictures`, without the stack.

    Parameters
    ----------
    scene : str
    image : (H, W, 3) uint8 or None
        What the scene looks like, RGB.
    truth : (H, W) float32 or None
        Metres; None where nothing of it is known.
    answers, dataset
        As of `make_pictures`.
    is_metric : bool
        Whether the truth is in the unit of the focus distances.
    """

    def place(what: str, backend: str = "") -> str:
        return _place(dataset, scene, what, backend)

    made = {} if image is None else {place("image"): image}
    if truth is not None:
        limits = depth_range(truth)
        made[place("truth")] = colour_depth(truth, metric=True, limits=limits)
        for name, estimate in answers.items():
            depth = comparable_depth(estimate, truth, is_metric=is_metric)
            made[place("depth", name)] = colour_depth(depth, metric=True, limits=limits)
            made[place("error", name)] = colour_error(depth, truth, limit=ERROR_LIMIT)
    return {path: _as_file(picture) for path, picture in made.items()}


def write_pictures(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """Write what `make_pictures` made into the folder of the results."""
    for name, data in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _place(dataset: str, scene: str, what: str, backend: str) -> str:
    # Scenes are named like folders; a checksum tells apart those that look alike without them.
    name = f"{_plain(scene)}-{zlib.crc32(f'{dataset}/{scene}'.encode()):08x}"
    # The name of a backend may come in a message: it must not lead out of the folder.
    return (
        f"{FOLDER}/{name}/{_plain(backend)}-{what}.jpg"
        if backend
        else f"{FOLDER}/{name}/{what}.jpg"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._")[:60]


def _as_file(picture: ImageArray) -> bytes:
    scale = _LONGEST_SIDE / max(picture.shape[:2])
    if scale < 1.0:
        size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return encode_image(picture, ".jpg")
