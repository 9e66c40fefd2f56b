"""The all-in-focus image: every pixel from the slice, or slices, in which it is sharpest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import OptionError
from focdepth_ros.stack import FloatImage, ImageArray

Masks = Sequence[NDArray[np.bool_] | None]


def sample_all_in_focus(
    images: Sequence[ImageArray], slice_index: FloatImage, valid_masks: Masks = ()
) -> ImageArray:
    """Take each pixel from the slice nearest to its position in the stack.

    Parameters
    ----------
    images : sequence of N (H, W, 3) RGB or (H, W) uint8
        Near to far.
    slice_index : (H, W) float32
        Positions in [0, N - 1], finite.
    valid_masks : sequence of N (H, W) bool or None, or empty
        False where a slice shows nothing (`Slice.valid_mask`); None where all of it is valid.
        A pixel that is not valid in its slice is taken from the nearest one in which it is.

    Returns
    -------
    (H, W, 3) uint8
        RGB, also from mono slices.
    """
    return _rgb(_picked(images, np.rint(_where_seen(slice_index, valid_masks))))


def blend_all_in_focus(
    images: Sequence[ImageArray],
    slice_index: FloatImage,
    valid_masks: Masks = (),
    *,
    transition_sigma: float = 1.0,
) -> ImageArray:
    """Mix each pixel from the two slices between which its position lies.

    The slices weigh linearly with their distance from the position, so nothing shows where on a
    surface one slice takes over from the next. No other slice has a share: the halo that a near
    thing has in slices focused far behind it stays out of the picture. Where positions jump, a
    narrow transition runs through the slices between.

    Parameters
    ----------
    images, slice_index, valid_masks
        As for `sample_all_in_focus`.
    transition_sigma : float
        Of the Gaussian by which positions are smoothed first, in pixels, in [0, 100]; 0 leaves
        them as they are.

    Returns
    -------
    (H, W, 3) uint8
        RGB, also from mono slices.

    Raises
    ------
    OptionError
        If `transition_sigma` is out of range.
    """
    if not 0.0 <= transition_sigma <= 100.0:
        raise OptionError(f"transition_sigma={transition_sigma} px is not in [0, 100]")
    positions = slice_index
    if transition_sigma > 0.0:
        smooth = cv2.GaussianBlur(slice_index, (0, 0), transition_sigma)
        positions = np.asarray(smooth, dtype=np.float32)
    positions = _where_seen(positions, valid_masks)
    below = np.clip(np.floor(positions), 0, len(images) - 2)
    share_above = positions - below
    return _rgb(
        np.asarray(
            cv2.blendLinear(
                _picked(images[:-1], below),
                _picked(images[1:], below),
                1.0 - share_above,
                share_above,
            ),
            dtype=np.uint8,
        )
    )


def sharpest_positions(
    energy: NDArray[np.float32], *, sharpness_sigma: float = 1.2, depth_kernel: int = 7
) -> FloatImage:
    """Slices to make the all-in-focus image of when it is to look sharp, whatever the depth.

    The sharpest slice of each pixel over a narrow window, without the smoothness that depth
    needs. Around a near thing these positions stay with the thing as far as its blur would
    reach, which keeps halos out of the picture.

    Parameters
    ----------
    energy : (N, h, w) float32
        Focus measure of every slice, near to far, averaged over little or nothing.
    sharpness_sigma : float
        Of the Gaussian over which it is averaged, in pixels of its grid, in [0, 100]; 0: none.
    depth_kernel : int
        Side of the median filter over the slices found, in pixels; odd, in [1, 255]; 1: none.

    Returns
    -------
    (h, w) float32
        Whole positions in [0, N - 1].

    Raises
    ------
    OptionError
        If a parameter is out of range, or there are more than 256 slices for a kernel above 5.
    """
    if not 0.0 <= sharpness_sigma <= 100.0:
        raise OptionError(f"sharpness_sigma={sharpness_sigma} px is not in [0, 100]")
    if not 1 <= depth_kernel <= 255 or depth_kernel % 2 != 1:
        raise OptionError(f"depth_kernel={depth_kernel} px is not an odd number in [1, 255]")
    many = len(energy) > 256
    if many and depth_kernel > 5:
        raise OptionError(
            f"depth_kernel={depth_kernel} px is above 5 for {len(energy)} slices; more than 256 "
            "have no larger median filter"
        )
    labels = np.zeros(energy.shape[1:], dtype=np.uint16 if many else np.uint8)
    highest = np.full(energy.shape[1:], -np.inf, dtype=np.float32)
    for position, layer in enumerate(energy):
        smooth = cv2.GaussianBlur(layer, (0, 0), sharpness_sigma) if sharpness_sigma else layer
        labels[smooth > highest] = position
        np.maximum(highest, smooth, out=highest)
    return np.asarray(cv2.medianBlur(labels, depth_kernel), dtype=np.float32)


def _picked(images: Sequence[ImageArray], positions: NDArray[np.floating[Any]]) -> ImageArray:
    """Each pixel from the image of the whole number in `positions`."""
    whole = positions.astype(np.uint8 if len(images) <= 256 else np.uint16)
    picture = images[0].copy()
    for position, image in enumerate(images[1:], start=1):
        mask = (whole == position).view(np.uint8)
        cv2.copyTo(image, mask, picture)
    return picture


def _rgb(picture: ImageArray) -> ImageArray:
    if picture.ndim == 3:
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _where_seen(slice_index: FloatImage, valid_masks: Masks) -> FloatImage:
    """Positions, moved to the nearest valid slice where one next to them is not valid."""
    masks = [mask for mask in valid_masks if mask is not None]
    if not masks:
        return slice_index
    seen_in_all = masks[0].copy()
    for other in masks[1:]:
        seen_in_all &= other
    doubtful = ~seen_in_all
    positions = slice_index[doubtful]
    nearest, distance = positions.copy(), np.full_like(positions, np.inf)
    unseen = np.zeros(positions.shape, dtype=np.bool_)
    for number, mask in enumerate(valid_masks):
        away = np.abs(positions - np.float32(number))
        if mask is not None:
            seen = mask[doubtful]
            unseen |= ~seen & (away < 1.0)
            away[~seen] = np.inf
        closer = away < distance
        nearest[closer] = number
        distance[closer] = away[closer]
    moved = slice_index.copy()
    moved[doubtful] = np.where(unseen, nearest, positions)
    return moved
