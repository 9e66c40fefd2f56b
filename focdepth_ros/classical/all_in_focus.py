"""The all-in-focus image: every pixel from the slice in which it is sharpest."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from focdepth_ros.stack import FloatImage, ImageArray


def sample_all_in_focus(images: Sequence[ImageArray], slice_index: FloatImage) -> ImageArray:
    """Take each pixel from the slice nearest to its position in the stack.

    Parameters
    ----------
    images : sequence of N (H, W, 3) RGB or (H, W) uint8
        Near to far.
    slice_index : (H, W) float32
        Positions in [0, N - 1].

    Returns
    -------
    (H, W, 3) uint8
        RGB, also from mono slices.
    """
    nearest = np.rint(slice_index).astype(np.uint8 if len(images) <= 256 else np.uint16)
    picture = images[0].copy()
    for position, image in enumerate(images[1:], start=1):
        mask = (nearest == position).view(np.uint8)
        cv2.copyTo(image, mask, picture)
    if picture.ndim == 2:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return picture
