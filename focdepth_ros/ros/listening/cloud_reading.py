"""Points and colours out of messages of clouds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointField

from focdepth_ros.errors import MessageError

_AXES, _COLOUR = ("x", "y", "z"), "rgb"
_BYTES = 4  # of each of them
_WITHOUT_COLOUR = 200  # grey


def cloud_arrays(message: Any, topic: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Points (H, W, 3) in metres and RGB colours (H, W, 3) of a cloud; grey without colours.

    Parameters
    ----------
    message : sensor_msgs/PointCloud2
    topic : str
        For the messages of errors.

    Raises
    ------
    MessageError
        If it has no x, y and z of 32-bit floats, or its size contradicts its data.
    """
    height, width, step = message.height, message.width, message.point_step
    rows = len(message.data) // max(message.row_step, 1)
    if not step or message.row_step < width * step or rows != height or not height * width:
        raise MessageError(
            f"the cloud on {topic} of {width}x{height} points has {len(message.data)} bytes; "
            f"{height} rows of {message.row_step} bytes, each of {width} points of {step} bytes, "
            "are expected"
        )
    offsets = {
        field.name: field.offset
        for field in message.fields
        if field.datatype in (PointField.FLOAT32, PointField.UINT32)
        and field.offset + _BYTES <= step
    }
    missing = [name for name in _AXES if name not in offsets]
    if missing:
        raise MessageError(
            f"the cloud on {topic} has no {', '.join(missing)} of 32-bit floats; it must have x, "
            "y and z"
        )
    rows_of_bytes = np.frombuffer(message.data, np.uint8).reshape(height, message.row_step)
    data = rows_of_bytes[:, : width * step].reshape(height, width, step)
    order = ">" if message.is_bigendian else "<"

    def values(name: str, kind: str) -> NDArray[Any]:
        at = offsets[name]
        return np.ascontiguousarray(data[..., at : at + _BYTES]).view(order + kind)[..., 0]

    points = np.stack([values(name, "f4") for name in _AXES], axis=-1).astype(np.float32)
    if _COLOUR not in offsets:
        return points, np.full(points.shape, _WITHOUT_COLOUR, np.uint8)
    packed = values(_COLOUR, "u4")
    colours = np.stack([packed >> shift for shift in (16, 8, 0)], axis=-1)
    return points, (colours & 0xFF).astype(np.uint8)
