from __future__ import annotations

import cv2
import numpy as np
import pytest

from focdepth_ros.errors import MessageError
from focdepth_ros.messages.compressed_header import compressed_image_size

IMAGE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


def encoded(kind: str, *flags: int) -> bytes:
    return bytes(cv2.imencode(f".{kind}", IMAGE, flags)[1].tobytes())


def size_of(data: bytes) -> tuple[int, int]:
    return compressed_image_size(memoryview(data))


def with_exif(jpeg: bytes) -> bytes:
    """The same with an Exif block that holds a whole JPEG thumbnail, as cameras write it."""
    thumbnail = bytes(cv2.imencode(".jpg", IMAGE[:8, :8])[1].tobytes())
    block = b"Exif\0\0" + thumbnail
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]


@pytest.mark.parametrize(
    "data",
    [
        encoded("png"),
        encoded("jpg"),
        encoded("jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded("jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        with_exif(encoded("jpg")),
        encoded("jpg") + bytes(100),  # video cameras fill up their frames
    ],
    ids=["png", "jpeg", "progressive", "restart markers", "exif", "filled up"],
)
def test_size(data: bytes) -> None:
    assert size_of(data) == (37, 53)


@pytest.mark.parametrize(
    "data", [encoded("png"), encoded("jpg"), with_exif(encoded("jpg"))], ids=["png", "jpeg", "exif"]
)
def test_whatever_is_cut_off_is_refused(data: bytes) -> None:
    for length in (*range(9, 200), len(data) // 2, len(data) - 17):
        with pytest.raises(MessageError, match=r"cut off|begins with"):
            size_of(data[:length])


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"GIF89a..", b"\0" * 100, b"\xff\xd8\0\0\0\0\0\0", b"\xff\xd8" * 50]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError, match=r"send JPEG or PNG|cut off or broken"):
        size_of(data)


def test_random_bytes_do_no_harm() -> None:
    rng = np.random.default_rng(1)
    for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"):
        for _ in range(300):
            with pytest.raises(MessageError):
                size_of(start + rng.bytes(int(rng.integers(0, 200))))
