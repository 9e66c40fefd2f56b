"""Between linear light and the 8-bit sRGB of images."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage, ImageArray

_STEPS = 16384  # of the encoding table: fine enough that no 8-bit code is skipped in the dark


@lru_cache(maxsize=1)
def _decoding_table() -> NDArray[np.float32]:
    code = np.arange(256) / 255.0
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


@lru_cache(maxsize=1)
def _encoding_table() -> NDArray[np.uint8]:
    linear = np.arange(_STEPS) / (_STEPS - 1)
    code = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255.0 * code).astype(np.uint8)


def linear_from_srgb(image: ImageArray) -> FloatImage:
    """Linear light in [0, 1], float32, from sRGB codes (IEC 61966-2-1)."""
    return _decoding_table()[image]


def srgb_from_linear(light: FloatImage) -> ImageArray:
    """Codes of sRGB, uint8, from linear light; what is outside [0, 1] is clipped."""
    index = light * np.float32(_STEPS - 1)
    np.clip(index, 0.0, _STEPS - 1.0, out=index)
    index += np.float32(0.5)
    return np.take(_encoding_table(), index.astype(np.uint16))
