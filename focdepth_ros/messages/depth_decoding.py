"""Depths and confidences out of image messages, of rclpy or of rosbags."""

from __future__ import annotations

from typing import Any

import numpy as np

from focdepth_ros.errors import MessageError, quoted
from focdepth_ros.stack import FloatImage

_FLOAT, _MILLIMETRES = "32FC1", "16UC1"
_MILLIMETRES_PER_METRE = np.float32(1000.0)


def depth_image(message: Any, topic: str) -> FloatImage:
    """Depth (H, W) in metres, NaN where it is not known.

    32FC1 is taken as it is, 16UC1 in mm (REP 118).

    Parameters
    ----------
    message : sensor_msgs/Image
    topic : str
        For the messages of errors.

    Raises
    ------
    MessageError
        If it is of another encoding, or its size contradicts its data.
    """
    if message.encoding not in (_FLOAT, _MILLIMETRES):
        raise MessageError(
            f"depth on {topic} is {quoted(message.encoding)}; it must be 32FC1 in metres or "
            "16UC1 in mm"
        )
    if message.encoding == _FLOAT:
        depth = _values(message, topic, "f4").astype(np.float32)
    else:
        depth = _values(message, topic, "u2").astype(np.float32) / _MILLIMETRES_PER_METRE
    depth[~(depth > 0.0)] = np.nan
    return np.asarray(depth, np.float32)


def float_image(message: Any, topic: str) -> FloatImage:
    """Values (H, W) of an image of 32FC1; parameters and errors as of `depth_image`."""
    if message.encoding != _FLOAT:
        raise MessageError(f"the image on {topic} is {quoted(message.encoding)}; it must be 32FC1")
    return np.asarray(_values(message, topic, "f4").astype(np.float32), np.float32)


def _values(message: Any, topic: str, kind: str) -> np.ndarray[Any, Any]:
    dtype = np.dtype((">" if message.is_bigendian else "<") + kind)
    rows, row_bytes = message.height, message.width * dtype.itemsize
    if message.step < row_bytes or len(message.data) != rows * message.step or not rows * row_bytes:
        raise MessageError(
            f"the image on {topic} of {message.width}x{rows} px has {len(message.data)} bytes; "
            f"{rows} rows of {message.step} bytes, each at least {row_bytes}, are expected"
        )
    data = np.frombuffer(message.data, np.uint8).reshape(rows, message.step)[:, :row_bytes]
    return np.ascontiguousarray(data).view(dtype)
