"""Where the pixels of one image are found in another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Motion:
    """A pixel x of the one image is at ``matrix · x + flow(x)`` in the other.

    Parameters
    ----------
    matrix : (3, 3) float64
        Homography, in pixels of the images.
    flow : (h, w, 2) float32, optional
        What the homography leaves, in pixels of the images, x before y, on a coarser grid over
        the first image.
    """

    matrix: Matrix = field(default_factory=lambda: np.eye(3))
    flow: FloatImage | None = None

    def is_identity(self) -> bool:
        """Whether every pixel stays exactly where it is."""
        return self.flow is None and bool(np.array_equal(self.matrix, np.eye(3)))


def transformed(matrix: Matrix, points: Points) -> Points:
    """Points (..., 2) under a homography."""
    image = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(image[..., :2] / image[..., 2:])


def corners(size: tuple[int, int]) -> Points:
    """Centres of the corner pixels of an image of (H, W), (4, 2), x before y."""
    height, width = size
    right, bottom = width - 1.0, height - 1.0
    return np.array([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])


def frame_points(size: tuple[int, int]) -> Points:
    """Points spread over an image of (H, W), (25, 2), x before y."""
    x, y = np.linspace(0.0, size[1] - 1.0, 5), np.linspace(0.0, size[0] - 1.0, 5)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def rms_displacement(matrix: Matrix, size: tuple[int, int]) -> float:
    """How far a homography moves the pixels of an image of (H, W), root mean square."""
    points = frame_points(size)
    moved = transformed(matrix, points) - points
    return float(np.sqrt(np.mean(np.sum(moved * moved, axis=1))))


def similarity_part(matrix: Matrix, size: tuple[int, int]) -> Matrix:
    """The similarity that moves the pixels of an image of (H, W) most nearly the same way.

    Parameters
    ----------
    matrix : (3, 3) float64
    size : (H, W)

    Returns
    -------
    (3, 3) float64
        Scale, rotation and shift, by least squares over points spread over the image.

    References
    ----------
    Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two Point Patterns",
    IEEE TPAMI 13(4), 1991; in the plane it is linear.
    """
    points = frame_points(size)
    image = transformed(matrix, points)
    # As complex numbers a similarity is image = a · point + b.
    source = points[:, 0] + 1j * points[:, 1]
    target = image[:, 0] + 1j * image[:, 1]
    spread = source - source.mean()
    a = np.vdot(spread, target) / np.vdot(spread, spread).real
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0.0, 0.0, 1.0]])


def implausible_because(matrix: Matrix, size: tuple[int, int]) -> str | None:
    """Why a homography cannot be how a camera moved between two slices, or None if it can.

    Parameters
    ----------
    matrix : (3, 3) float64
    size : (H, W)
    """
    frame = corners(size)
    depth = frame @ matrix[2, :2] + matrix[2, 2]
    if not np.all(np.isfinite(matrix)) or np.any(depth <= 0.0):
        return "the transform folds the image over"
    moved = transformed(matrix, frame)
    shift = float(np.abs(moved - frame).max())
    if shift > 0.3 * max(size):
        return f"the transform moves a corner by {shift:.0f} px, more than 30 % of the image"
    edges = np.roll(moved, -1, axis=0) - moved
    lengths = np.hypot(*edges.T) / np.hypot(*(np.roll(frame, -1, axis=0) - frame).T)
    turns = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1]
    turns -= edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
    if np.any(turns <= 0.0) or lengths.min() < 0.7 or lengths.max() > 1.4:
        return (
            f"the transform stretches the edges of the image by {lengths.min():.2f} to "
            f"{lengths.max():.2f}"
        )
    return None


def resampled(
    image: NDArray[Any],
    matrix: Matrix,
    interpolation: int = cv2.INTER_LINEAR,
    *,
    border: int = cv2.BORDER_CONSTANT,
    outside: float = 0.0,
) -> NDArray[Any]:
    """An image (H, W[, C]) on the grid from which `matrix` leads to it.

    Parameters
    ----------
    image : (H, W) or (H, W, C)
    matrix : (3, 3) float64
        From pixels of the result to those of `image`.
    interpolation, border : int
        As OpenCV numbers them.
    outside : float
        What is seen beyond the border, where that is constant.
    """
    size = (image.shape[1], image.shape[0])
    flags = interpolation | cv2.WARP_INVERSE_MAP
    value = (outside,) * 4
    if matrix[2, 0] == matrix[2, 1] == 0.0:  # much the faster
        affine = matrix[:2] / matrix[2, 2]
        return cv2.warpAffine(image, affine, size, None, flags, border, value)
    return cv2.warpPerspective(image, matrix, size, None, flags, border, value)


def grid_over(size: tuple[int, int], shape: tuple[int, int]) -> Points:
    """Centres of the cells of a grid of `shape` (h, w) over an image of `size`, (h, w, 2)."""
    x = (np.arange(shape[1]) + 0.5) * (size[1] / shape[1]) - 0.5
    y = (np.arange(shape[0]) + 0.5) * (size[0] / shape[0]) - 0.5
    return np.stack(np.meshgrid(x, y), axis=-1)


def positions(motion: Motion, size: tuple[int, int], shape: tuple[int, int]) -> Points:
    """Where the cells of a grid of `shape` over an image of `size` go, (h, w, 2)."""
    moved = transformed(motion.matrix, grid_over(size, shape))
    if motion.flow is not None:
        moved = moved + cv2.resize(motion.flow, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return moved


def composed(first: Motion, second: Motion, size: tuple[int, int]) -> Motion:
    """From the first image to the third, by way of the second; all are of `size` (H, W)."""
    matrix = second.matrix @ first.matrix
    matrix /= matrix[2, 2]
    flows = [motion.flow for motion in (first, second) if motion.flow is not None]
    if not flows:
        return Motion(matrix)
    shape = flows[0].shape[:2]
    middle = positions(first, size, shape)
    end = transformed(second.matrix, middle)
    if second.flow is not None:
        end += sampled(second.flow, middle, size)
    rest = end - transformed(matrix, grid_over(size, shape))
    return Motion(matrix, rest.astype(np.float32))


def inverse(motion: Motion, size: tuple[int, int]) -> Motion:
    """The way back, between images of `size` (H, W)."""
    back: Matrix = np.linalg.inv(motion.matrix).astype(np.float64)
    back /= back[2, 2]
    if motion.flow is None:
        return Motion(back)
    shape = motion.flow.shape[:2]
    goal = grid_over(size, shape)
    start = transformed(back, goal)
    for _ in range(4):  # a fixed point, since the flow changes slowly from pixel to pixel
        start = transformed(back, goal - sampled(motion.flow, start, size))
    return Motion(back, (start - transformed(back, goal)).astype(np.float32))


def sampled(flow: FloatImage, points: Points, size: tuple[int, int]) -> FloatImage:
    """Flow on a coarse grid over an image of `size`, read at points (h, w, 2) of the image."""
    height, width = flow.shape[:2]
    x = (points[..., 0] + 0.5) * (width / size[1]) - 0.5
    y = (points[..., 1] + 0.5) * (height / size[0]) - 0.5
    read = cv2.remap(
        flow,
        x.astype(np.float32),
        y.astype(np.float32),
        interpolation=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(read, dtype=np.float32)
