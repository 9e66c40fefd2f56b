"""The motion that a simulated sweep reports is the one that its pictures show."""

from __future__ import annotations

import cv2
import numpy as np

from focdepth_ros.simulation import RenderOptions, render_random_sweep
from focdepth_ros.simulation.renderer import SimulatedStack


def sweep(options: RenderOptions) -> SimulatedStack:
    return render_random_sweep(4, slices=3, width=160, height=120, options=options)


def test_a_still_camera_has_no_motion() -> None:
    for motion in sweep(RenderOptions()).motions:
        np.testing.assert_array_equal(motion, np.eye(3))


def test_undoing_the_motion_gives_the_picture_of_a_still_camera() -> None:
    still = sweep(RenderOptions())
    moved = sweep(RenderOptions(breathing=1.0, shake_translation=3.0, shake_rotation=1.0))
    np.testing.assert_array_equal(moved.motions[0], np.eye(3))
    for motion, shaken, expected in zip(
        moved.motions[1:], moved.light[1:], still.light[1:], strict=True
    ):
        undone = cv2.warpPerspective(
            shaken, motion, (160, 120), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        )
        inside = (slice(15, -15), slice(15, -15))
        error = np.abs(undone - expected)[inside].mean()
        assert error < 0.2 * np.abs(shaken - expected)[inside].mean()
