"""PoseTrack 2018: frames of videos with the joints of the people in them.

Andriluka et al., "PoseTrack: A Benchmark for Human Pose Estimation and Tracking", CVPR 2018.
The annotations (v0.45) are described by the authors' poseval and, in the same format, by
PoseTrack21: https://github.com/anDoer/PoseTrack21, doc/dataset_structure.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.datasets.files import member, read_rgb
from focdepth_ros.datasets.rgbd import FixedSweep, Photograph, RgbdDataset
from focdepth_ros.errors import DatasetError

# Where the annotations of the splits lie: as people unpack them, and in PoseTrack21.
_ANNOTATIONS = ("annotations", "posetrack_data/annotations", "posetrack_data")
_PICTURES = (".", "posetrack_data")

_PRINT_DISTANCE = 2.0  # m
_SWEEP = (1.0, 4.0 / 3.0, 2.0, 4.0, float("inf"))  # m; evenly spaced in dioptres

# The 17 keypoints are nose, neck, top of the head, ears, then left and right of shoulders,
# elbows, wrists, hips, knees, ankles. The ears are never annotated.
_KEYPOINTS = 17
_LIMBS = ((1, 2), (5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16))
_TORSO = (5, 6, 12, 11)
_LIMBS_IN_A_HEAD = 4  # how many times the height of a head is the width of a limb
_WIDER = 0.15  # of a box around keypoints at either side, as the authors' boxes are


class PoseTrack(RgbdDataset):
    """Labelled frames, and all of the split ``test``, whose annotations are not public.

    PoseTrack has neither focal stacks nor depth, and none can be had from it. What is given is
    what a camera records that sweeps its focus over a print of the frame, 2 m away: all of it is
    sharp in the third of five slices. The truth is None, for nothing is known of the depth of
    what the frame shows. It may teach a network to tell people from the rest, in and out of
    focus; depth it can neither teach nor measure.

    Labels are 1 on the limbs and bodies between annotated joints, 0 outside the boxes of people
    and heads, -1 in between and in regions that were left unannotated; None without annotation.
    """

    name = "posetrack"
    title = "PoseTrack 2018"
    homepage = "https://github.com/anDoer/PoseTrack21 (posetrack.net is no longer there)"
    licence = "by an agreement with the authors; the videos belong to others"
    layout = "\n".join(
        (
            "[posetrack_data/]annotations/SPLIT/SEQUENCE.json (or posetrack_data/SPLIT/)",
            "[posetrack_data/]images/SPLIT/SEQUENCE/FRAME.jpg, as file_name in the .json says",
        )
    )
    measured = "no depth: stacks rendered of a print of the frame; people from keypoints"
    splits = ("train", "val", "test")
    sweep = FixedSweep(focal_length=0.05, f_number=2.0, focus_distances=_SWEEP)

    def photograph(self, scene: str) -> Photograph:
        """The frame as a print, all at one distance."""
        path = self._files[scene]
        content = _read_json(path)
        frame = next(f for f in _frames(content, path) if _scene_name(f, path) == scene)
        image = read_rgb(self._picture(frame["file_name"]))
        height, width = image.shape[:2]
        labels = None
        if frame.get("is_labeled"):
            people = [p for p in member(content, "annotations", path) if _is_in(p, frame)]
            try:
                labels = _labels(people, frame, (height, width))
            except (TypeError, ValueError, OverflowError) as error:
                raise DatasetError(
                    f"{path}: the annotation of frame '{scene}' has another form: {error}; "
                    "download the file again"
                ) from error
        return Photograph(
            image=image,
            depth=np.full((height, width), _PRINT_DISTANCE, dtype=np.float32),
            focal_px=float(width),
            labels=labels,
        )

    def _load(self, scene: str) -> LabelledStack:
        return replace(super()._load(scene), depth=None)

    def _find_scenes(self) -> Sequence[str]:
        self._files: dict[str, Path] = {}
        folders = (self.root / place / self.split for place in _ANNOTATIONS)
        folder = next((path for path in folders if path.is_dir()), None)
        for path in [] if folder is None else sorted(folder.glob("*.json")):
            for frame in _frames(_read_json(path), path):
                if self.split == "test" or frame.get("is_labeled"):
                    self._files[_scene_name(frame, path)] = path
        return sorted(self._files)

    def _picture(self, name: str) -> Path:
        paths = [self.root / place / name for place in _PICTURES]
        return next((path for path in paths if path.is_file()), paths[0])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also what is no UTF-8
        raise DatasetError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: holds a {type(content).__name__}; expected annotations")
    return content


def _frames(content: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = member(content, "images", path)
    return frames


def _scene_name(frame: dict[str, Any], path: Path) -> str:
    file_name = Path(member(frame, "file_name", path))
    return f"{file_name.parent.name}/{file_name.stem}"


def _is_in(person: dict[str, Any], frame: dict[str, Any]) -> bool:
    return person.get("image_id") == frame.get("id")


def _labels(
    people: list[dict[str, Any]], frame: dict[str, Any], size: tuple[int, int]
) -> NDArray[np.int32]:
    sure, unsure = np.zeros(size, dtype=np.uint8), np.zeros(size, dtype=np.uint8)
    for person in people:
        _draw_person(person, sure, unsure)
    regions = (frame.get("ignore_regions_x") or (), frame.get("ignore_regions_y") or ())
    for xs, ys in zip(*regions, strict=True):
        cv2.fillPoly(unsure, [_pixels(list(zip(xs, ys, strict=True)))], 1)
    return np.where(sure > 0, 1, -unsure.astype(np.int32)).astype(np.int32)


def _draw_person(
    person: dict[str, Any], sure: NDArray[np.uint8], unsure: NDArray[np.uint8]
) -> None:
    """Draw what is a person for sure, and the boxes within which the rest of it lies."""
    values = np.asarray(person.get("keypoints") or np.zeros(3 * _KEYPOINTS), dtype=np.float64)
    points, seen = values.reshape(_KEYPOINTS, 3)[:, :2], values[2::3] > 0.0
    box, head = person.get("bbox"), person.get("bbox_head")
    if not box and seen.any():
        low, high = points[seen].min(axis=0), points[seen].max(axis=0)
        box = (*(low - _WIDER * (high - low)), *((1.0 + 2.0 * _WIDER) * (high - low)))
    for x, y, width, height in filter(None, (box, head)):
        right, bottom = x + width, y + height
        corners = _pixels([(x, y), (right, y), (right, bottom), (x, bottom)])
        cv2.fillPoly(unsure, [corners], 1)
    thickness = max(1, round(head[3] / _LIMBS_IN_A_HEAD)) if head else 1
    for limb in _LIMBS:
        if seen[list(limb)].all():
            cv2.polylines(sure, [_pixels(points[list(limb)])], False, 1, thickness)
    if seen[list(_TORSO)].all():
        cv2.fillPoly(sure, [_pixels(points[list(_TORSO)])], 1)


def _pixels(points: Any) -> NDArray[np.int32]:
    return np.rint(np.asarray(points, dtype=np.float64)).astype(np.int32)
