"""From depth images to points in the optical frame (x right, y down, z forward; REP 103)."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import CalibrationError
from focdepth_ros.stack import CameraIntrinsics, FloatImage

_PINHOLE_MODELS = ("plumb_bob", "rational_polynomial", "thin_prism_fisheye", "")
_FISHEYE_MODELS = ("equidistant", "fisheye")


@lru_cache(maxsize=8)
def pixel_rays(intrinsics: CameraIntrinsics) -> FloatImage:
    """Direction of every pixel's ray at unit depth, lens distortion taken out.

    Returns
    -------
    (H, W, 2) float32
        x/z and y/z; read-only, shared between calls.

    Raises
    ------
    CalibrationError
        If the distortion model is not known.
    """
    columns, rows = np.meshgrid(
        np.arange(intrinsics.width, dtype=np.float64),
        np.arange(intrinsics.height, dtype=np.float64),
    )
    if any(intrinsics.distortion):
        matrix = np.array(
            [[intrinsics.fx, 0, intrinsics.cx], [0, intrinsics.fy, intrinsics.cy], [0, 0, 1]]
        )
        pixels = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
        coefficients = np.array(intrinsics.distortion)
        if intrinsics.distortion_model in _FISHEYE_MODELS:
            flat = cv2.fisheye.undistortPoints(pixels, matrix, coefficients[:4])
        elif intrinsics.distortion_model in _PINHOLE_MODELS:
            flat = cv2.undistortPoints(pixels, matrix, coefficients)
        else:
            known = ", ".join(name for name in _PINHOLE_MODELS + _FISHEYE_MODELS if name)
            raise CalibrationError(
                f"distortion model '{intrinsics.distortion_model}' is not known; use one of {known}"
            )
        rays = flat.reshape(intrinsics.height, intrinsics.width, 2)
    else:
        rays = np.stack(
            [
                (columns - intrinsics.cx) / intrinsics.fx,
                (rows - intrinsics.cy) / intrinsics.fy,
            ],
            axis=-1,
        )
    rays = rays.astype(np.float32)
    rays.flags.writeable = False
    return rays


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
        x, y, z in metres; all three NaN where the depth is not finite.

    Raises
    ------
    CalibrationError
        If the intrinsics are for another image size.
    """
    if depth.shape != (intrinsics.height, intrinsics.width):
        raise CalibrationError(
            f"depth image is {depth.shape[1]}x{depth.shape[0]} px, camera intrinsics are for "
            f"{intrinsics.width}x{intrinsics.height}; calibrate at the size in use"
        )
    points = np.empty((*depth.shape, 3), dtype=np.float32)
    points[..., 2] = np.where(np.isfinite(depth), depth, np.float32(np.nan))
    np.multiply(pixel_rays(intrinsics), points[..., 2:], out=points[..., :2])
    return points
