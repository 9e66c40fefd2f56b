"""Registration of two slices by points that are found again."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.focus_measure import grey_image
from focdepth_ros.errors import AlignmentError
from focdepth_ros.registration.motion import Matrix, implausible_because
from focdepth_ros.registration.view import view_from_slice
from focdepth_ros.stack import ImageArray

_MAX_PIXELS = 1_000_000  # in which points are looked for
_MAX_POINTS = 1500
_CONTRAST = 0.02  # of SIFT; its default of 0.04 finds next to nothing in blurred slices
_RATIO = 0.75
_TOLERANCE = 1.5  # px of the image in which points are looked for
_MIN_INLIERS = 12
_MIN_INLIER_SHARE = 0.3
_HOMOGRAPHY_INLIERS = 40
_HOMOGRAPHY_SPREAD = 0.5  # of the image, in both directions


@dataclass(frozen=True, eq=False)
class Keypoints:
    """SIFT points of a slice, in its pixels.

    Parameters
    ----------
    size : (H, W)
        Of the slice.
    points : (N, 2) float32
    descriptors : (N, 128) float32
    reduction : float
        Pixels of the slice per pixel in which the points were looked for.
    """

    size: tuple[int, int]
    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    reduction: float


def keypoints_of(image: ImageArray) -> Keypoints:
    """Find SIFT points.

    Parameters
    ----------
    image : (H, W, 3) RGB or (H, W) uint8

    References
    ----------
    Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 60(2), 2004.
    """
    size = image.shape[:2]
    reduction = max(1.0, float(np.sqrt(size[0] * size[1] / _MAX_PIXELS)))
    grey = grey_image(image)
    if reduction > 1.0:
        small = (round(size[1] / reduction), round(size[0] / reduction))
        grey = np.asarray(cv2.resize(grey, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    sift = cv2.SIFT.create(nfeatures=_MAX_POINTS, contrastThreshold=_CONTRAST)
    found, descriptors = sift.detectAndCompute(grey, None)
    if not found:
        empty = np.empty((0, 2), np.float32)
        return Keypoints(size, empty, np.empty((0, 128), np.float32), reduction)
    scale = view_from_slice(size, grey.shape[:2])
    points = (np.array([point.pt for point in found]) - scale[:2, 2]) / np.diag(scale)[:2]
    return Keypoints(
        size, points.astype(np.float32), np.asarray(descriptors, np.float32), reduction
    )


def register_keypoints(previous: Keypoints, points: Keypoints) -> Matrix:
    """Homography between two slices from the points that both show.

    Where they are few or lie close together, eight numbers cannot be had from them and a
    similarity is fitted.

    Parameters
    ----------
    previous, points : Keypoints

    Returns
    -------
    (3, 3) float64
        From pixels of the previous slice to those of the other.

    Raises
    ------
    AlignmentError
        If too few points match, or the result is none that a camera could have made.

    References
    ----------
    Barath et al., "MAGSAC++, a Fast, Reliable and Accurate Robust Estimator", CVPR 2020.
    """
    source, target = matched_points(previous, points)
    if len(source) < _MIN_INLIERS:
        raise AlignmentError(
            f"{len(previous.points)} and {len(points.points)} points found, {len(source)} match; "
            f"at least {_MIN_INLIERS} are needed"
        )
    tolerance = _TOLERANCE * points.reduction
    matrix, mask = cv2.findHomography(
        source, target, cv2.USAC_MAGSAC, tolerance, maxIters=2000, confidence=0.999
    )
    inliers = np.zeros(len(source), bool) if mask is None else mask.ravel() > 0
    spread = np.ptp(source[inliers], axis=0) if inliers.any() else np.zeros(2)
    if (
        matrix is None
        or inliers.sum() < _HOMOGRAPHY_INLIERS
        or np.any(spread < _HOMOGRAPHY_SPREAD * np.array(points.size[::-1]))
    ):
        similarity, mask = cv2.estimateAffinePartial2D(
            source, target, ransacReprojThreshold=tolerance, maxIters=2000, confidence=0.999
        )
        inliers = np.zeros(len(source), bool) if mask is None else mask.ravel() > 0
        matrix = None if similarity is None else np.vstack([similarity, [0.0, 0.0, 1.0]])
    count = int(inliers.sum())
    if matrix is None or count < max(_MIN_INLIERS, _MIN_INLIER_SHARE * len(source)):
        raise AlignmentError(
            f"{count} of {len(source)} matched points agree on a transform; at least "
            f"{_MIN_INLIERS} and {100 * _MIN_INLIER_SHARE:.0f} % are needed"
        )
    transform = np.asarray(matrix, dtype=np.float64)
    reason = implausible_because(transform, points.size)
    if reason is not None:
        raise AlignmentError(reason)
    return np.asarray(transform / transform[2, 2])


def matched_points(
    previous: Keypoints, points: Keypoints
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points of two slices that are alike and unlike any other, (N, 2) each."""
    empty = np.empty((0, 2), np.float32)
    if min(len(previous.points), len(points.points)) < 2:
        return empty, empty
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(previous.descriptors, points.descriptors, k=2)
    good = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    return (
        previous.points[[match.queryIdx for match in good]].reshape(-1, 2),
        points.points[[match.trainIdx for match in good]].reshape(-1, 2),
    )
