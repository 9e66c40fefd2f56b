"""Bringing pictures and answers from one pixel grid to another, each in one resampling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pictures.depth_pictures import as_colour
from focdepth_ros.registration.motion import (
    Motion,
    corners,
    inverse,
    resampled,
    transformed,
)
from focdepth_ros.registration.view import view_from_slice
from focdepth_ros.stack import FloatImage, ImageArray, Slice

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


def warp_slice(item: Slice, motion: Motion) -> tuple[Slice, Motion]:
    """Show a slice on the pixel grid that `motion` starts from.

    Parameters
    ----------
    item : Slice
    motion : Motion
        From the grid wanted to `item`; its flow is NaN where it is not known.

    Returns
    -------
    item : Slice
        The same where nothing is to be done; where the flow is not known it is not valid.
    motion : Motion
        As it was applied: without flow where that is not known.
    """
    if motion.is_identity():
        return item, motion
    unknown = None if motion.flow is None else np.isnan(motion.flow[..., 0])
    if motion.flow is not None and unknown is not None and unknown.any():
        known_flow = np.where(unknown[..., np.newaxis], np.float32(0), motion.flow)
        motion = replace(motion, flow=known_flow)
    image, valid = warp_image(item.image, motion)
    if unknown is not None and unknown.any():
        valid = ~unknown if valid is None else valid & ~unknown
    return replace(item, image=image, valid_mask=valid), motion


def warp_estimate(
    estimate: DepthEstimate, motion: Motion, image: ImageArray | None = None
) -> DepthEstimate:
    """Bring an answer to the pixel grid of another slice.

    Depth is taken from the nearest pixel, so that none is invented between two surfaces.

    Parameters
    ----------
    estimate : DepthEstimate
    motion : Motion
        From the grid of the answer to the one wanted.
    image : (H, W, 3) RGB or (H, W) uint8, optional
        Of the slice whose grid is wanted.

    Returns
    -------
    DepthEstimate
        Where the other grid shows more of the scene: NaN depth and slice index, confidence 0, and
        in the all-in-focus image `image`, or without it the border going on.
    """
    if motion.is_identity():
        return estimate
    size = estimate.depth.shape[:2]
    back = inverse(motion, size)
    nan = float("nan")

    def nearest(values: FloatImage, outside: float) -> FloatImage:
        moved = _warp(values, back, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT, outside)
        return np.asarray(moved, dtype=np.float32)

    picture = estimate.all_in_focus
    if picture is not None:
        picture = _warp(picture, back, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        known = _inside(back, size)
        if image is not None and known is not None:
            picture[~known] = as_colour(image)[~known]
    return replace(
        estimate,
        depth=nearest(estimate.depth, nan),
        confidence=nearest(estimate.confidence, 0.0),
        slice_index=nearest(estimate.slice_index, nan),
        all_in_focus=picture,
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
        valid = resampled(full, motion.matrix, cv2.INTER_NEAREST) > 0
    else:
        valid = np.empty(size, dtype=np.bool_)
        for rows, x, y in _bands(motion, size):
            valid[rows] = (x > -0.5) & (x < limit[0]) & (y > -0.5) & (y < limit[1])
    return None if valid.all() else valid


def _warp(
    image: NDArray[Any], motion: Motion, interpolation: int, border: int, outside: float = 0.0
) -> Any:
    height, width = image.shape[:2]
    if motion.flow is None:
        return resampled(image, motion.matrix, interpolation, border=border, outside=outside)
    target = np.empty_like(image)
    for rows, x, y in _bands(motion, (height, width)):
        target[rows] = cv2.remap(
            image, x, y, interpolation, borderMode=border, borderValue=(outside,) * 4
        )
    return target


def _bands(motion: Motion, size: tuple[int, int]) -> Iterator[tuple[slice, FloatImage, FloatImage]]:
    """Where the pixels go, some rows at a time: for large images all would fill the memory."""
    height, width = size
    assert motion.flow is not None
    cells = view_from_slice(size, motion.flow.shape[:2])
    matrix = motion.matrix.astype(np.float32)
    x = np.arange(width, dtype=np.float32)
    for top in range(0, height, _ROWS):
        count = min(_ROWS, height - top)
        from_band = np.eye(3)
        from_band[1, 2] = top
        flow = cv2.warpAffine(
            motion.flow,
            (cells @ from_band)[:2],
            (width, count),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        y = np.arange(top, top + count, dtype=np.float32)[:, np.newaxis]
        to_x, to_y, scale = (row[0] * x + (row[1] * y + row[2]) for row in matrix)
        yield slice(top, top + count), to_x / scale + flow[..., 0], to_y / scale + flow[..., 1]
