"""From positions on the working grid, or a picture, to a `DepthEstimate` on the image grid."""

from __future__ import annotations

import time

import cv2
import numpy as np

from focdepth_ros.classical.focus_volume import FocusVolume
from focdepth_ros.classical.guided_upsampling import upsample_guided
from focdepth_ros.estimate import DepthEstimate, depth_from_slice_index
from focdepth_ros.stack import FloatImage, ImageArray


def answer_from_positions(
    volume: FocusVolume,
    slice_index: FloatImage,
    confidence: FloatImage,
    guide: ImageArray,
    picture: ImageArray,
    *,
    backend: str,
    timings: dict[str, float],
) -> DepthEstimate:
    """Depth and confidence of every pixel of the image from the positions in the stack.

    Parameters
    ----------
    volume : FocusVolume
    slice_index, confidence : (h, w) float32
        Of every pixel of the working grid.
    guide : (H, W, 3) uint8
        At whose edges surfaces end.
    picture : (H, W, 3) uint8
        The all-in-focus image.
    backend : str
        Whose answer it is.
    timings : dict of str to float
        Seconds of the steps before this one.
    """
    started = time.perf_counter()
    height, width = volume.size
    if confidence.shape != volume.size:
        confidence = np.asarray(
            cv2.resize(confidence, (width, height), interpolation=cv2.INTER_LINEAR),
            dtype=np.float32,
        )
    if slice_index.shape != volume.size:
        slice_index = upsample_guided(slice_index, guide)
    # Smoothing may leave the sweep by what rounding makes of it.
    slice_index = np.clip(slice_index, 0.0, len(volume.positions) - 1.0)
    if volume.metric:
        depth = depth_from_slice_index(slice_index, volume.positions)
    else:
        depth = slice_index.copy()
    return DepthEstimate(
        depth=depth,
        confidence=confidence,
        slice_index=slice_index,
        backend=backend,
        metric=volume.metric,
        all_in_focus=picture if volume.all_in_focus else None,
        timings={**timings, "depth": time.perf_counter() - started},
    )
