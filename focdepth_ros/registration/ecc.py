"""Registration of two slices by maximising the correlation of their detail."""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import AlignmentError
from focdepth_ros.registration.agreement import agreement
from focdepth_ros.registration.motion import (
    Matrix,
    corners,
    implausible_because,
    resampled,
    transformed,
)
from focdepth_ros.registration.view import MIN_SIDE, View, view_from_slice
from focdepth_ros.stack import FloatImage

EccModel = Literal["similarity", "affine", "homography"]

_ITERATIONS = 30
# Pixels of the view by which the corners still move; OpenCV resamples at 32nds of a pixel.
_PRECISION = 1 / 32
# More freedom is taken where it removes at least this share of the difference that is left:
# it is never quite useless, but what defocus changes can be fitted by it just as well.
_WORTH = 0.03


def register_ecc(previous: View, view: View, *, model: EccModel) -> Matrix:
    """Transform that maximises the correlation of two slices' equalised detail.

    From coarse to fine, beginning with the shift at which they correlate best.

    Parameters
    ----------
    previous, view : View
    model : {"similarity", "affine", "homography"}
        What the transform may do.

    Returns
    -------
    (3, 3) float64
        From pixels of the previous slice to those of the other.

    Raises
    ------
    AlignmentError
        If the search does not converge, or the result is none that a camera could have made.

    References
    ----------
    Evangelidis, Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient
    Maximization", IEEE TPAMI 30(10), 2008. Baker, Matthews, "Lucas-Kanade 20 Years On: A
    Unifying Framework", IJCV 56(3), 2004 (inverse compositional).
    """
    start = _nearest_shift(previous.coarse_detail, view.coarse_detail, view.size)
    rough: EccModel = "similarity" if model == "similarity" else "affine"
    coarse = _maximise(previous.coarse_detail, view.coarse_detail, start, view.size, rough)
    matrix = _maximise(previous.detail, view.detail, coarse, view.size, model)
    reason = implausible_because(matrix, view.size)
    if reason is not None:
        raise AlignmentError(reason)
    return matrix


def least_ecc_enough(previous: View, view: View, similarity: Matrix) -> Matrix:
    """The simplest of similarity, affine transform and homography that explains two slices.

    Parameters
    ----------
    previous, view : View
    similarity : (3, 3) float64
        As from `register_ecc`.
    """

    def difference(matrix: Matrix) -> float:
        return 1.0 - agreement(previous, view, matrix).correlation

    chosen, left = similarity, difference(similarity)
    for model in get_args(EccModel)[1:]:
        try:
            freer = _maximise(previous.detail, view.detail, chosen, view.size, model)
        except AlignmentError:
            break
        difference_then = difference(freer)
        if difference_then < (1.0 - _WORTH) * left:
            chosen, left = freer, difference_then
    return chosen


def _nearest_shift(template: FloatImage, image: FloatImage, size: tuple[int, int]) -> Matrix:
    """Shift by which two images correlate best, unless they do so at least as well without.

    The search for a transform only climbs; this finds the right hill after a large motion.
    """
    window = cv2.createHanningWindow(template.shape[::-1], cv2.CV_32F)
    # Given a window, OpenCV multiplies the images themselves by it.
    shift, _ = cv2.phaseCorrelate(template * window, image * window)
    x, y = (round(value) for value in shift)
    height, width = template.shape
    if max(abs(x), abs(y)) < 1 or abs(x) > width // 2 or abs(y) > height // 2:
        return np.eye(3)
    moved = image[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    fixed = template[max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)]
    if _correlation(fixed, moved) <= _correlation(template, image):
        return np.eye(3)
    start = np.eye(3)
    start[:2, 2] = x * size[1] / width, y * size[0] / height
    return start


def _correlation(first: FloatImage, second: FloatImage) -> float:
    norm = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(np.vdot(first, second)) / norm if norm > 0.0 else 0.0


def _maximise(
    template: FloatImage, image: FloatImage, start: Matrix, size: tuple[int, int], model: EccModel
) -> Matrix:
    """Gauss-Newton search, with the images of `size` given at the size of the view."""
    height, width = template.shape
    if min(height, width) < MIN_SIDE // 2:
        raise AlignmentError(
            f"images of {size[1]}x{size[0]} px are too small to be registered; use larger ones"
        )
    # Unit coordinates, in which all that a transform can do weighs about the same.
    unit = np.diag([2.0 / width, 2.0 / width, 1.0])
    unit[:2, 2] = -(width - 1.0) / width, -(height - 1.0) / width
    steps = _steepest_descent(template, unit, model)
    # Products of a few long rows: for these threads of a BLAS cost more than they give.
    hessian = np.einsum("ik,jk->ij", steps, steps).astype(np.float64)
    frame = corners((height, width))

    scale = view_from_slice(size, (height, width))
    matrix = scale @ start @ np.linalg.inv(scale)
    for _ in range(_ITERATIONS):
        warped = resampled(image, matrix)
        energy = float(np.vdot(warped, warped))
        gain = float(np.vdot(warped, template)) / energy if energy > 0.0 else 0.0
        if not gain > 0.0:
            break
        # Where the other image ends, its zeros are to be no difference.
        difference = np.where(warped == 0.0, np.float32(0), np.float32(gain) * warped - template)
        try:
            slope = np.einsum("ik,k->i", steps, difference.ravel())
            parameters = np.linalg.solve(hessian, slope).astype(np.float64)
        except np.linalg.LinAlgError:
            break
        step: Matrix = np.linalg.inv(unit) @ _transform(parameters, model) @ unit
        before = transformed(matrix, frame)
        matrix = matrix @ np.linalg.inv(step)
        matrix /= matrix[2, 2]
        moved = float(np.abs(transformed(matrix, frame) - before).max())
        if not moved < max(height, width):
            break
        if moved < _PRECISION:
            back = np.linalg.inv(scale) @ matrix @ scale
            return np.asarray(back / back[2, 2])
    raise AlignmentError(
        "the correlation with the slice before cannot be maximised: they show too little in common"
    )


def _steepest_descent(template: FloatImage, unit: Matrix, model: EccModel) -> FloatImage:
    """How the template changes with each parameter of `_transform`, (n, h · w)."""
    height, width = template.shape
    # Unit coordinates move by pixels times the scale.
    along_x, along_y = (
        cv2.Sobel(template, cv2.CV_32F, dx, dy, ksize=1, scale=0.5 / unit[0, 0])
        for dx, dy in ((1, 0), (0, 1))
    )
    u = np.arange(width, dtype=np.float32) * np.float32(unit[0, 0]) + np.float32(unit[0, 2])
    v = np.arange(height, dtype=np.float32) * np.float32(unit[1, 1]) + np.float32(unit[1, 2])
    v = v[:, np.newaxis]
    outward = along_x * u + along_y * v
    if model == "similarity":
        layers = [outward, along_y * u - along_x * v, along_x, along_y]
    else:
        layers = [along_x * u, along_x * v, along_x, along_y * u, along_y * v, along_y]
    if model == "homography":
        layers += [-outward * u, -outward * v]
    return np.stack(layers).reshape(len(layers), -1)


def _transform(parameters: NDArray[np.float64], model: EccModel) -> Matrix:
    """The transform in unit coordinates; none for parameters of 0."""
    if model == "similarity":
        zoom, turn, x, y = parameters
        return np.array([[1.0 + zoom, -turn, x], [turn, 1.0 + zoom, y], [0.0, 0.0, 1.0]])
    matrix = np.zeros(9)
    matrix[: len(parameters)] = parameters
    return np.eye(3) + matrix.reshape(3, 3)
