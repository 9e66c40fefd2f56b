"""Small focus sweeps whose truth is known, blurred without a renderer."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage, FocalStack, ImageArray, Slice

SIZE = (48, 64)
DIOPTRES = (2.5, 2.2, 1.9, 1.6, 1.3, 1.0, 0.7)
LEFT, RIGHT = 2.2, 1.0  # dioptres of the two surfaces, those of slices 1 and 5
BLUR_PER_DIOPTRE = 4.0  # pixels


def texture(size: tuple[int, int] = SIZE, *, seed: int = 0, mono: bool = False) -> ImageArray:
    """Noise that shows detail at several scales."""
    rng = np.random.default_rng(seed)
    shape = size if mono else (*size, 3)
    picture = np.zeros(shape, np.float32)
    for sigma in (0.7, 1.5, 3.0):
        noise = np.asarray(
            cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma), np.float32
        )
        picture += noise / max(float(noise.std()), 1e-6)
    return np.asarray(np.clip(128.0 + 30.0 * picture, 0, 255), dtype=np.uint8)


def blurred(image: ImageArray, sigma: float) -> ImageArray:
    """The image out of focus, or itself where there is no blur."""
    if sigma < 0.05:
        return image.copy()
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


def two_surfaces(
    dioptres: Sequence[float] = DIOPTRES,
    *,
    size: tuple[int, int] = SIZE,
    mono: bool = False,
    seed: int = 0,
    noise: float = 1.0,
) -> list[Slice]:
    """Slices of a sweep over a surface on the left and one on the right, in the order given.

    Stamps count up from 1.
    """
    rng = np.random.default_rng(seed + 1)
    sharp = texture(size, seed=seed, mono=mono)
    half = size[1] // 2
    slices = []
    for number, dioptre in enumerate(dioptres):
        image = blurred(sharp, BLUR_PER_DIOPTRE * abs(dioptre - RIGHT))
        image[:, :half] = blurred(sharp[:, : max(half, 1)], BLUR_PER_DIOPTRE * abs(dioptre - LEFT))[
            :, :half
        ]
        grained = image + noise * rng.standard_normal(image.shape)
        distance = 1.0 / dioptre if dioptre > 0.0 else np.inf
        slices.append(Slice(np.clip(grained, 0, 255).astype(np.uint8), distance, number + 1))
    return slices


def true_index(dioptres: Sequence[float] = DIOPTRES) -> FloatImage:
    """Where `two_surfaces` is sharpest, (H, W) in slices of the sweep near to far."""
    ordered: NDArray[np.float64] = -np.sort(-np.asarray(dioptres))
    index = np.interp([-LEFT, -RIGHT], -ordered, np.arange(len(ordered)))
    answer = np.full(SIZE, index[1], np.float32)
    answer[:, : SIZE[1] // 2] = index[0]
    return answer


def same_image(image: ImageArray, count: int = 5) -> FocalStack:
    """A sweep in which focus changes nothing."""
    return FocalStack([Slice(image, 1.0 / (2.0 - 0.3 * i)) for i in range(count)])


def as_colour(mono: Sequence[Slice]) -> list[Slice]:
    """Grey images in three equal channels."""
    return [
        Slice(np.repeat(item.image[..., np.newaxis], 3, axis=2), item.focus_distance)
        for item in mono
    ]


def as_read_only_views(slices: Sequence[Slice]) -> list[Slice]:
    """The same images, but as views that run backwards over memory that cannot be written."""
    views = []
    for item in slices:
        swapped = np.ascontiguousarray(item.image[::-1, :, ::-1])
        swapped.setflags(write=False)
        views.append(Slice(swapped[::-1, :, ::-1], item.focus_distance))
    return views
