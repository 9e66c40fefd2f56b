"""What of a slice is looked at to register it: small, and alike however it is focused."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.focus_measure import grey_image
from focdepth_ros.errors import AlignmentError
from focdepth_ros.registration.motion import Matrix
from focdepth_ros.stack import FloatImage, ImageArray

# Pixels that are registered. Of larger images a fixed share is, up to a limit: their motion is
# wanted to the same part of a pixel, but their cost must not run away.
USUAL_PIXELS = 80_000
_SHARE = 1 / 48
_MAX_PIXELS = 250_000
MIN_SIDE = 24  # of an image that can be registered at all

_FINE, _BROAD = 1.0, 4.0  # sigmas of the band-pass, pixels of the view
_NEIGHBOURHOOD = 8.0  # sigma over which contrast is made equal
_NOISE = 4.0  # grey levels of contrast below which nothing is amplified

_EXPOSURE_CELL = 8  # pixels of the view
_BLACK, _WHITE = 4, 251
_MUCH_WHITE = 0.75  # share of a cell
_FLAT = 0.5  # grey levels
_MAX_RATIO = 8.0  # of the mean level of the first slice to that of one in which too little is left
_NEWLY_CLIPPED = 0.15  # share of the image; what bright things spread out of focus is less

_GLANCE = 160  # pixels of the longer side


@dataclass(frozen=True, eq=False)
class View:
    """A slice made ready for registration.

    Parameters
    ----------
    size : (H, W)
        Of the slice.
    grey : (h, w) uint8
        Luma at the resolution of registration.
    detail, coarse_detail : (h, w), (h / 2, w / 2) float32
        See `equalised_detail`.
    light : (n, m, 3) or (n, m) float32
        Mean squares of the colours of parts of the image, which go about with the light: unlike
        the mean it does not change with blur. NaN where a pixel is over- or underexposed, and near
        overexposed areas, whose light spreads with blur.
    """

    size: tuple[int, int]
    grey: ImageArray
    detail: FloatImage
    coarse_detail: FloatImage
    light: FloatImage

    @property
    def reduction(self) -> float:
        """Pixels of the slice per pixel of the view."""
        return math.sqrt(self.size[0] * self.size[1] / self.detail.size)


def view_of(image: ImageArray) -> View:
    """Make an image ready for registration.

    Parameters
    ----------
    image : (H, W, 3) RGB or (H, W) uint8
    """
    height, width = image.shape[:2]
    pixels = min(max(USUAL_PIXELS, height * width * _SHARE), _MAX_PIXELS)
    factor = max(1, round(math.sqrt(height * width / pixels)))
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    grey = grey_image(np.asarray(small, dtype=np.uint8))
    half = cv2.resize(grey, (-(-size[0] // 2), -(-size[1] // 2)), interpolation=cv2.INTER_AREA)
    return View(
        size=(height, width),
        grey=grey,
        detail=equalised_detail(grey),
        coarse_detail=equalised_detail(np.asarray(half, dtype=np.uint8)),
        light=_light(np.asarray(small, dtype=np.uint8)),
    )


def equalised_detail(grey: ImageArray) -> FloatImage:
    """Detail of an image that defocus changes little.

    In a band of one or two octaves blur mostly scales the contrast. Divided by the contrast of
    its neighbourhood, the detail of the same surface is about the same in two slices that are
    focused differently, and the sharper one does not draw the registration to itself.

    Parameters
    ----------
    grey : (h, w) uint8

    Returns
    -------
    (h, w) float32
        Zero mean, about unit contrast, less where there is hardly any.
    """
    picture = grey.astype(np.float32)
    broad = cv2.GaussianBlur(picture, (0, 0), _BROAD)
    band = cv2.subtract(cv2.GaussianBlur(picture, (0, 0), _FINE), broad)
    energy = cv2.GaussianBlur(cv2.multiply(band, band), (0, 0), _NEIGHBOURHOOD)
    contrast = np.asarray(cv2.sqrt(energy), dtype=np.float32) + np.float32(_NOISE)
    return np.asarray(cv2.divide(band, contrast), dtype=np.float32)


def glance(image: ImageArray) -> ImageArray:
    """An image, (H, W, 3) or (H, W), as small and grey as `check_exposed` needs it, (h, w)."""
    height, width = image.shape[:2]
    factor = max(1, max(height, width) // _GLANCE)
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)  # a few pixels are enough
    return grey_image(np.asarray(small, dtype=np.uint8))


def check_exposed(grey: ImageArray, first: ImageArray | None = None) -> None:
    """Refuse an image on which there is nothing, or much less than on the first of the sweep.

    Where a slice is black or white it shows no texture, which is no reason to believe that the
    others are the sharper ones.

    Parameters
    ----------
    grey : (h, w) uint8
        The image, made small.
    first : (h, w) uint8, optional
        The first image, made small likewise.

    Raises
    ------
    AlignmentError
        If nearly all of it is black or white, or much more of it than of the first; if it is far
        darker than that; or if all of it is the same grey.
    """
    for name, share, before in zip(
        ("black", "overexposed"),
        _clipped_shares(grey),
        (0.0, 0.0) if first is None else _clipped_shares(first),
        strict=True,
    ):
        if share > 0.98:
            raise AlignmentError(f"{100 * share:.0f} % of the image is {name}")
        if first is not None and share - before > _NEWLY_CLIPPED:
            raise AlignmentError(
                f"{100 * share:.0f} % of the image is {name}, of the first slice "
                f"{100 * before:.0f} %; lock the exposure, and keep the lens free"
            )
    if first is not None:
        level, level_before = float(grey.mean()), float(first.mean())
        if _MAX_RATIO * level < level_before:
            raise AlignmentError(
                f"its mean grey level is {level:.0f}, of the first slice {level_before:.0f}; lock "
                "the exposure"
            )
    spread = float(grey.std())
    if spread < _FLAT:
        raise AlignmentError(
            f"the image is blank: its grey levels spread by {spread:.2f}, at least {_FLAT} "
            "is needed"
        )


def _clipped_shares(grey: ImageArray) -> tuple[float, float]:
    """Which parts of a picture are black, and which white."""
    return float(np.mean(grey < _BLACK)), float(np.mean(grey > _WHITE))


def clipped(grey: ImageArray) -> NDArray[np.bool_]:
    """Where a picture (h, w) is over- or underexposed."""
    return np.asarray((grey > _WHITE) | (grey < _BLACK))


def view_from_slice(size: tuple[int, int], shape: tuple[int, int]) -> Matrix:
    """Pixels of a slice of `size` to those of a picture of it of another `shape`, (3, 3)."""
    scale_y, scale_x = shape[0] / size[0], shape[1] / size[1]
    # Pixel centres are at whole numbers, so the corner of the picture is at -1/2.
    return np.array(
        [
            [scale_x, 0.0, 0.5 * scale_x - 0.5],
            [0.0, scale_y, 0.5 * scale_y - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )


def _light(small: ImageArray) -> FloatImage:
    height, width = small.shape[:2]
    size = (max(1, width // _EXPOSURE_CELL), max(1, height // _EXPOSURE_CELL))
    brightest = small if small.ndim == 2 else small.max(axis=2)
    colours = small.astype(np.float32)
    squares = cv2.resize(cv2.multiply(colours, colours), size, interpolation=cv2.INTER_AREA)
    light = np.asarray(squares, dtype=np.float32)

    def share(pixels: NDArray[np.bool_]) -> FloatImage:
        small = cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.float32)

    white = share(brightest > _WHITE)
    around_white = cv2.dilate((white > _MUCH_WHITE).astype(np.uint8), np.ones((5, 5), np.uint8))
    light[(around_white > 0) | (white > 0.0) | (share(brightest < _BLACK) > 0.0)] = np.nan
    return light
