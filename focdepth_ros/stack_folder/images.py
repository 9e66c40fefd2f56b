"""Reading the pictures of a focal stack one after the other, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from focdepth_ros.errors import StackFileError
from focdepth_ros.files.image_io import read_image
from focdepth_ros.stack import ImageArray

_MAX_READERS = 4


def images_in_turn(
    paths: Sequence[Path], max_size: int | None = None
) -> Iterator[tuple[ImageArray, tuple[int, int]]]:
    """Pictures in the order of `paths`; a few are decoded ahead, and none is kept.

    Parameters
    ----------
    paths : sequence of Path
    max_size : int, optional
        Longest side in pixels; larger pictures are scaled down.

    Yields
    ------
    image : (H, W, 3) uint8 RGB or (H, W) uint8
    full_size : (H, W)
        Before it was scaled down.

    Raises
    ------
    StackFileError
        If a picture cannot be read, or is of another size or kind than the first.
    """

    def read(path: Path) -> tuple[ImageArray, tuple[int, ...]]:
        image = read_image(path)
        shape = image.shape
        size = limited_size(shape, max_size)
        if size != (shape[1], shape[0]):
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return image, shape

    # Decoding happens outside the interpreter lock.
    count = min(_MAX_READERS, os.cpu_count() or 1)
    readers = ThreadPoolExecutor(count)
    first_shape: tuple[int, ...] = ()
    try:
        ahead = deque(readers.submit(read, path) for path in paths[:count])
        for number, path in enumerate(paths):
            image, shape = ahead.popleft().result()
            first_shape = first_shape or shape
            if shape != first_shape:
                raise StackFileError(
                    f"{path}: {_kind(shape)}, but {paths[0].name} is {_kind(first_shape)}; "
                    "all slices of a stack must be of one size and kind"
                )
            if number + count < len(paths):
                ahead.append(readers.submit(read, paths[number + count]))
            yield image, (shape[0], shape[1])
    finally:
        readers.shutdown(cancel_futures=True)


def limited_size(shape: Sequence[int], max_size: int | None) -> tuple[int, int]:
    """Width and height of an image of the given shape, longest side at most `max_size`."""
    height, width = shape[:2]
    longest = max(height, width)
    if max_size is None or longest <= max_size:
        return width, height
    scale = max_size / longest
    return max(1, round(width * scale)), max(1, round(height * scale))


def _kind(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]} px {'colour' if len(shape) == 3 else 'grey'}"
