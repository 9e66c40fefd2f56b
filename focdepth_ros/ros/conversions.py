"""Between ROS messages and the package's own types; images come in through `image_decoding`."""

from __future__ import annotations

import copy
import sys

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from focdepth_ros.errors import MessageError
from focdepth_ros.geometry import point_planes
from focdepth_ros.msg import FocusState
from focdepth_ros.stack import CameraIntrinsics, FloatImage, ImageArray
from focdepth_ros.sweep_types import FocusSample

_NANOSECONDS = 10**9
_IS_BIG_ENDIAN = sys.byteorder == "big"


def stamp_of(header: Header) -> int:
    """Stamp of a message in nanoseconds."""
    return int(header.stamp.sec) * _NANOSECONDS + int(header.stamp.nanosec)


def time_message(stamp: int) -> Time:
    """A stamp in nanoseconds as a message."""
    seconds, nanoseconds = divmod(stamp, _NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)


def focus_sample(message: FocusState) -> FocusSample:
    """The focus state of an image without ROS."""
    return FocusSample(
        stamp=stamp_of(message.header),
        focus_distance=message.focus_distance,
        lens_position=message.lens_position,
        settled=message.settled,
        sweep_id=message.sweep_id,
        sweep_step=message.sweep_step,
        sweep_size=message.sweep_size,
    )


def camera_intrinsics(message: CameraInfo, size: tuple[int, int]) -> CameraIntrinsics:
    """The pinhole model of images of this size.

    Binning and region of interest are taken into account: in ``camera_info`` the matrix K is
    that of the full resolution.

    Parameters
    ----------
    message : CameraInfo
    size : tuple of int
        Height and width of the images.

    Raises
    ------
    MessageError
        If the camera is not calibrated, or the calibration is for images of another size.
    CalibrationError
        If no real camera can have these values.
    """
    fx, fy, cx, cy = (float(message.k[i]) for i in (0, 4, 2, 5))
    if fx == 0.0 or fy == 0.0:
        raise MessageError(
            "camera_info has no calibration: K is zero; calibrate the camera", reason="camera_info"
        )
    across, down = max(1, message.binning_x), max(1, message.binning_y)
    roi = message.roi
    width, height = roi.width or message.width, roi.height or message.height
    if (height // down, width // across) != tuple(size):
        raise MessageError(
            f"camera_info is for images of {width // across}x{height // down} px, those that come "
            f"are {size[1]}x{size[0]}; calibrate at the size in use",
            reason="camera_info",
        )
    return CameraIntrinsics(
        width=size[1],
        height=size[0],
        fx=fx / across,
        fy=fy / down,
        # Pixel centres are at whole numbers, so the first of n binned pixels is at (n - 1) / 2.
        cx=(cx - roi.x_offset + 0.5) / across - 0.5,
        cy=(cy - roi.y_offset + 0.5) / down - 0.5,
        distortion_model=message.distortion_model,
        distortion=tuple(float(value) for value in message.d),
    )


def camera_info_message(intrinsics: CameraIntrinsics, header: Header) -> CameraInfo:
    """The pinhole model as a message, without rectification."""
    fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
    model = intrinsics.distortion_model or "plumb_bob"
    return CameraInfo(
        header=header,
        width=intrinsics.width,
        height=intrinsics.height,
        distortion_model=model,
        d=list(intrinsics.distortion) or ([0.0] * 5 if model == "plumb_bob" else []),
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def with_header(message: CameraInfo, header: Header) -> CameraInfo:
    """The same ``camera_info`` with another header."""
    renewed = copy.copy(message)
    renewed.header = header
    return renewed


def float_image_message(image: FloatImage, header: Header) -> Image:
    """(H, W) float32 as 32FC1."""
    return _image_message(image, "32FC1", header)


def rgb_image_message(image: ImageArray, header: Header) -> Image:
    """(H, W, 3) uint8 as rgb8."""
    return _image_message(image, "rgb8", header)


def mono_image_message(image: ImageArray, header: Header) -> Image:
    """(H, W) uint8 as mono8."""
    return _image_message(image, "mono8", header)


def point_cloud_message(
    depth: FloatImage, intrinsics: CameraIntrinsics, colours: ImageArray, header: Header
) -> PointCloud2:
    """A depth image as an organised cloud of x, y, z and rgb as PCL and RViz know it.

    Parameters
    ----------
    depth : (H, W) float32
        Metres; what is not finite becomes a point of NaN.
    intrinsics : CameraIntrinsics
    colours : (H, W, 3) uint8 RGB or (H, W) uint8
    header : Header
        Its frame is the optical frame.

    Raises
    ------
    CalibrationError
        If the intrinsics are for another size, or their distortion model is not known.
    """
    height, width = depth.shape
    # OpenCV interleaves four times as quickly as NumPy.
    points = cv2.merge([*point_planes(depth, intrinsics), _packed_rgb(colours).view(np.float32)])
    message = PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=[
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
            for i, name in enumerate(("x", "y", "z", "rgb"))
        ],
        is_bigendian=_IS_BIG_ENDIAN,
        point_step=points.itemsize * 4,
        row_step=points.itemsize * 4 * width,
        is_dense=False,
    )
    _fill(message, points)
    return message


def _packed_rgb(colours: ImageArray) -> NDArray[np.uint32]:
    """0x00RRGGBB of every pixel, (H, W)."""
    if colours.ndim == 2:
        return np.asarray(colours.astype(np.uint32) * np.uint32(0x010101), dtype=np.uint32)
    packed = colours[..., 0].astype(np.uint32)
    for channel in (1, 2):
        packed <<= np.uint32(8)
        packed |= colours[..., channel]
    return packed


def _image_message(image: NDArray[np.generic], encoding: str, header: Header) -> Image:
    height, width = image.shape[:2]
    message = Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=_IS_BIG_ENDIAN,
        step=image.nbytes // height,
    )
    _fill(message, image)
    return message


def _fill(message: Image | PointCloud2, values: NDArray[np.generic]) -> None:
    # Assigning to `data` checks every single byte in Python: 150 ms for an image of 1080p.
    message.data.frombytes(memoryview(np.ascontiguousarray(values).data).cast("B"))
