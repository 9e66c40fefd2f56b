"""Depths out of image messages, and what of bad ones is said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from focdepth_ros.errors import MessageError
from focdepth_ros.messages.depth_decoding import depth_image, float_image


def message(values: np.ndarray, encoding: str = "32FC1", **fields: Any) -> SimpleNamespace:
    height, width = values.shape
    plain = {
        "height": height,
        "width": width,
        "encoding": encoding,
        "is_bigendian": 0,
        "step": values.nbytes // height,
        "data": values.tobytes(),
    }
    return SimpleNamespace(**{**plain, **fields})


def test_metres_are_taken_as_they_are() -> None:
    values = np.array([[0.5, np.inf, np.nan], [0.0, -1.0, 2.0]], "<f4")
    expected = [[0.5, np.inf, np.nan], [np.nan, np.nan, 2.0]]
    np.testing.assert_array_equal(depth_image(message(values, "32FC1"), "d"), expected)
    swapped = message(values.astype(">f4"), "32FC1", is_bigendian=1)
    np.testing.assert_array_equal(depth_image(swapped, "d"), expected)


def test_millimetres_with_padded_rows() -> None:
    padded = np.array([[1500, 0, 9999], [250, 65535, 9999]], "<u2")
    depth = depth_image(message(padded, "16UC1", width=2), "d")
    np.testing.assert_array_equal(depth, np.array([[1.5, np.nan], [0.25, 65.535]], np.float32))


def test_a_confidence_of_nothing_is_no_lack_of_it() -> None:
    values = np.array([[0.0, 1.0]], "<f4")
    np.testing.assert_array_equal(float_image(message(values, "32FC1"), "c"), values)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"encoding": "rgb8"}, "depth on /d is 'rgb8'; it must be 32FC1 in metres or 16UC1 in mm"),
        ({"data": b"1234"}, "of 3x2 px has 4 bytes; 2 rows of 12 bytes, each at least 12"),
        ({"step": 4, "data": b"12345678"}, "2 rows of 4 bytes, each at least 12"),
        ({"height": 0, "data": b""}, "of 3x0 px has 0 bytes"),
        ({"width": 0}, "of 0x2 px"),
    ],
)
def test_messages_of_no_use(fields: dict[str, Any], words: str) -> None:
    bad = message(np.ones((2, 3), "<f4"), **fields)
    with pytest.raises(MessageError, match=words):
        depth_image(bad, "/d")
    with pytest.raises(MessageError):
        float_image(bad, "/d")
