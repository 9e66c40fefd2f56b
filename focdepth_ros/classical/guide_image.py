"""A first all-in-focus image on the working grid, to guide what must respect edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import ImageArray


def guide_image(images: Sequence[ImageArray], labels: NDArray[np.number[Any]]) -> ImageArray:
    """Each pixel of the working grid from the slice in which it is sharpest.

    Noise in the labels does little harm: it is where there is no texture, and there the slices
    look alike.

    Parameters
    ----------
    images : sequence of N (H, W, 3) or (H, W) uint8
        Near to far.
    labels : (h, w), whole numbers
        Slice of every pixel, on a grid that may be coarser than the images'.

    Returns
    -------
    (h, w, 3) or (h, w) uint8
    """
    height, width = labels.shape
    guide = np.empty((height, width, *images[0].shape[2:]), np.uint8)
    for label, image in enumerate(images):
        mask = labels == label
        if not mask.any():
            continue
        if image.shape[:2] != labels.shape:
            reduced = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            image = np.asarray(reduced, np.uint8)
        cv2.copyTo(image, mask.view(np.uint8), guide)
    return guide
