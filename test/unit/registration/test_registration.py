"""Transforms that are known are found again, also between slices of different focus."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import pytest
from synthetic_motion import SIZE, distance, seen, similarity

from focdepth_ros.errors import AlignmentError
from focdepth_ros.registration.agreement import agreement
from focdepth_ros.registration.ecc import least_ecc_enough, register_ecc
from focdepth_ros.registration.homography import keypoints_of, register_keypoints
from focdepth_ros.registration.motion import (
    Matrix,
    implausible_because,
    rms_displacement,
    similarity_part,
)
from focdepth_ros.registration.view import check_exposed, view_of

BREATHING = similarity(1.02)
HANDHELD = similarity(1.01, 0.8, (3.3, -2.6))
AFFINE = np.array([[1.02, 0.012, -2.0], [-0.006, 0.99, 1.5], [0.0, 0.0, 1.0]])
TILTED = np.array([[1.0, 0.004, 1.0], [0.002, 1.01, -2.0], [6e-5, -4e-5, 1.0]])


@pytest.mark.parametrize("blur", [(0.0, 0.0), (0.3, 1.3)], ids=["sharp", "refocused"])
@pytest.mark.parametrize(
    ("model", "truth"),
    [
        ("similarity", BREATHING),
        ("similarity", HANDHELD),
        ("affine", AFFINE),
        ("homography", TILTED),
    ],
)
def test_ecc_finds_the_transform(model: Any, truth: Matrix, blur: tuple[float, float]) -> None:
    previous, view = view_of(seen(np.eye(3), blur=blur[0])), view_of(seen(truth, blur=blur[1]))
    found = register_ecc(previous, view, model=model)
    assert distance(found, truth) < 0.25
    assert distance(np.eye(3), truth) > 2.0


@pytest.mark.parametrize("truth", [BREATHING, HANDHELD, AFFINE, TILTED])
def test_the_least_model_that_explains_the_motion_is_taken(truth: Matrix) -> None:
    previous, view = view_of(seen(np.eye(3))), view_of(seen(truth, blur=0.5))
    found = least_ecc_enough(previous, view, register_ecc(previous, view, model="similarity"))
    assert distance(found, truth) < 0.25
    is_similarity = distance(similarity_part(found, SIZE), found) < 1e-6
    assert is_similarity == (truth is BREATHING or truth is HANDHELD)
    assert np.any(found[2, :2] != 0.0) == (truth is TILTED)


@pytest.mark.parametrize("truth", [BREATHING, HANDHELD, AFFINE, TILTED])
def test_points_find_the_transform(truth: Matrix) -> None:
    previous, points = keypoints_of(seen(np.eye(3))), keypoints_of(seen(truth, blur=0.5))
    assert distance(register_keypoints(previous, points), truth) < 0.5


def test_points_close_together_give_a_similarity() -> None:
    def only_the_middle(image: Any) -> Any:
        covered = np.full_like(image, 128)
        covered[66:126, 88:168] = image[66:126, 88:168]
        return covered

    previous = keypoints_of(only_the_middle(seen(np.eye(3))))
    points = keypoints_of(only_the_middle(seen(similarity(shift=(2.0, 1.0)))))
    found = register_keypoints(previous, points)
    assert distance(similarity_part(found, SIZE), found) < 1e-6


def test_large_images_are_registered_small_and_found_at_full_size() -> None:
    scale = np.diag([6.0, 6.0, 1.0])
    scale[:2, 2] = 2.5  # pixel centres are at whole numbers

    def large(image: Any) -> Any:
        return cv2.resize(image, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)

    previous, view = view_of(large(seen(np.eye(3)))), view_of(large(seen(HANDHELD)))
    assert view.detail.size < 0.1 * view.size[0] * view.size[1]
    found = register_ecc(previous, view, model="similarity")
    assert distance(np.linalg.inv(scale) @ found @ scale, HANDHELD) < 0.1


def test_another_scene_does_not_match() -> None:
    image, other = seen(np.eye(3)), seen(np.eye(3), seed=7)
    with pytest.raises(AlignmentError, match=r"of what can be seen matches the slice before"):
        agreement(view_of(image), view_of(other), np.eye(3)).check()
    with pytest.raises(AlignmentError, match=r"match|agree"):
        register_keypoints(keypoints_of(image), keypoints_of(other))


def test_a_place_without_texture_tells_nothing() -> None:
    grey = np.full((*SIZE, 3), 120, np.uint8)
    seen_there = agreement(view_of(grey), view_of(grey), np.eye(3))
    assert not seen_there.can_tell
    with pytest.raises(AlignmentError, match="0 % of the image shows detail in both slices"):
        seen_there.check()
    with pytest.raises(AlignmentError, match="0 and 0 points found, 0 match; at least 12"):
        register_keypoints(keypoints_of(grey), keypoints_of(grey))


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (0, "100 % of the image is black"),
        (255, "100 % of the image is overexposed"),
        (90, "the image is blank: its grey levels spread by 0.00, at least 0.5"),
    ],
)
def test_images_on_which_there_is_nothing_are_refused(level: int, message: str) -> None:
    with pytest.raises(AlignmentError, match=message):
        check_exposed(np.full(SIZE, level, np.uint8))
    check_exposed(view_of(seen(np.eye(3))).grey)


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (similarity(shift=(90.0, 0.0)), "moves a corner by 90 px"),
        (similarity(0.6), "stretches the edges of the image by 0.60 to 0.60"),
        (np.diag([-1.0, 1.0, 1.0]), "moves a corner by 510 px|folds|stretches"),
        (np.array([[1.0, 0, 0], [0, 1.0, 0], [-0.02, 0, 1.0]]), "folds the image over"),
        (np.full((3, 3), np.nan), "folds the image over"),
    ],
)
def test_what_no_camera_does_is_named(matrix: Matrix, reason: str) -> None:
    found = implausible_because(matrix, SIZE)
    assert found is not None
    assert re.search(reason, found)
    assert implausible_because(HANDHELD, SIZE) is None


def test_displacement_of_a_shift_is_its_length() -> None:
    assert rms_displacement(similarity(shift=(3.0, 4.0)), SIZE) == pytest.approx(5.0)
    assert rms_displacement(np.eye(3), SIZE) == 0.0
