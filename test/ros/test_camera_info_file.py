from __future__ import annotations

from pathlib import Path

import pytest
from camera_calibration import CALIBRATION

from focdepth_ros.errors import CalibrationError
from focdepth_ros.messages.reading import camera_intrinsics
from focdepth_ros.ros.camera_info_file import read_camera_info


def test_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(CALIBRATION, encoding="utf-8")
    for name in (path, f"file://{path}"):
        message = read_camera_info(name)
        assert (message.width, message.height) == (640, 480)
        assert message.distortion_model == "plumb_bob"
        assert list(message.d) == [0.1, -0.25, 0.001, 0.002, 0.0]
        assert (message.p[0], message.p[6], message.r[4]) == (590.0, 242.0, 1.0)
        intrinsics = camera_intrinsics(message, (480, 640))
        assert (intrinsics.fx, intrinsics.cy) == (601.5, 241.75)


def test_without_rectification(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(CALIBRATION.partition("rectification_matrix")[0], encoding="utf-8")
    message = read_camera_info(path)
    assert list(message.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert list(message.p) == [601.5, 0, 318.25, 0, 0, 602.5, 241.75, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("image_width: 640", "image_width: wide", "image_width is 'wide'; it must be a whole"),
        ("241.75, 0.0,", "241.75,", "camera_matrix has 8 numbers as its data; it must have 9"),
        ("[601.5, 0.0,", "[0.0, 0.0,", "camera_info has no calibration: K is zero"),
        ("[601.5, 0.0,", "[.nan, 0.0,", "fx=nan"),
        ("  data: [0.1, -0.25,", "  data: [a, -0.25,", "distortion_coefficients has no list"),
        ("camera_matrix:", "camera_matrix: 3\nother:", "camera_matrix has no list of numbers"),
        ("image_width: 640", "image_width: [", "is no valid YAML"),
    ],
)
def test_no_calibration(tmp_path: Path, before: str, after: str, words: str) -> None:
    path = tmp_path / "camera.yaml"
    assert before in CALIBRATION
    path.write_text(CALIBRATION.replace(before, after), encoding="utf-8")
    with pytest.raises(CalibrationError) as error:
        read_camera_info(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_no_file() -> None:
    with pytest.raises(CalibrationError, match=r"'/no/such\.yaml' cannot be read: No such file"):
        read_camera_info("/no/such.yaml")
