"""The size of a JPEG or PNG image from its headers, before anything is decoded.

A few bytes can claim to be an image of gigabytes; OpenCV would allocate them.
"""

from __future__ import annotations

import struct

from focdepth_ros.errors import MessageError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
# Start of frame of all JPEG processes: 0xC0 to 0xCF but for DHT, JPG and DAC.
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA


def compressed_image_size(data: memoryview) -> tuple[int, int]:
    """Height and width of a compressed image.

    Parameters
    ----------
    data : memoryview of bytes

    Raises
    ------
    MessageError
        If it is neither JPEG nor PNG, or is cut off.
    """
    if data[: len(_PNG_SIGNATURE)] == _PNG_SIGNATURE:
        return _png_size(data)
    if data[: len(_JPEG_SIGNATURE)] == _JPEG_SIGNATURE:
        return _jpeg_size(data)
    start = bytes(data[:8]).hex(" ") or "nothing"
    raise MessageError(
        f"compressed image of {len(data)} bytes begins with {start}; send JPEG or PNG",
        reason="bad compressed image",
    )


def _png_size(data: memoryview) -> tuple[int, int]:
    # The signature is followed by the length and name of the chunk IHDR, then by the size.
    if len(data) < 24 or bytes(data[12:16]) != b"IHDR":
        raise _cut_off("PNG", data)
    if b"IEND" not in bytes(data[-16:]):
        raise _cut_off("PNG", data)
    width, height = struct.unpack(">II", data[16:24])
    return height, width


def _jpeg_size(data: memoryview) -> tuple[int, int]:
    size = None
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # any number of these may stand before a marker
            position += 1
            continue
        (length,) = struct.unpack(">H", data[position + 2 : position + 4])
        if marker in _START_OF_FRAME and position + 9 <= len(data):
            size = struct.unpack(">HH", data[position + 5 : position + 9])
        if marker == _START_OF_SCAN:
            # Within the pixels 0xFF is always followed by 0 or a restart marker.
            if size is None or _JPEG_END not in bytes(data[position:]):
                break
            return int(size[0]), int(size[1])
        position += 2 + length
    raise _cut_off("JPEG", data)


def _cut_off(kind: str, data: memoryview) -> MessageError:
    return MessageError(
        f"{kind} image of {len(data)} bytes is cut off or broken; check the sender and the network",
        reason="bad compressed image",
    )
