"""From positions on the working grid to a `DepthEstimate` on the image grid."""

from __future__ import annotations

import time

import cv2
import numpy as np

from focdepth_ros.classical.all_in_focus import sample_all_in_focus
from focdepth_ros.classical.confidence import FocusCurves, focus_confidence
from focdepth_ros.classical.focus_volume import FocusVolume
from focdepth_ros.classical.refinement import enlarge
from focdepth_ros.estimate import DepthEstimate, depth_from_slice_index


def answer_from_positions(
    volume: FocusVolume,
    curves: FocusCurves,
    *,
    backend: str,
    timings: dict[str, float],
) -> DepthEstimate:
    """Depth, confidence and all-in-focus image from the position of every pixel in the stack.

    Parameters
    ----------
    volume : FocusVolume
    curves : FocusCurves
    backend : str
        Whose answer it is.
    timings : dict of str to float
        Seconds of the steps before this one.
    """
    started = time.perf_counter()
    height, width = volume.size
    confidence = focus_confidence(curves)
    if confidence.shape != volume.size:
        confidence = np.asarray(
            cv2.resize(confidence, (width, height), interpolation=cv2.INTER_LINEAR),
            dtype=np.float32,
        )
    slice_index = enlarge(curves.slice_index, volume.size)
    if volume.metric:
        depth = depth_from_slice_index(slice_index, volume.positions)
    else:
        depth = slice_index.copy()
    placed = time.perf_counter()
    all_in_focus = sample_all_in_focus(volume.images, slice_index) if volume.all_in_focus else None
    return DepthEstimate(
        depth=depth,
        confidence=confidence,
        slice_index=slice_index,
        backend=backend,
        metric=volume.metric,
        all_in_focus=all_in_focus,
        timings={
            **timings,
            "depth": placed - started,
            "all_in_focus": time.perf_counter() - placed,
        },
    )
