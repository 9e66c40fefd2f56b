"""From the package's own types to ROS messages; `focdepth_ros.messages.reading` is the way back."""

from __future__ import annotations

import copy
import sys

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from focdepth_ros.geometry import point_planes
from focdepth_ros.stack import CameraIntrinsics, FloatImage, ImageArray

_NANOSECONDS = 10**9
_IS_BIG_ENDIAN = sys.byteorder == "big"


def time_message(stamp: int) -> Time:
    """A stamp in nanoseconds as a message."""
    seconds, nanoseconds = divmod(stamp, _NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)


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


def bgr_image_message(image: ImageArray, header: Header) -> Image:
    """(H, W, 3) uint8 in the order of OpenCV as bgr8."""
    return _image_message(image, "bgr8", header)


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
