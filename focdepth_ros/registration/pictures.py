"""Pictures by which people see whether a slice was aligned."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from focdepth_ros.classical.focus_measure import grey_image
from focdepth_ros.errors import OptionError, os_error_text
from focdepth_ros.files.image_io import write_image
from focdepth_ros.pictures.depth_pictures import as_colour
from focdepth_ros.stack import ImageArray, Slice

_MAX_WIDTH = 960  # pixels of each of the pictures side by side
_SQUARES = 8  # of the checkerboard, across


def make_pictures_folder(folder: Path) -> None:
    """Make the folder for the pictures, if it is not there.

    Raises
    ------
    OptionError
        If that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"pictures_dir {folder} cannot be made: {os_error_text(error)}; give a folder that "
            "can be written to"
        ) from error


def write_overlay(folder: Path, number: int, anchor: Slice, item: Slice, aligned: Slice) -> None:
    """Write how a slice lies on the first one, before (above) and after alignment (below).

    On the left the first slice is red and the other one cyan, so that what fits is grey; on the
    right squares of the two take turns, across whose borders lines go on where they fit.

    Parameters
    ----------
    folder : Path
    number : int
        Of the slice, from 1, for the name ``alignment_002.jpg``.
    anchor, item, aligned : Slice
        The first slice, another one, and that one aligned.

    Raises
    ------
    OSError
        If the picture cannot be written.
    """
    rows = [
        np.hstack([red_and_cyan(anchor.image, image), checkerboard(anchor.image, image)])
        for image in (item.image, aligned.image)
    ]
    write_image(folder / f"alignment_{number:03d}.jpg", np.vstack(rows))


def red_and_cyan(first: ImageArray, second: ImageArray) -> ImageArray:
    """Luma of one image in the red channel and of another in green and blue, (h, w, 3) uint8."""
    red, cyan = (grey_image(_small(image)) for image in (first, second))
    return np.dstack([red, cyan, cyan])


def checkerboard(first: ImageArray, second: ImageArray) -> ImageArray:
    """Squares of two images in turns, (h, w, 3) uint8."""
    one, other = (as_colour(_small(image)) for image in (first, second))
    height, width = one.shape[:2]
    side = max(1, width // _SQUARES)
    row, column = np.arange(height) // side, np.arange(width) // side
    mine = (row[:, np.newaxis] + column) % 2 == 0
    return np.where(mine[..., np.newaxis], one, other)


def _small(image: ImageArray) -> ImageArray:
    height, width = image.shape[:2]
    if width <= _MAX_WIDTH:
        return image
    size = (_MAX_WIDTH, max(1, round(height * _MAX_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
