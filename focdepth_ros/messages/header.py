"""The header of a message from its bytes, so that an image need not be unpacked for its stamp.

Messages travel in CDR: four bytes that say in which order the bytes of numbers are, then the
fields. All messages that begin with a ``std_msgs/Header`` begin alike.
"""

from __future__ import annotations

import struct

from focdepth_ros.errors import MessageError

_LONGEST_FRAME_ID = 1024  # bytes; nobody names a frame like that
_LITTLE_ENDIAN = (0x01, 0x03)  # of plain CDR and of parameter lists


def read_header(data: bytes | memoryview) -> tuple[int, str]:
    """Stamp in nanoseconds and frame id of a serialised message.

    Raises
    ------
    MessageError
        If it is too short, or the header is none.
    """
    order = "<" if len(data) > 1 and data[1] in _LITTLE_ENDIAN else ">"
    try:
        seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", data, 4)
    except struct.error as error:
        raise MessageError(
            f"message of {len(data)} bytes has no header; check the sender", reason="bad header"
        ) from error
    text = bytes(data[16 : 16 + min(length, _LONGEST_FRAME_ID + 1)])
    if len(text) != length or nanoseconds >= 10**9:
        raise MessageError(
            f"message of {len(data)} bytes has a header of {nanoseconds} ns with a frame_id of "
            f"{length} bytes; check the sender",
            reason="bad header",
        )
    return seconds * 10**9 + nanoseconds, text.rstrip(b"\0").decode("utf-8", "replace")
