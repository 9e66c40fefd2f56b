"""From depth images to points in the optical frame (x right, y down, z forward; REP 103)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import CalibrationError, quoted
from focdepth_ros.stack import CameraIntrinsics, FloatImage, Lens

_PINHOLE_MODELS = ("plumb_bob", "rational_polynomial", "thin_prism_fisheye", "")
_FISHEYE_MODELS = ("equidistant", "fisheye")
_PINHOLE_COUNTS = (4, 5, 8, 12, 14)
_FISHEYE_COUNTS = (4,)
_STEEPEST = 50.0  # tangent of a ray's angle: about 89 degrees, which no depth image is for
_OFF = 0.5  # px; a ray that comes to lie farther from its pixel is none


@lru_cache(maxsize=2)
def pixel_rays(intrinsics: CameraIntrinsics) -> FloatImage:
    """Direction of every pixel's ray at unit depth, lens distortion taken out.

    Returns
    -------
    (H, W, 2) float32
        x/z and y/z; read-only, shared between calls. NaN where no ray comes to lie by this
        distortion, as beside the picture of a fisheye lens.

    Raises
    ------
    CalibrationError
        If the distortion model is not known, or has another number of coefficients.
    """
    columns, rows = np.meshgrid(
        np.arange(intrinsics.width, dtype=np.float64),
        np.arange(intrinsics.height, dtype=np.float64),
    )
    bends, coefficients = _distortion(intrinsics)
    if coefficients is None:
        directions = np.stack(
            [
                (columns - intrinsics.cx) / intrinsics.fx,
                (rows - intrinsics.cy) / intrinsics.fy,
            ],
            axis=-1,
        )
    else:
        pixels = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
        matrix = _matrix(intrinsics)
        if bends is cv2.fisheye:
            flat = cv2.fisheye.undistortPoints(pixels, matrix, coefficients)
        else:  # by itself it makes 5 iterations, which leave a wide lens off by some pixels
            ending = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 1e-9)
            same = np.eye(3)
            flat = cv2.undistortPointsIter(pixels, matrix, coefficients, same, same, ending)
        directions = np.asarray(flat, np.float64).reshape(-1, 2)
        apart = np.linalg.norm(project(directions, intrinsics) - pixels[:, 0], axis=1)
        steep = np.hypot(directions[:, 0], directions[:, 1]) > _STEEPEST
        directions[steep | ~(apart <= _OFF)] = np.nan
        directions = directions.reshape(intrinsics.height, intrinsics.width, 2)
    rays: FloatImage = directions.astype(np.float32)
    rays.flags.writeable = False
    return rays


def project(rays: NDArray[np.float64], intrinsics: CameraIntrinsics) -> NDArray[np.float64]:
    """Where rays come to lie in the image, lens distortion put in: the reverse of `pixel_rays`.

    Parameters
    ----------
    rays : (N, 2) float64
        x/z and y/z, of what is in front of the camera.
    intrinsics : CameraIntrinsics

    Returns
    -------
    (N, 2) float64
        Column and row, also beyond the image. Far beyond it a distortion may be meaningless.

    Raises
    ------
    CalibrationError
        As `pixel_rays`.
    """
    bends, coefficients = _distortion(intrinsics)
    matrix = _matrix(intrinsics)
    if coefficients is None:
        return np.asarray(rays * (matrix[0, 0], matrix[1, 1]) + matrix[:2, 2])
    if not len(rays):
        return np.zeros((0, 2))
    points = np.column_stack([rays, np.ones(len(rays))]).reshape(-1, 1, 3)
    still = np.zeros(3)
    if bends is cv2.fisheye:
        pixels, _ = cv2.fisheye.projectPoints(points, still, still, matrix, coefficients)
    else:
        pixels, _ = cv2.projectPoints(points, still, still, matrix, coefficients)
    return np.asarray(pixels, np.float64).reshape(-1, 2)


def back_project(depth: FloatImage, intrinsics: CameraIntrinsics) -> NDArray[np.float32]:
    """Points of a depth image in the optical frame.

    Parameters
    ----------
    depth : (H, W) float32
        Metres along the optical axis.
    intrinsics : CameraIntrinsics
        For images of the same size.

    Returns
    -------
    (H, W, 3) float32
        x, y, z in metres; NaN where the depth is not finite, or the pixel has no ray.

    Raises
    ------
    CalibrationError
        If the intrinsics are for another image size, or their distortion is not known.
    """
    return np.asarray(cv2.merge(point_planes(depth, intrinsics)), dtype=np.float32)


def point_planes(
    depth: FloatImage, intrinsics: CameraIntrinsics
) -> tuple[FloatImage, FloatImage, FloatImage]:
    """What `back_project` gives as three images (H, W) of x, y and z."""
    if depth.shape != (intrinsics.height, intrinsics.width):
        raise CalibrationError(
            f"depth image is {depth.shape[1]}x{depth.shape[0]} px, camera intrinsics are for "
            f"{intrinsics.width}x{intrinsics.height}; calibrate at the size in use"
        )
    rays = pixel_rays(intrinsics)
    z = np.where(np.isfinite(depth) & ~np.isnan(rays[..., 0]), depth, np.float32(np.nan))
    return rays[..., 0] * z, rays[..., 1] * z, z


def intrinsics_from_lens(lens: Lens, width: int, height: int) -> CameraIntrinsics:
    """Pinhole intrinsics of a lens without distortion, principal point in the middle.

    ``fx = fy = f / pitch``, which holds for a lens focused far beyond its focal length.
    """
    focal_length = lens.focal_length / lens.pixel_pitch
    return CameraIntrinsics(
        width, height, focal_length, focal_length, (width - 1) / 2.0, (height - 1) / 2.0
    )


def intrinsics_from_field_of_view(degrees: float, width: int, height: int) -> CameraIntrinsics:
    """Pinhole intrinsics from the horizontal field of view, principal point in the middle.

    Raises
    ------
    CalibrationError
        If the angle is not in (0, 180) degrees.
    """
    if not 0.0 < degrees < 180.0:
        raise CalibrationError(f"field of view of {degrees} degrees is not in (0, 180)")
    focal_length = width / 2.0 / math.tan(math.radians(degrees) / 2.0)
    return CameraIntrinsics(
        width, height, focal_length, focal_length, (width - 1) / 2.0, (height - 1) / 2.0
    )


def scaled_intrinsics(intrinsics: CameraIntrinsics, width: int, height: int) -> CameraIntrinsics:
    """Intrinsics of the same picture resized to `width` x `height` pixels.

    The distortion coefficients stay: they act on normalised coordinates.
    """
    across = width / intrinsics.width
    down = height / intrinsics.height
    return replace(
        intrinsics,
        width=width,
        height=height,
        fx=intrinsics.fx * across,
        fy=intrinsics.fy * down,
        # Pixel centres are at whole numbers, so the picture begins at -0.5.
        cx=(intrinsics.cx + 0.5) * across - 0.5,
        cy=(intrinsics.cy + 0.5) * down - 0.5,
    )


def _distortion(intrinsics: CameraIntrinsics) -> tuple[Any, NDArray[np.float64] | None]:
    """The module of OpenCV for a lens, and its coefficients; None: it does not distort.

    Raises
    ------
    CalibrationError
    """
    is_fisheye = intrinsics.distortion_model in _FISHEYE_MODELS
    # A fisheye lens is none of a pinhole's also where all its coefficients are zero.
    if not is_fisheye and not any(intrinsics.distortion):
        return cv2, None
    coefficients = np.array(intrinsics.distortion or [0.0] * 4)
    counts = _FISHEYE_COUNTS if is_fisheye else _PINHOLE_COUNTS
    if len(coefficients) not in counts:
        raise CalibrationError(
            f"{len(coefficients)} distortion coefficients for model "
            f"{quoted(intrinsics.distortion_model)}; give {', '.join(map(str, counts))}"
        )
    if not is_fisheye and intrinsics.distortion_model not in _PINHOLE_MODELS:
        known = ", ".join(name for name in _PINHOLE_MODELS + _FISHEYE_MODELS if name)
        raise CalibrationError(
            f"distortion model {quoted(intrinsics.distortion_model)} is not known; "
            f"use one of {known}"
        )
    return (cv2.fisheye if is_fisheye else cv2), coefficients


def _matrix(intrinsics: CameraIntrinsics) -> NDArray[np.float64]:
    return np.array(
        [[intrinsics.fx, 0, intrinsics.cx], [0, intrinsics.fy, intrinsics.cy], [0, 0, 1]],
        np.float64,
    )
