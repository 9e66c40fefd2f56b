"""Headers from the bytes of a message."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focdepth_ros.errors import MessageError
from focdepth_ros.messages.header import read_header


def serialised(sec: int, nanosec: int, frame: bytes, order: str = "<", rest: bytes = b"") -> bytes:
    kind = b"\x00\x01\x00\x00" if order == "<" else b"\x00\x00\x00\x00"
    return kind + struct.pack(f"{order}iII", sec, nanosec, len(frame)) + frame + rest


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_orders_of_bytes(order: str) -> None:
    data = serialised(12, 34, b"camera\0", order, b"\x01" * 50)
    assert read_header(data) == (12_000_000_034, "camera")


def test_no_frame_id() -> None:
    assert read_header(serialised(1, 2, b"\0")) == (1_000_000_002, "")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01",
        serialised(1, 2, b"camera\0")[:-3],
        serialised(1, 10**9, b"camera\0"),
        serialised(1, 2, b"x" * 5000),
        b"\x00\x01\x00\x00" + struct.pack("<iII", 1, 2, 2**32 - 1) + b"camera\0",
    ],
)
def test_no_header(data: bytes) -> None:
    with pytest.raises(MessageError, match=f"message of {len(data)} bytes has") as caught:
        read_header(data)
    assert caught.value.reason == "bad header"


@given(st.binary(max_size=64))
def test_any_bytes_give_a_header_or_the_error(data: bytes) -> None:
    try:
        stamp, frame_id = read_header(data)
    except MessageError:
        return
    assert isinstance(stamp, int)
    assert isinstance(frame_id, str)
