"""Bringing pictures and answers from one pixel grid to another, each in one resampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.registration.motion import (
    Motion,
    corners,
    inverse,
    resampled,
    sampled,
    transformed,
)
from focdepth_ros.stack import FloatImage, ImageArray

_ROWS = 256  # warped at once where every pixel goes its own way


def warp_image(image: ImageArray, motion: Motion) -> tuple[ImageArray, NDArray[np.bool_] | None]:
    """Show an image on the pixel grid that `motion` starts from.

    Cubic interpolation: a linear one blurs as much as being a little out of focus does, and so
    moves the peak of the focus measure.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8
    motion : Motion
        From the grid wanted to `image`.

    Returns
    -------
    image : same shape, uint8
        Beyond the border the border goes on.
    valid : (H, W) bool or None
        False where that happened; None where it did not.
    """
    return _warp(image, motion, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE), _inside(
        motion, image.shape[:2]
    )


def warp_estimate(estimate: DepthEstimate, motion: Motion) -> DepthEstimate:
    """Bring an answer to the pixel grid of another slice.

    Depth is taken from the nearest pixel, so that none is invented between two surfaces.

    Parameters
    ----------
    estimate : DepthEstimate
    motion : Motion
        From the grid of the answer to the one wanted.

    Returns
    -------
    DepthEstimate
        Where the other grid shows more of the scene: NaN depth and slice index, confidence 0.
    """
    size = estimate.depth.shape[:2]
    back = inverse(motion, size)
    nan = float("nan")

    def nearest(values: FloatImage, outside: float) -> FloatImage:
        moved = _warp(values, back, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT, outside)
        return np.asarray(moved, dtype=np.float32)

    picture = estimate.all_in_focus
    return replace(
        estimate,
        depth=nearest(estimate.depth, nan),
        confidence=nearest(estimate.confidence, 0.0),
        slice_index=nearest(estimate.slice_index, nan),
        all_in_focus=None
        if picture is None
        else _warp(picture, back, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE),
    )


def _inside(motion: Motion, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    height, width = size
    limit = np.array([width - 0.5, height - 0.5])
    if motion.flow is None:
        # A convex frame contains an image of straight edges if it contains its corners.
        frame = transformed(motion.matrix, corners(size))
        if np.all((frame > -0.5) & (frame < limit)):
            return None
    full = np.full(size, 255, dtype=np.uint8)
    seen = _warp(full, motion, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
    valid = seen > 0
    return None if valid.all() else valid


def _warp(
    image: NDArray[Any], motion: Motion, interpolation: int, border: int, outside: float = 0.0
) -> Any:
    height, width = image.shape[:2]
    if motion.flow is None:
        return resampled(image, motion.matrix, interpolation, border=border, outside=outside)
    target = np.empty_like(image)
    for top in range(0, height, _ROWS):
        rows = np.arange(top, min(top + _ROWS, height), dtype=np.float64)
        points = np.stack(np.meshgrid(np.arange(width, dtype=np.float64), rows), axis=-1)
        source = transformed(motion.matrix, points)
        source += sampled(motion.flow, points, (height, width))
        x, y = np.ascontiguousarray(np.moveaxis(source.astype(np.float32), -1, 0))
        target[top : top + len(rows)] = cv2.remap(
            image, x, y, interpolation, borderMode=border, borderValue=(outside,) * 4
        )
    return target
