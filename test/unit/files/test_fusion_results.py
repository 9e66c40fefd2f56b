"""Files of a fused stack."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.files.fusion_results import NO_IMAGE, is_fused, nearest_image, write_fusion
from focdepth_ros.files.image_io import read_image

IMAGES = [Path("stack/a.png"), Path("stack/b.png"), Path("stack/c.png")]
INDEX = np.array([[0.0, 0.4, 0.6], [1.2, 2.0, np.nan]], np.float32)
ESTIMATE = DepthEstimate(
    depth=INDEX,
    confidence=np.ones((2, 3), np.float32),
    slice_index=INDEX,
    backend="plain",
    metric=False,
    all_in_focus=np.arange(18, dtype=np.uint8).reshape(2, 3, 3),
)
SETTINGS = {"backend": "plain", "options": {"sigma": 1.5}}


def test_index_is_that_of_the_nearest_image() -> None:
    nearest = nearest_image(INDEX)
    assert nearest.dtype == np.uint16
    np.testing.assert_array_equal(nearest, [[0, 0, 1], [1, 2, NO_IMAGE]])


def test_many_images_have_their_own_numbers() -> None:
    np.testing.assert_array_equal(nearest_image(np.array([[299.7]], np.float32)), [[300]])


def test_index_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_fusion(tmp_path, ESTIMATE, IMAGES, None, SETTINGS)
    read = cv2.imread(str(tmp_path / "index.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, nearest_image(INDEX))
    picture = read_image(tmp_path / "all_in_focus.png")
    np.testing.assert_array_equal(picture, ESTIMATE.all_in_focus)


def test_there_are_metres_where_there_are_distances(tmp_path: Path) -> None:
    metric = replace(ESTIMATE, metric=True)
    written = write_fusion(tmp_path, metric, IMAGES, (0.5, 1.0, np.inf), SETTINGS)
    assert {"depth.npy", "depth.png"} <= set(written.files)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["focus_distances"] == [0.5, 1.0, "inf"]
    assert result["images"] == ["a.png", "b.png", "c.png"]
    assert result["skipped"] == written.skipped == {}
    again = write_fusion(tmp_path, ESTIMATE, IMAGES, None, SETTINGS)
    assert set(again.skipped) == {"depth.npy", "depth.png"}
    assert {path.name for path in tmp_path.iterdir()} == set(again.files)


def test_what_is_done_is_known(tmp_path: Path) -> None:
    assert not is_fused(tmp_path, IMAGES, SETTINGS)
    write_fusion(tmp_path, ESTIMATE, IMAGES, None, SETTINGS)
    assert is_fused(tmp_path, IMAGES, SETTINGS)
    assert not is_fused(tmp_path, IMAGES[:2], SETTINGS)
    assert not is_fused(tmp_path, IMAGES, {**SETTINGS, "backend": "other"})


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"images": null, "settings": 1}'])
def test_what_is_no_result_is_nothing_done(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    assert not is_fused(tmp_path, IMAGES, SETTINGS)


def test_a_run_that_broke_off_is_not_done(tmp_path: Path) -> None:
    write_fusion(tmp_path, ESTIMATE, IMAGES, None, SETTINGS)
    (tmp_path / "index.png").unlink()
    (tmp_path / "index.png").mkdir()  # so that it cannot be written
    with pytest.raises(OSError, match=r"index\.png"):
        write_fusion(tmp_path, ESTIMATE, IMAGES, None, SETTINGS)
    assert not is_fused(tmp_path, IMAGES, SETTINGS)
