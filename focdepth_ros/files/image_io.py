"""Reading and writing image files so that a bad file is named and never half read."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import StackFileError
from focdepth_ros.stack import FloatImage, ImageArray

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm", ".pnm"}
)

_MILLIMETRE = np.float32(1e-3)

_JPEG_START = b"\xff\xd8"
_JPEG_START_OF_SCAN = 0xDA
_JPEG_END = b"\xff\xd9"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_image(path: Path) -> ImageArray:
    """Read a picture as a slice of a focal stack needs it.

    The EXIF orientation is applied, so the picture lies as viewers show it. 16-bit values are
    scaled to 8 bits over their whole range (65535 becomes 255). An alpha channel is dropped:
    the colours are taken as stored.

    Parameters
    ----------
    path : Path

    Returns
    -------
    (H, W, 3) uint8 RGB, or (H, W) uint8 for a grey picture

    Raises
    ------
    StackFileError
        If the file cannot be read, is damaged or incomplete, or holds neither 8 nor 16 bits.
    """
    image = _decode(path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=255.0 / 65535.0)
    elif image.dtype != np.uint8:
        raise StackFileError(
            f"{path}: holds {image.dtype} values; save the image with 8 or 16 bits per channel"
        )
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return image


def read_depth(path: Path) -> FloatImage:
    """Read a depth image: ``.npy`` of floats in metres, or 16-bit ``.png`` in millimetres.

    Parameters
    ----------
    path : Path

    Returns
    -------
    (H, W) float32
        Metres; NaN where not known, which in the file may be NaN, 0 or negative.

    Raises
    ------
    StackFileError
        If the file cannot be read or holds something else.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        try:
            with path.open("rb") as file:
                values = np.lib.format.read_array(file, allow_pickle=False)
        except Exception as error:  # a damaged header makes NumPy raise whatever its parser does
            raise StackFileError(
                f"{path}: cannot be read as a NumPy array; write it with numpy.save"
            ) from error
        if values.ndim != 2 or values.dtype.kind != "f":
            raise StackFileError(
                f"{path}: holds {values.dtype} of shape {values.shape}; "
                "save a float array of shape (H, W) in metres"
            )
        depth: FloatImage = values.astype(np.float32)
    elif suffix == ".png":
        values = _decode(path, cv2.IMREAD_UNCHANGED)
        if values.ndim != 2 or values.dtype != np.uint16:
            raise StackFileError(
                f"{path}: holds {values.dtype} of shape {values.shape}; "
                "save a 16-bit grey PNG in millimetres"
            )
        depth = values * _MILLIMETRE
    else:
        raise StackFileError(
            f"{path}: ground truth of kind '{suffix}' is not known; "
            "give .npy (float, metres) or .png (16-bit, millimetres)"
        )
    depth[~(depth > 0.0)] = np.nan
    return depth


def write_image(path: Path, image: NDArray[Any]) -> None:
    """Write a picture in the format that the suffix of `path` names.

    Parameters
    ----------
    path : Path
    image : (H, W, 3) uint8 RGB, (H, W) uint8 or (H, W) uint16

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path.write_bytes(encode_image(image, path.suffix))


def encode_image(image: NDArray[Any], suffix: str) -> bytes:
    """The content of a file of that suffix, such as ``.jpg``, for a picture as `write_image`'s."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(suffix, image)[1].data)


def _decode(path: Path, flags: int) -> NDArray[Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StackFileError(
            f"{path}: cannot be read: {error.strerror}; check the file and its permissions"
        ) from error
    if not data:
        raise StackFileError(f"{path}: the file is empty; save or copy the image again")
    if not _is_whole(data):
        raise StackFileError(
            f"{path}: the image is damaged or cut off after {len(data)} bytes; "
            "save or copy it again"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # absurd dimensions in the header
        image = None
    if image is None:
        raise StackFileError(
            f"{path}: cannot be decoded as an image; save it again, for example as PNG"
        )
    return np.asarray(image)


def _is_whole(data: bytes) -> bool:
    """Whether a JPEG or PNG file is complete; other formats are left to the decoder.

    Older OpenCV fills what a cut-off JPEG lacks with grey and calls that a success, and
    libpng prints lines of its own, so both are looked at first.
    """
    if data.startswith(_JPEG_START):
        return _is_whole_jpeg(data)
    if data.startswith(_PNG_SIGNATURE):
        return _is_whole_png(data)
    return True


def _is_whole_jpeg(data: bytes) -> bool:
    position = len(_JPEG_START)
    # The header is walked segment by segment: a thumbnail in it has an end marker of its own.
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # padding before a marker
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _JPEG_START_OF_SCAN:
            return data.find(_JPEG_END, position) >= 0
    return False


def _is_whole_png(data: bytes) -> bool:
    view = memoryview(data)
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(view):
        end = position + 8 + int.from_bytes(view[position : position + 4], "big")
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return False
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position = end + 4
    return False
