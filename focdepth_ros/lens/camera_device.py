"""Cameras that a program opens by itself: images and controls through `CameraDevice`.

`OpenCvDevice` is the real one, for USB (UVC) cameras and built-in webcams under Linux.
"""

from __future__ import annotations

import fcntl
import math
import os
import struct
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from focdepth_ros.errors import CameraDeviceError
from focdepth_ros.stack import ImageArray

# From linux/videodev2.h: struct v4l2_queryctrl, its ioctl, and the control asked for.
_QUERY = struct.Struct("=II32s4iI2I")
_QUERY_REQUEST = 0xC0000000 | _QUERY.size << 16 | ord("V") << 8 | 36
_FOCUS_ABSOLUTE = 0x009A090A
_FLAG_DISABLED = 0x0001

_MAX_AGE = 1.0  # seconds; beyond it the time that a driver gives is of another clock
_TRIES = 5  # frames in a row that may be broken


class Control(Enum):
    """What can be set on a camera; automatic ones are 0 for off."""

    FOCUS = "focus"
    AUTO_FOCUS = "auto-focus"
    AUTO_EXPOSURE = "auto-exposure"
    AUTO_WHITE_BALANCE = "automatic white balance"


_PROPERTIES = {
    Control.FOCUS: cv2.CAP_PROP_FOCUS,
    Control.AUTO_FOCUS: cv2.CAP_PROP_AUTOFOCUS,
    Control.AUTO_EXPOSURE: cv2.CAP_PROP_AUTO_EXPOSURE,
    Control.AUTO_WHITE_BALANCE: cv2.CAP_PROP_AUTO_WB,
}
# V4L2 counts modes of exposure: 1 is manual, all others are more or less automatic.
_OFF = {Control.AUTO_EXPOSURE: 1.0}


@dataclass(frozen=True)
class DeviceSettings:
    """What is asked of a camera when it is opened.

    Parameters
    ----------
    device : str
        Its number or path, such as ``0`` or ``/dev/video0``.
    width, height : int
        Of the images [px].
    frame_rate : float
        Hz.
    pixel_format : str
        Four letters, such as ``MJPG`` or ``YUYV``; empty: what the driver takes.
    """

    device: str
    width: int = 640
    height: int = 480
    frame_rate: float = 30.0
    pixel_format: str = "MJPG"


@dataclass(frozen=True, eq=False)
class DeviceFrame:
    """One image of a camera.

    Parameters
    ----------
    image : (H, W, 3) uint8 BGR or (H, W) uint8
    age : float
        Seconds since it was exposed, as far as the driver tells; 0 where it does not.
    """

    image: ImageArray
    age: float = 0.0


class CameraDevice(Protocol):
    """A camera that can be opened again after it was closed or lost.

    All but `close` may raise `CameraDeviceError`: the camera cannot be used, or not any more.
    """

    def open(self) -> None:
        """Take the camera, with its settings."""

    def close(self) -> None:
        """Let go of the camera; it need not be open."""

    def read(self) -> DeviceFrame:
        """Wait for the next image."""

    def set(self, control: Control, value: float) -> bool:
        """Set a control; False if the camera has none, or refuses the value."""

    def get(self, control: Control) -> float:
        """A control as the camera tells it; NaN if it does not."""

    def focus_range(self) -> tuple[float, float, float] | None:
        """Least and greatest focus position, and the step; None if the driver does not tell."""


class OpenCvDevice:
    """A camera through OpenCV; see `CameraDevice`.

    Parameters
    ----------
    settings : DeviceSettings
        The path may be that of a video file, too, which has images and no controls.
    """

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        name = settings.device
        self.path = Path(f"/dev/video{name}") if name.isdecimal() else Path(name)
        self._is_video_device = str(self.path).startswith("/dev/")
        self._capture: Any = None

    def open(self) -> None:
        """Take the camera; controls keep their values."""
        self.close()
        self._check_path()
        wanted = self._settings
        # By its path, so that links such as /dev/v4l/by-id/... work, too.
        kind = cv2.CAP_V4L2 if self._is_video_device else cv2.CAP_ANY
        capture = cv2.VideoCapture(str(self.path.resolve()), kind)
        if not capture.isOpened():
            capture.release()
            raise CameraDeviceError(
                f"camera '{self.path}' cannot be opened; it is in use by another program, or "
                "gives no images (such as the second device of many webcams)"
            )
        if self._is_video_device:
            if wanted.pixel_format:
                code = cv2.VideoWriter.fourcc(*wanted.pixel_format)
                capture.set(cv2.CAP_PROP_FOURCC, code)
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height)
            capture.set(cv2.CAP_PROP_FPS, wanted.frame_rate)
            # An image that waits in the driver was exposed before the focus moved.
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture = capture

    def close(self) -> None:
        """Let go of the camera."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def read(self) -> DeviceFrame:
        """Wait for the next image; broken ones are passed over."""
        capture = self._opened()
        for _ in range(_TRIES):
            if not capture.grab():
                break
            age = self._age()
            is_whole, image = capture.retrieve()
            if is_whole and image is not None:
                return DeviceFrame(np.asarray(image, dtype=np.uint8), age)
        raise CameraDeviceError(
            f"camera '{self.path}' gives no more images; is it still plugged in?"
        )

    def set(self, control: Control, value: float) -> bool:
        """Set a control; an automatic one to 0 for off, or to what `get` has given."""
        if value == 0.0:
            value = _OFF.get(control, 0.0)
        return bool(self._opened().set(_PROPERTIES[control], value))

    def get(self, control: Control) -> float:
        """A control as the driver tells it."""
        value = float(self._opened().get(_PROPERTIES[control]))
        if value == _OFF.get(control):
            return 0.0
        return value if self._is_video_device and value >= 0.0 else math.nan

    def focus_range(self) -> tuple[float, float, float] | None:
        """As the kernel's driver describes its focus control."""
        if not self._is_video_device:
            return None
        return focus_range_of(self.path)

    def _opened(self) -> Any:
        if self._capture is None:
            raise CameraDeviceError(f"camera '{self.path}' is not open; open it first")
        return self._capture

    def _check_path(self) -> None:
        """Say why a camera cannot be there: OpenCV would not."""
        if not self.path.exists():
            there = sorted(str(path) for path in Path("/dev").glob("video*"))
            others = f"there are {', '.join(there)}" if there else "there is no camera at all"
            raise CameraDeviceError(
                f"camera '{self.path}' does not exist; {others}: plug it in, or set device"
            )
        if self._is_video_device and not os.access(self.path, os.R_OK | os.W_OK):
            raise CameraDeviceError(
                f"camera '{self.path}' may not be used by this user; "
                "add it to the group of the device: sudo usermod -aG video $USER"
            )

    def _age(self) -> float:
        if not self._is_video_device:
            return 0.0
        # The driver's own time of the image, on the clock that Python calls monotonic.
        age = time.monotonic() - 1e-3 * float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return age if 0.0 <= age < _MAX_AGE else 0.0


def focus_range_of(path: Path) -> tuple[float, float, float] | None:
    """Least and greatest value of ``focus_absolute`` of a V4L2 device, and the step between values.

    None if it has no such control. OpenCV knows no ranges of controls, so the kernel is asked.
    """
    query = bytearray(_QUERY.pack(_FOCUS_ABSOLUTE, 0, b"", 0, 0, 0, 0, 0, 0, 0))
    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.ioctl(handle, _QUERY_REQUEST, query)
    except OSError:
        return None
    finally:
        os.close(handle)
    _, _, _, least, greatest, step, _, flags, _, _ = _QUERY.unpack(query)
    if flags & _FLAG_DISABLED or least >= greatest:
        return None
    return float(least), float(greatest), float(max(step, 1))
