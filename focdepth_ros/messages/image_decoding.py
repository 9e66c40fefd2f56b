"""From image messages to RGB or mono arrays: checks first, then no more copies than needed.

The headers of a message are checked when it arrives, its pixels are decoded when they are
needed. ``cv_bridge`` is not used: it decodes before anything is checked. The messages are those of
rclpy or of rosbags: only their fields count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import MessageError, quoted
from focdepth_ros.messages.compressed_header import compressed_image_size
from focdepth_ros.stack import ImageArray

# Depth from focus compares neighbouring pixels.
_MIN_SIDE = 8


@dataclass(frozen=True)
class ImageLimits:
    """Which images are taken, and how those of 16 bits are read.

    Parameters
    ----------
    max_pixels : int
        Larger images are refused before anything is allocated for them.
    bit_depth : int
        Used bits of 16-bit images, in [8, 16].
    """

    max_pixels: int = 20_000_000
    bit_depth: int = 16


@dataclass(frozen=True)
class IncomingImage:
    """An image whose headers are checked and whose pixels are still to be decoded.

    Parameters
    ----------
    size : tuple of int
        Height and width.
    encoding : str
    decode : callable
        Returns (H, W, 3) RGB or (H, W) mono uint8. May raise `MessageError`.
    """

    size: tuple[int, int]
    encoding: str
    decode: Callable[[], ImageArray]


class RawImageMessage(Protocol):
    """A ``sensor_msgs/Image``; its `data` lends out its bytes."""

    height: int
    width: int
    encoding: str
    is_bigendian: Any
    step: int
    data: Any


class CompressedImageMessage(Protocol):
    """A ``sensor_msgs/CompressedImage``."""

    format: str
    data: Any


# Rows as they came (H, W * bytes per pixel) → image.
_Decoder = Callable[[ImageArray], ImageArray]


def _mono(rows: ImageArray) -> ImageArray:
    return rows


def _rgb(rows: ImageArray) -> ImageArray:
    return rows.reshape(rows.shape[0], -1, 3)


def _converted(code: int, channels: int) -> _Decoder:
    def decode(rows: ImageArray) -> ImageArray:
        pixels = rows if channels == 1 else rows.reshape(rows.shape[0], -1, channels)
        return np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)

    return decode


# Encoding → bytes per pixel and decoder. OpenCV names Bayer patterns by their second row's pair
# of pixels from the second column on: its BG is the rggb of everybody else.
_ENCODINGS: dict[str, tuple[int, _Decoder]] = {
    "mono8": (1, _mono),
    "8UC1": (1, _mono),
    "rgb8": (3, _rgb),
    "bgr8": (3, _converted(cv2.COLOR_BGR2RGB, 3)),
    "8UC3": (3, _converted(cv2.COLOR_BGR2RGB, 3)),  # bgr, as everywhere in OpenCV
    "rgba8": (4, _converted(cv2.COLOR_RGBA2RGB, 4)),
    "bgra8": (4, _converted(cv2.COLOR_BGRA2RGB, 4)),
    "bayer_rggb8": (1, _converted(cv2.COLOR_BayerBG2RGB, 1)),
    "bayer_bggr8": (1, _converted(cv2.COLOR_BayerRG2RGB, 1)),
    "bayer_gbrg8": (1, _converted(cv2.COLOR_BayerGR2RGB, 1)),
    "bayer_grbg8": (1, _converted(cv2.COLOR_BayerGB2RGB, 1)),
    "yuv422": (2, _converted(cv2.COLOR_YUV2RGB_UYVY, 2)),
    "uyvy": (2, _converted(cv2.COLOR_YUV2RGB_UYVY, 2)),
    "yuv422_yuy2": (2, _converted(cv2.COLOR_YUV2RGB_YUY2, 2)),
    "yuyv": (2, _converted(cv2.COLOR_YUV2RGB_YUY2, 2)),
}
_SIXTEEN_BITS = ("mono16", "16UC1")
_PAIRED_COLUMNS = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")


def open_image(message: RawImageMessage, limits: ImageLimits) -> IncomingImage:
    """Check the headers of a raw image.

    The pixels of mono8 and rgb8 are later used where they lie, not copied.

    Raises
    ------
    MessageError
        If the encoding is not known, the size is out of bounds, or the data does not fit it.
    """
    encoding = message.encoding
    if encoding in _SIXTEEN_BITS:
        pixel_bytes = 2
    elif encoding in _ENCODINGS:
        pixel_bytes, decoder = _ENCODINGS[encoding]
    else:
        raise MessageError(
            f"image encoding {quoted(encoding)} is not known; "
            f"use one of {', '.join((*_ENCODINGS, *_SIXTEEN_BITS))}",
            reason="unknown encoding",
        )
    height, width, step = message.height, message.width, message.step
    _check_size(height, width, limits)
    if encoding in _PAIRED_COLUMNS and width % 2:
        raise MessageError(
            f"{encoding} image is {width} px wide; it must be an even number",
            reason="bad image size",
        )
    if step < width * pixel_bytes:
        raise MessageError(
            f"{width} px wide {encoding} image has a step of {step} bytes; "
            f"it must be at least {width * pixel_bytes}",
            reason="wrong size of image data",
        )
    # A picture of few pixels may have rows of gigabytes, and it is held while it waits.
    if height * step > limits.max_pixels * pixel_bytes:
        raise MessageError(
            f"{width}x{height} px {encoding} image has a step of {step} bytes, more data than "
            f"max_image_pixels {limits.max_pixels} can have; send rows without so much padding",
            reason="wrong size of image data",
        )
    if len(message.data) != height * step:
        raise MessageError(
            f"{width}x{height} px {encoding} image has {len(message.data)} bytes of data; "
            f"its step of {step} bytes asks for {height * step}",
            reason="wrong size of image data",
        )

    def decode() -> ImageArray:
        rows = np.frombuffer(message.data, np.uint8).reshape(height, step)
        rows = rows[:, : width * pixel_bytes]
        if encoding in _SIXTEEN_BITS:
            order = ">u2" if message.is_bigendian else "<u2"
            values = np.ascontiguousarray(rows).view(order)
            return _to_8_bits(values.astype(np.uint16, copy=False), limits.bit_depth)
        return decoder(rows)

    return IncomingImage((height, width), encoding, decode)


def open_compressed_image(message: CompressedImageMessage, limits: ImageLimits) -> IncomingImage:
    """Check the headers of a JPEG or PNG image, also those within its data.

    Raises
    ------
    MessageError
        If it is neither, is cut off, or its size is out of bounds.
    """
    height, width = compressed_image_size(memoryview(message.data).cast("B"))
    _check_size(height, width, limits)
    decode = partial(_decode_compressed, message, limits.bit_depth)
    return IncomingImage((height, width), message.format, decode)


def _check_size(height: int, width: int, limits: ImageLimits) -> None:
    if height * width > limits.max_pixels:
        raise MessageError(
            f"image is {width}x{height} px, more than max_image_pixels {limits.max_pixels}; "
            "set it higher if the camera really has so many",
            reason="bad image size",
        )
    if min(height, width) < _MIN_SIDE:
        raise MessageError(
            f"image is {width}x{height} px; "
            f"depth from focus needs at least {_MIN_SIDE}x{_MIN_SIDE}",
            reason="bad image size",
        )


def _to_8_bits(image: NDArray[np.uint16], bit_depth: int) -> ImageArray:
    return np.asarray(cv2.convertScaleAbs(image, alpha=255.0 / (2**bit_depth - 1)), dtype=np.uint8)


def _decode_compressed(message: CompressedImageMessage, bit_depth: int) -> ImageArray:
    # Rotating by what Exif says would not fit the camera_info.
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(message.data, np.uint8), flags)
    if image is None:
        raise MessageError(
            f"{len(message.data)} bytes of {quoted(message.format)} cannot be decoded; "
            "check the sender's image transport",
            reason="bad compressed image",
        )
    if image.dtype == np.uint16:
        image = _to_8_bits(image.astype(np.uint16, copy=False), bit_depth)
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.asarray(image, dtype=np.uint8)
