"""What messages say in the package's own types; images are read by `image_decoding`.

They are those of rclpy or of rosbags: only their fields count, so that nothing here needs ROS.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from focdepth_ros.errors import MessageError
from focdepth_ros.stack import CameraIntrinsics
from focdepth_ros.sweep_parts.types import FocusSample

_NANOSECONDS = 10**9
_STEP = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(?:\[(\d{1,6})\])?")  # of the way to a field
_STILL = 1e-9  # of the elements of an identity


class HeaderMessage(Protocol):
    """A ``std_msgs/Header``."""

    stamp: Any
    frame_id: str


class FocusStateMessage(Protocol):
    """A ``focdepth_ros/FocusState``."""

    header: Any
    focus_distance: float
    lens_position: float
    settled: bool
    sweep_id: int
    sweep_step: int
    sweep_size: int


class CameraInfoMessage(Protocol):
    """A ``sensor_msgs/CameraInfo``."""

    width: int
    height: int
    distortion_model: str
    d: Any
    k: Any
    r: Any
    p: Any
    binning_x: int
    binning_y: int
    roi: Any


def stamp_of(header: HeaderMessage) -> int:
    """Stamp of a message in nanoseconds.

    Raises
    ------
    MessageError
        If the nanoseconds make up a second or more, so that two stamps may be of one time.
    """
    seconds, nanoseconds = int(header.stamp.sec), int(header.stamp.nanosec)
    if not 0 <= nanoseconds < _NANOSECONDS:
        raise MessageError(
            f"stamp has {nanoseconds} ns beside {seconds} s; they must be under {_NANOSECONDS}, "
            "correct the clock of the sender",
            reason="bad stamp",
        )
    return seconds * _NANOSECONDS + nanoseconds


def focus_sample(message: FocusStateMessage) -> FocusSample:
    """The focus state of an image without ROS; raises as `stamp_of`."""
    return FocusSample(
        stamp=stamp_of(message.header),
        focus_distance=message.focus_distance,
        lens_position=message.lens_position,
        settled=message.settled,
        sweep_id=message.sweep_id,
        sweep_step=message.sweep_step,
        sweep_size=message.sweep_size,
    )


def image_size(message: CameraInfoMessage) -> tuple[int, int]:
    """Height and width of the images of a ``camera_info``, binned and cut out as it says."""
    across, down = _binning(message)
    roi = message.roi
    width, height = roi.width or message.width, roi.height or message.height
    return height // down, width // across


def _binning(message: CameraInfoMessage) -> tuple[int, int]:
    return max(1, message.binning_x), max(1, message.binning_y)


def camera_intrinsics(
    message: CameraInfoMessage, size: tuple[int, int], *, rectified: bool = False
) -> CameraIntrinsics:
    """The pinhole model of images of this size.

    Binning and region of interest are taken into account: in ``camera_info`` the matrix K is
    that of the full resolution.

    Parameters
    ----------
    message : CameraInfoMessage
    size : tuple of int
        Height and width of the images.
    rectified : bool
        Whether they are rectified, so that P is their matrix and they are not distorted.

    Raises
    ------
    MessageError
        If the camera is not calibrated, or the calibration is for images of another size.
    CalibrationError
        If no real camera can have these values.
    """
    name, matrix, places = "K", message.k, (0, 4, 2, 5)
    if rectified:
        name, matrix, places = "P", message.p, (0, 5, 2, 6)
    fx, fy, cx, cy = (float(matrix[i]) for i in places)
    if fx == 0.0 or fy == 0.0:
        raise MessageError(
            f"camera_info has no calibration: {name} is zero; calibrate the camera",
            reason="camera_info",
        )
    told = image_size(message)
    if told != tuple(size):
        raise MessageError(
            f"camera_info is for images of {told[1]}x{told[0]} px, those that come "
            f"are {size[1]}x{size[0]}; calibrate at the size in use",
            reason="camera_info",
        )
    roi, (across, down) = message.roi, _binning(message)
    return CameraIntrinsics(
        width=size[1],
        height=size[0],
        fx=fx / across,
        fy=fy / down,
        # Pixel centres are at whole numbers, so the first of n binned pixels is at (n - 1) / 2.
        cx=(cx - roi.x_offset + 0.5) / across - 0.5,
        cy=(cy - roi.y_offset + 0.5) / down - 0.5,
        distortion_model="" if rectified else message.distortion_model,
        distortion=() if rectified else tuple(float(value) for value in message.d),
    )


def turns_when_rectified(message: CameraInfoMessage) -> bool:
    """Whether rectification turns the image: it is of a stereo pair whose R is no identity."""
    identity = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    values = [float(value) for value in message.r]
    return any(values) and any(
        abs(value - one) > _STILL for value, one in zip(values, identity, strict=True)
    )


def number_in(message: Any, path: str) -> float:
    """A number in a message of any type; NaN stays NaN.

    Parameters
    ----------
    message : message
    path : str
        Its place, like ``data``, ``point.x`` or ``position[0]``.

    Raises
    ------
    MessageError
        If there is no such place in this message, or no number.
    """
    value = message
    for name, index in _steps(path):
        if not hasattr(value, name):
            raise MessageError(
                f"{type(message).__name__} has no field '{path}'; give the place of the number",
                reason="no such field",
            )
        value = getattr(value, name)
        if index is not None:
            try:
                value = value[index]
            except (IndexError, TypeError, KeyError) as error:
                raise MessageError(
                    f"{type(message).__name__} has nothing at '{path}': {error}",
                    reason="no such field",
                ) from error
    # Of numbers in arrays NumPy has its own types.
    if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__"):
        raise MessageError(
            f"'{path}' of {type(message).__name__} is {type(value).__name__}; give the place of a "
            "number",
            reason="no number",
        )
    return float(value)


def _steps(path: str) -> list[tuple[str, int | None]]:
    steps = []
    for text in path.split("."):
        found = _STEP.fullmatch(text)
        if found is None:
            raise MessageError(
                f"'{path}' is no place in a message; write it like data, point.x or position[0]",
                reason="no such field",
            )
        steps.append((found[1], None if found[2] is None else int(found[2])))
    return steps
