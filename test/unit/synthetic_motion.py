"""Focus sweeps through a camera that moves in a known way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from synthetic_sweeps import texture

from focdepth_ros.registration.motion import Matrix, transformed
from focdepth_ros.stack import ImageArray, Slice

SIZE = (192, 256)
_MARGIN = 40


def similarity(
    scale: float = 1.0, degrees: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)
) -> Matrix:
    """Scaling and rotation about the centre of the image, then a shift (x, y), (3, 3)."""
    centre = (np.array(SIZE[::-1]) - 1.0) / 2.0
    matrix = np.vstack([cv2.getRotationMatrix2D(tuple(centre), degrees, scale), [0.0, 0.0, 1.0]])
    matrix[:2, 2] += shift
    return np.asarray(matrix, dtype=np.float64)


def seen(matrix: Matrix, *, blur: float = 0.0, seed: int = 0, noise: float = 1.0) -> ImageArray:
    """Picture in which pixel x of the scene is at ``matrix · x``, (192, 256, 3)."""
    entries = tuple(np.asarray(matrix, np.float64).ravel().tolist())
    return _seen(entries, blur, seed, noise).copy()


@lru_cache(maxsize=128)
def _seen(entries: tuple[float, ...], blur: float, seed: int, noise: float) -> ImageArray:
    matrix = np.array(entries).reshape(3, 3)
    wide = (SIZE[0] + 2 * _MARGIN, SIZE[1] + 2 * _MARGIN)
    scene = texture(wide, seed=seed)
    # Light is blurred, which goes about with the square of what a camera makes of it.
    light = cv2.GaussianBlur(np.square(scene, dtype=np.float32), (0, 0), 0.7 + blur)
    into_scene = np.eye(3)
    into_scene[:2, 2] = _MARGIN
    picture = cv2.warpPerspective(
        np.sqrt(light),
        into_scene @ np.linalg.inv(matrix),
        SIZE[::-1],
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
    )
    grain = noise * np.random.default_rng(seed + 1).standard_normal(picture.shape)
    return np.asarray(np.clip(picture + grain, 0, 255), dtype=np.uint8)


def moving_sweep(
    matrices: Sequence[Matrix], *, gains: Sequence[float] | None = None
) -> list[Slice]:
    """A sweep near to far whose slices lie as `matrices` say, each differently out of focus."""
    slices = []
    for number, matrix in enumerate(matrices):
        image = seen(matrix, blur=0.5 * abs(number - 2))
        if gains is not None:
            image = np.clip(image * gains[number], 0, 255).astype(np.uint8)
        slices.append(Slice(image, 0.5 + 0.1 * number, number + 1))
    return slices


def distance(found: Matrix, truth: Matrix) -> float:
    """Largest distance in pixels between where two transforms take points of the image."""
    x, y = np.meshgrid(np.linspace(0, SIZE[1] - 1, 9), np.linspace(0, SIZE[0] - 1, 9))
    points = np.stack([x, y], axis=-1).reshape(-1, 2)
    apart = transformed(found, points) - transformed(truth, points)
    return float(np.hypot(*apart.T).max())


def interior_difference(aligned: Slice, expected: Slice) -> float:
    """Mean difference of grey levels where the aligned slice is valid, after smoothing."""
    mask = np.ones(SIZE, bool) if aligned.valid_mask is None else aligned.valid_mask
    inside = cv2.erode(mask.astype(np.uint8), np.ones((9, 9))) > 0
    smooth = [
        cv2.GaussianBlur(item.image.astype(np.float32), (0, 0), 1.0) for item in (aligned, expected)
    ]
    return float(np.abs(smooth[0] - smooth[1])[inside].mean())
