"""Motions with and without flow, put together, turned round and applied."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from synthetic_motion import SIZE, seen, similarity

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.registration.motion import (
    Motion,
    composed,
    grid_over,
    inverse,
    positions,
    transformed,
)
from focdepth_ros.registration.warp import warp_estimate, warp_image

SHAPE = (48, 64)


def bending(strength: float) -> Motion:
    """A similarity and a smooth flow of up to `strength` pixels."""
    x, y = np.moveaxis(grid_over(SIZE, SHAPE), -1, 0)
    flow = np.stack([np.sin(x / 60.0), np.cos(y / 50.0)], axis=-1) * strength
    return Motion(similarity(1.01, 0.5, (1.0, -2.0)), flow.astype(np.float32))


def test_composed_motions_take_points_there_in_one_step() -> None:
    first, second = bending(2.0), bending(-3.0)
    middle = positions(first, SIZE, SHAPE)
    # Between the cells of the grid the flow is nearly linear.
    x, y = np.moveaxis(middle, -1, 0)
    flow = np.stack([np.sin(x / 60.0), np.cos(y / 50.0)], axis=-1) * -3.0
    expected = transformed(second.matrix, middle) + flow
    found = positions(composed(first, second, SIZE), SIZE, SHAPE)
    assert np.abs(found - expected)[4:-4, 4:-4].max() < 0.05


@pytest.mark.parametrize("motion", [bending(3.0), Motion(similarity(0.98, 1.0, (4.0, 2.0)))])
def test_there_and_back_is_nowhere(motion: Motion) -> None:
    home = composed(motion, inverse(motion, SIZE), SIZE)
    apart = positions(home, SIZE, SHAPE) - grid_over(SIZE, SHAPE)
    assert np.abs(apart)[6:-6, 6:-6].max() < 0.05


@pytest.mark.parametrize("with_flow", [False, True])
def test_a_warped_image_is_the_one_that_was_moved(with_flow: bool) -> None:
    matrix = similarity(1.01, 0.6, (5.5, -3.25))
    flow = np.zeros((*SHAPE, 2), np.float32) if with_flow else None
    moved = seen(matrix, noise=0.0)
    image, valid = warp_image(moved, Motion(matrix, flow))
    expected = seen(np.eye(3), noise=0.0)
    assert valid is not None
    assert 0.9 < valid.mean() < 1.0
    inside = cv2.erode(valid.astype(np.uint8), np.ones((7, 7))) > 0
    difference = np.abs(image.astype(int) - expected.astype(int))[inside]
    assert np.mean(difference) < 2.0


def test_nothing_goes_out_of_view_when_the_other_image_shows_more() -> None:
    image = seen(np.eye(3))
    assert warp_image(image, Motion(similarity(0.95)))[1] is None
    valid = warp_image(image, Motion(similarity(shift=(10.0, 0.0))))[1]
    assert valid is not None
    assert valid[:, : SIZE[1] - 10].all()
    assert not valid[:, SIZE[1] - 9 :].any()


def test_resampling_keeps_the_detail() -> None:
    image = seen(np.eye(3), noise=0.0)
    moved = warp_image(image, Motion(similarity(shift=(0.5, 0.5))))[0]
    energy = [
        float(np.mean(np.square(cv2.Laplacian(cv2.GaussianBlur(one, (0, 0), 1.0), cv2.CV_32F))))
        for one in (image, moved)
    ]
    assert 0.9 < energy[1] / energy[0] < 1.1


def test_an_answer_on_another_grid_invents_no_depth() -> None:
    depth = np.ones(SIZE, np.float32)
    depth[:, SIZE[1] // 2 :] = 3.0
    estimate = DepthEstimate(
        depth=depth,
        confidence=np.ones(SIZE, np.float32),
        slice_index=depth.copy(),
        backend="argmax",
        metric=True,
        all_in_focus=seen(np.eye(3)),
    )
    shift = Motion(similarity(shift=(10.4, 0.0)))
    moved = warp_estimate(estimate, shift)
    known = ~np.isnan(moved.depth)
    assert set(np.unique(moved.depth[known])) == {1.0, 3.0}
    assert not known[:, :9].any()
    assert known[:, 12:].all()
    np.testing.assert_array_equal(moved.confidence > 0.0, known)
    np.testing.assert_array_equal(np.isnan(moved.slice_index), ~known)
    assert np.flatnonzero(moved.depth[0] == 3.0)[0] == SIZE[1] // 2 + 10
    assert moved.all_in_focus is not None
    assert moved.depth.dtype == moved.confidence.dtype == np.float32


@pytest.mark.parametrize("mono", [False, True])
def test_what_only_the_reference_shows_is_taken_from_its_own_image(mono: bool) -> None:
    shift = Motion(similarity(shift=(10.0, 0.0)))
    own = seen(shift.matrix, noise=0.0)
    if mono:
        own = own[..., 1].copy()
    estimate = DepthEstimate(
        depth=np.ones(SIZE, np.float32),
        confidence=np.ones(SIZE, np.float32),
        slice_index=np.ones(SIZE, np.float32),
        backend="argmax",
        metric=True,
        all_in_focus=seen(np.eye(3), noise=0.0),
    )
    moved = warp_estimate(estimate, shift, own)
    assert moved.all_in_focus is not None
    expected = own if own.ndim == 3 else np.dstack([own] * 3)
    np.testing.assert_array_equal(moved.all_in_focus[:, :9], expected[:, :9])
    assert np.isnan(moved.depth[:, :9]).all()
    colours = seen(shift.matrix, noise=0.0).astype(int)
    assert np.abs(moved.all_in_focus.astype(int) - colours)[4:-4, 14:-4].mean() < 2.0
