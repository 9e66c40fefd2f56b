"""A flow is kept where it explains the images, whatever their focus, and only there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from synthetic_motion import SIZE, seen, similarity

from focdepth_ros.registration.flow import leftover
from focdepth_ros.registration.flow_evidence import supported_flow
from focdepth_ros.registration.motion import Motion
from focdepth_ros.registration.view import view_of
from focdepth_ros.stack import FloatImage, ImageArray

SHIFT = (3.0, 1.0)


def shifted_by(x: float, y: float) -> FloatImage:
    flow = np.empty((SIZE[0] // 2, SIZE[1] // 2, 2), np.float32)
    flow[...] = x, y
    return flow


def kept(first: ImageArray, second: ImageArray, flow: FloatImage) -> FloatImage:
    """Share of a flow that is kept, on the grid of the image."""
    found = supported_flow(view_of(first), view_of(second), Motion(np.eye(3), flow)).flow
    if found is None:
        return np.zeros(SIZE, np.float32)
    share = np.hypot(*np.moveaxis(found, -1, 0)) / np.hypot(*np.moveaxis(flow, -1, 0))
    return np.asarray(cv2.resize(share, SIZE[::-1]), dtype=np.float32)


@pytest.mark.parametrize("blurs", [(0.0, 0.0), (0.0, 2.5), (2.5, 0.0)])
def test_flow_is_kept_where_the_scene_moved(blurs: tuple[float, float]) -> None:
    first, second = seen(np.eye(3), blur=blurs[0]), seen(np.eye(3), blur=blurs[1])
    second[:, :128] = seen(similarity(shift=SHIFT), blur=blurs[1])[:, :128]
    share = kept(first, second, shifted_by(*SHIFT))
    assert share[:, :90].mean() > 0.98
    assert share[:, 170:].max() < 0.1


@pytest.mark.parametrize("blur", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("flow", [(3.0, 0.0), (0.0, -1.5)])
def test_flow_that_explains_nothing_goes(blur: float, flow: tuple[float, float]) -> None:
    first, second = seen(np.eye(3)), seen(np.eye(3), blur=blur)
    assert kept(first, second, shifted_by(*flow)).mean() < 0.01
    assert kept(second, first, shifted_by(*flow)).mean() < 0.01


def test_the_border_of_what_is_overexposed_tells_nothing() -> None:
    def with_sky(edge: int, sigma: float) -> ImageArray:
        scene = seen(np.eye(3)).astype(np.float32) ** 2 / 255.0
        scene[:edge] += 3_000.0
        light = cv2.GaussianBlur(scene, (0, 0), sigma)
        return np.asarray(np.clip(np.sqrt(255.0 * light), 0, 255), np.uint8)

    # The border of the sky moves by defocus as it would by a flow of so much.
    sharp, blurred = with_sky(60, 1.0), with_sky(60, 5.0)
    reach = [int(np.argmax((image > 251).mean(axis=(1, 2)) < 0.5)) for image in (sharp, blurred)]
    moved_by = float(reach[1] - reach[0])
    assert moved_by >= 5.0
    assert kept(sharp, blurred, shifted_by(0.0, moved_by)).max() == 0.0
    assert kept(blurred, sharp, shifted_by(0.0, -moved_by)).max() == 0.0


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_what_a_transform_leaves_is_measured(blur: float) -> None:
    first, second = seen(np.eye(3)), seen(np.eye(3), blur=blur)
    assert leftover(view_of(first), view_of(second), np.eye(3)) < 0.3
    second[:, :80] = seen(similarity(shift=(1.5, 0.0)), blur=blur)[:, :80]
    assert leftover(view_of(first), view_of(second), np.eye(3)) == pytest.approx(1.5, abs=0.5)
    blank = view_of(np.full((*SIZE, 3), 99, np.uint8))
    assert leftover(blank, blank, np.eye(3)) == 0.0
