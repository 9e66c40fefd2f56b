"""Registration of two slices by maximising the correlation of their detail."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import AlignmentError
from focdepth_ros.registration.agreement import agreement
from focdepth_ros.registration.motion import Matrix, implausible_because, similarity_part
from focdepth_ros.registration.view import MIN_SIDE, View, view_from_slice
from focdepth_ros.stack import FloatImage

EccModel = Literal["similarity", "affine", "homography"]

_ITERATIONS = 30
_PRECISION = 1e-4  # of the correlation
# More freedom is taken where it removes at least this share of the difference that is left:
# it is never quite useless, but what defocus changes can be fitted by it just as well.
_WORTH = 0.03


def register_ecc(previous: View, view: View, *, model: EccModel) -> Matrix:
    """Transform that maximises the correlation of two slices' equalised detail.

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
    Maximization", IEEE TPAMI 30(10), 2008.
    """
    matrix = affine_ecc(previous, view)
    if model == "homography":
        matrix = _maximise(previous.detail, view.detail, matrix, view.size, model)
    elif model == "similarity":
        matrix = similarity_part(matrix, view.size)
    reason = implausible_because(matrix, view.size)
    if reason is not None:
        raise AlignmentError(reason)
    return matrix


def affine_ecc(previous: View, view: View) -> Matrix:
    """Affine transform between two slices, from coarse to fine; see `register_ecc`."""
    start = _nearest_shift(previous.coarse_detail, view.coarse_detail, view.size)
    coarse = _maximise(previous.coarse_detail, view.coarse_detail, start, view.size, "affine")
    return _maximise(previous.detail, view.detail, coarse, view.size, "affine")


def least_ecc_enough(previous: View, view: View, affine: Matrix) -> Matrix:
    """The simplest of similarity, affine transform and homography that explains two slices.

    Parameters
    ----------
    previous, view : View
    affine : (3, 3) float64
        As from `affine_ecc`.
    """

    def difference(matrix: Matrix) -> float:
        return 1.0 - agreement(previous, view, matrix).correlation

    try:
        homography = _maximise(previous.detail, view.detail, affine, view.size, "homography")
    except AlignmentError:
        homography = affine
    similarity = similarity_part(affine, view.size)
    left = difference(affine)
    if difference(homography) < (1.0 - _WORTH) * left:
        return homography
    return affine if left < (1.0 - _WORTH) * difference(similarity) else similarity


def _nearest_shift(template: FloatImage, image: FloatImage, size: tuple[int, int]) -> Matrix:
    """Shift by which two images correlate best, unless they do so at least as well without.

    The search for a transform only climbs; this finds the right hill after a large motion.
    """
    window = cv2.createHanningWindow(template.shape[::-1], cv2.CV_32F)
    shift, _ = cv2.phaseCorrelate(template, image, window)
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
    template: FloatImage,
    image: FloatImage,
    start: Matrix,
    size: tuple[int, int],
    model: Literal["affine", "homography"],
) -> Matrix:
    height, width = template.shape[:2]
    if min(height, width) < MIN_SIDE // 2:
        raise AlignmentError(
            f"images of {size[1]}x{size[0]} px are too small to be registered; use larger ones"
        )
    scale = view_from_slice(size, (height, width))
    back = np.linalg.inv(scale)
    begin = scale @ start @ back
    rows = 2 if model == "affine" else 3
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, _PRECISION)
    try:
        _, found = cv2.findTransformECC(
            template,
            image,
            (begin / begin[2, 2])[:rows].astype(np.float32),
            cv2.MOTION_AFFINE if model == "affine" else cv2.MOTION_HOMOGRAPHY,
            criteria,
            np.full(image.shape[:2], 255, dtype=np.uint8),
            gaussFiltSize=1,
        )
    except cv2.error as error:
        raise AlignmentError(
            "the correlation with the slice before cannot be maximised: they show too little in "
            "common"
        ) from error
    matrix: NDArray[np.float64] = np.eye(3)
    matrix[:rows] = found
    matrix = back @ matrix @ scale
    return np.asarray(matrix / matrix[2, 2])
