"""Reads calibrations of cameras as ROS keeps them: ``camera_info`` in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo

from focdepth_ros.errors import CalibrationError, MessageError
from focdepth_ros.files.yaml_files import is_number, read_yaml
from focdepth_ros.messages.reading import camera_intrinsics


def read_camera_info(path: Path | str) -> CameraInfo:
    """Read a file that camera_calibration or camera_calibration_parsers wrote.

    Parameters
    ----------
    path : Path or str
        May begin with ``file://``, as the URLs of camera drivers do.

    Raises
    ------
    CalibrationError
        If the file cannot be read, or holds no calibration; the message says what is wrong.
    """
    path = Path(str(path).removeprefix("file://"))
    content = read_yaml(
        path,
        "calibration",
        error=CalibrationError,
        remedy="give a file that camera_calibration wrote",
    )
    try:
        message = _from_content(content)
        camera_intrinsics(message, (message.height, message.width))
    except (CalibrationError, MessageError) as error:
        raise CalibrationError(f"calibration '{path}': {error}") from error
    return message


def _from_content(content: object) -> CameraInfo:
    if not isinstance(content, dict):
        raise CalibrationError(f"it is {type(content).__name__}; it should have camera_matrix etc.")
    width, height = (_side(content, key) for key in ("image_width", "image_height"))
    camera = _values(content, "camera_matrix", 9)
    if "projection_matrix" in content:
        projection = _values(content, "projection_matrix", 12)
    else:
        rows = np.reshape(camera, (3, 3))
        projection = np.hstack((rows, np.zeros((3, 1)))).ravel().tolist()
    turned = "rectification_matrix" in content
    return CameraInfo(
        width=width,
        height=height,
        distortion_model=str(content.get("distortion_model", "plumb_bob")),
        d=_values(content, "distortion_coefficients", None),
        k=camera,
        r=_values(content, "rectification_matrix", 9) if turned else np.eye(3).ravel().tolist(),
        p=projection,
    )


def _side(content: dict[Any, Any], key: str) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 2**31 - 1:
        raise CalibrationError(f"{key} is {value!r}; it must be a whole number of pixels")
    return value


def _values(content: dict[Any, Any], key: str, count: int | None) -> list[float]:
    matrix = content.get(key)
    values = matrix.get("data") if isinstance(matrix, dict) else None
    if not isinstance(values, list) or not all(map(is_number, values)):
        raise CalibrationError(f"{key} has no list of numbers as its data")
    if count is not None and len(values) != count:
        raise CalibrationError(f"{key} has {len(values)} numbers as its data; it must have {count}")
    return [float(value) for value in values]
