"""PoseTrack 2018 in miniature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from focdepth_ros.datasets.posetrack import PoseTrack
from focdepth_ros.errors import DatasetError

HEIGHT, WIDTH = 48, 64
LEFT_ELBOW, LEFT_WRIST = 7, 9
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = 5, 6, 11, 12


def keypoints(**where: tuple[float, float]) -> list[float]:
    """All 17, of which those that are given are visible."""
    values = np.zeros((17, 3))
    for name, point in where.items():
        values[globals()[name.upper()]] = (*point, 1)
    return [float(value) for value in values.ravel()]


def frame(split: str, sequence: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "has_no_densepose": True,
        "is_labeled": True,
        "file_name": f"images/{split}/{sequence}/{number:06d}.jpg",
        "nframes": 3,
        "frame_id": 10003420000 + number,
        "vid_id": sequence[:6],
        "id": 10003420000 + number,
    } | more


def write_sequence(root: Path, split: str, name: str, **content: Any) -> Path:
    path = root / f"posetrack_data/annotations/{split}/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"categories": [], **content}))
    for image in content.get("images", ()):
        picture = root / image["file_name"]
        picture.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[::2, ::2] = (0, 0, 250)  # red
        cv2.imwrite(str(picture), pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])
    return path


ARM = {
    "image_id": 10003420000,
    "id": 1000342000000,
    "track_id": 0,
    "category_id": 1,
    "bbox": [10.0, 8.0, 20.0, 30.0],
    "bbox_head": [12.0, 4.0, 8.0, 8.0],
    "keypoints": keypoints(left_elbow=(15.0, 20.0), left_wrist=(25.0, 20.0)),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    name = "000342_mpii_test"
    images = [
        frame("val", name, 0, ignore_regions_x=[[50, 60, 60, 50]], ignore_regions_y=[[0, 0, 9, 9]]),
        frame("val", name, 1, is_labeled=False),
        frame("val", name, 2),
    ]
    elsewhere = {**ARM, "image_id": 10003420002, "bbox": [40.0, 0.0, 20.0, 47.0]}
    write_sequence(tmp_path, "val", name, images=images, annotations=[ARM, elsewhere])
    write_sequence(tmp_path, "train", "000001_bonn_train", images=[], annotations=[])
    test = [frame("test", "000001_mpiinew_test", i, is_labeled=False) for i in range(2)]
    write_sequence(tmp_path, "test", "000001_mpiinew_test", images=test)
    return tmp_path


def test_scenes_are_the_labelled_frames(root: Path) -> None:
    assert PoseTrack(root, "val").scenes == ("000342_mpii_test/000000", "000342_mpii_test/000002")
    with pytest.raises(DatasetError, match="holds no scene of the split 'train'"):
        PoseTrack(root)


def test_all_frames_of_the_test_split_are_scenes_without_labels(root: Path) -> None:
    dataset = PoseTrack(root, "test")
    assert dataset.scenes == ("000001_mpiinew_test/000000", "000001_mpiinew_test/000001")
    assert dataset.load(dataset.scenes[0]).labels is None


def test_annotations_may_lie_beside_the_images(root: Path) -> None:
    (root / "posetrack_data/annotations").rename(root / "annotations")
    (root / "posetrack_data").rmdir()
    assert PoseTrack(root, "val").load("000342_mpii_test/000002").labels is not None


def test_a_frame_becomes_a_sweep_over_its_print_without_depth(root: Path) -> None:
    dataset = PoseTrack(root, "val")
    sample = dataset.load("000342_mpii_test/000000")
    assert sample.depth is None
    assert not sample.valid_mask.any()
    np.testing.assert_allclose(sample.stack.dioptres, [1.0, 0.75, 0.5, 0.25, 0.0])
    contrast = [float(item.image[..., 0].std()) for item in sample.stack.slices]
    assert contrast.index(max(contrast)) == 2
    assert sample.all_in_focus is not None
    assert sample.all_in_focus[10, 10, 0] > sample.all_in_focus[10, 10, 2] + 50


def test_labels_are_sure_on_limbs_and_open_within_boxes(root: Path) -> None:
    labels = PoseTrack(root, "val").photograph("000342_mpii_test/000000").labels
    assert labels is not None
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == {-1, 0, 1}
    assert labels[20, 20] == 1  # on the forearm
    assert labels[20, 12] == -1  # beyond the elbow, in the box
    assert labels[24, 20] == -1  # below the arm: it is a quarter of a head wide
    assert labels[38, 30] == -1  # the corner of the box
    assert labels[39, 31] == 0
    assert labels[5, 13] == -1  # in the box of the head
    assert labels[5, 55] == -1  # in the region to ignore
    assert labels[11, 55] == 0
    assert (labels == 1).sum() == pytest.approx(11 * 2, abs=16)


def test_each_frame_has_its_own_people(root: Path) -> None:
    labels = PoseTrack(root, "val").photograph("000342_mpii_test/000002").labels
    assert labels is not None
    assert labels[20, 50] == -1
    assert labels[38, 28] == 0


def test_a_body_is_filled_and_a_missing_box_made_of_the_keypoints(root: Path) -> None:
    body = {
        "image_id": 10003420000,
        "keypoints": keypoints(
            left_shoulder=(30.0, 10.0),
            right_shoulder=(10.0, 10.0),
            left_hip=(30.0, 30.0),
            right_hip=(10.0, 30.0),
        ),
    }
    images = [frame("val", "000342_mpii_test", 0)]
    write_sequence(root, "val", "000342_mpii_test", images=images, annotations=[body])
    labels = PoseTrack(root, "val").photograph("000342_mpii_test/000000").labels
    assert labels is not None
    assert (labels[10:31, 10:31] == 1).all()
    assert (labels == 1).sum() == 21 * 21
    assert labels[8, 8] == -1  # 20 px and 3 more at every side
    assert (labels != 0).sum() == 27 * 27


def test_says_what_is_missing(root: Path) -> None:
    (root / "images/val/000342_mpii_test/000000.jpg").unlink()
    dataset = PoseTrack(root, "val")
    assert len(dataset) == 2
    with pytest.raises(DatasetError, match=r"images/val/000342_mpii_test/000000\.jpg"):
        dataset.load("000342_mpii_test/000000")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", r"000342_mpii_test\.json: cannot be read as JSON"),
        ("[]", "holds a list; expected annotations"),
        ('{"annolist": []}', "has no 'images'; it has annolist"),
    ],
)
def test_says_what_is_wrong_with_a_file(root: Path, text: str, words: str) -> None:
    (root / "posetrack_data/annotations/val/000342_mpii_test.json").write_text(text)
    with pytest.raises(DatasetError, match=words):
        PoseTrack(root, "val")


@pytest.mark.parametrize(
    "change",
    [{"keypoints": [1.0, 2.0, 1.0]}, {"bbox": [1.0, 2.0]}, {"bbox": [10**400, 1, 1, 1]}],
    ids=["few keypoints", "half a box", "huge"],
)
def test_says_which_annotation_is_wrong(root: Path, change: dict[str, Any]) -> None:
    images = [frame("val", "000342_mpii_test", 0)]
    people = [{**ARM, **change}]
    write_sequence(root, "val", "000342_mpii_test", images=images, annotations=people)
    with pytest.raises(DatasetError, match="frame '000342_mpii_test/000000' has another form"):
        PoseTrack(root, "val").load("000342_mpii_test/000000")
