"""Parts of all-in-focus images, of one place for all backends, beside the truth."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.pictures.depth_pictures import as_colour, colour_values
from focdepth_ros.stack import ImageArray

#: Grey levels of the last colour of a difference picture.
DIFFERENCE_LIMIT = 32.0

_SIDE = 128  # px of what is cut out
_ENLARGED = 2


def cut_outs(
    fused: Mapping[str, ImageArray], truth: ImageArray | None
) -> dict[tuple[str, str], ImageArray]:
    """Where the backends are furthest from the truth together; without one, where most detail is.

    Parameters
    ----------
    fused : mapping of str to (H, W, 3) uint8
        All-in-focus images by backend.
    truth : (H, W, 3) or (H, W) uint8, or None

    Returns
    -------
    dict of (str, str) to (h, w, 3) uint8
        By what it shows and backend: the ``sharp`` truth, whose backend is empty, the ``fused``
        images and their ``difference`` from the truth.
    """
    if not fused:
        return {}
    true = None if truth is None else as_colour(truth)
    differences = {} if true is None else {k: _difference(v, true) for k, v in fused.items()}
    worth = [*differences.values()] or [_detail(image) for image in fused.values()]
    window = _window(np.sum(worth, axis=0))
    found = {("fused", name): image[window] for name, image in fused.items()}
    if true is not None:
        found["sharp", ""] = true[window]
    for name, difference in differences.items():
        found["difference", name] = colour_values(difference[window], 0.0, DIFFERENCE_LIMIT)
    return {key: _enlarged(picture) for key, picture in found.items()}


def _difference(image: ImageArray, truth: ImageArray) -> NDArray[np.float32]:
    """Grey levels, mean of the channels."""
    return np.asarray(cv2.absdiff(image, truth).mean(axis=2), np.float32)


def _detail(image: ImageArray) -> NDArray[np.float32]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), np.float32)


def _window(worth: NDArray[np.float32]) -> tuple[slice, slice]:
    """The square in which there is most of it, or all of a side that is shorter."""
    size = tuple(min(_SIDE, side) for side in worth.shape)
    total = cv2.boxFilter(worth, cv2.CV_32F, size[::-1], anchor=(0, 0))
    total = total[: worth.shape[0] - size[0] + 1, : worth.shape[1] - size[1] + 1]
    top, left = np.unravel_index(int(np.argmax(total)), total.shape)
    return slice(int(top), int(top) + size[0]), slice(int(left), int(left) + size[1])


def _enlarged(picture: ImageArray) -> ImageArray:
    return picture.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1)
