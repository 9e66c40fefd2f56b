"""Where the stacks of a benchmark come from, and their sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.datasets.registry import open_dataset
from focdepth_ros.errors import OptionError
from focdepth_ros.evaluation.benchmark.stacks import DatasetStacks, SimulatedStacks, resized_stack
from focdepth_ros.simulation import render_random_sweep
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import CameraIntrinsics, FocalStack, Lens, Slice


def test_simulated_stacks_are_held_out_and_of_the_size_asked_for() -> None:
    source = SimulatedStacks(2, slices=3)
    assert source.names == (str(FIRST_HELD_OUT_SEED), str(FIRST_HELD_OUT_SEED + 1))
    sample = source.load(source.names[1], (48, 32))
    expected = render_random_sweep(FIRST_HELD_OUT_SEED + 1, slices=3, width=48, height=32)
    np.testing.assert_array_equal(sample.depth, expected.depth)
    for ours, theirs in zip(sample.stack.slices, expected.stack.slices, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)


def ramp() -> LabelledStack:
    """Two slices whose tone, and a truth that, grow from left to right by one a pixel."""
    columns, rows = 96, 48
    tone = np.tile(np.arange(columns, dtype=np.uint8), (rows, 1))
    camera = CameraIntrinsics(columns, rows, 80.0, 80.0, 50.0, 20.0)
    seen = np.tile(np.arange(columns) >= 30, (rows, 1))
    slices = [Slice(tone, 0.5), Slice(tone, 1.0, valid_mask=seen)]
    stack = FocalStack(slices, camera, Lens(0.016, 1.4, 0.016 / 80.0), reference=1)
    return LabelledStack("ramp", stack, 1.0 + tone.astype(np.float32))


@pytest.mark.parametrize("size", [(96, 48), (32, 32), (48, 24), (120, 100)])
def test_resized_stacks_keep_their_geometry(size: tuple[int, int]) -> None:
    before, after = ramp(), resized_stack(ramp(), *size)
    width, height = size
    assert after.stack.size == (height, width)
    assert (after.stack.reference, after.name, after.is_metric) == (1, "ramp", True)
    camera, lens = after.stack.intrinsics, after.stack.lens
    old = before.stack.intrinsics
    assert camera is not None
    assert old is not None
    assert lens is not None
    assert (camera.width, camera.height) == size
    assert camera.fx * lens.pixel_pitch == pytest.approx(lens.focal_length)
    assert camera.fx == pytest.approx(camera.fy, rel=0.02)  # whole pixels
    # The tone says which column of the old picture a pixel shows: it is seen along the same ray.
    column = (np.arange(width) - camera.cx) / camera.fx * old.fx + old.cx
    inside = slice(2, -2)
    rows = after.stack.slices[0].image
    assert np.abs(rows[:, inside] - column[inside]).max() <= 1.0
    assert after.depth is not None
    assert np.abs(after.depth - 1.0 - column).max() <= 1.0
    mask = after.stack.slices[1].valid_mask
    assert mask is not None
    assert np.abs(column[np.argmax(mask[0])] - 30.0) <= 1.5


def test_a_stack_of_that_size_stays_as_it_is() -> None:
    before, after = ramp(), resized_stack(ramp(), 96, 48)
    np.testing.assert_array_equal(after.stack.slices[0].image, before.stack.slices[0].image)
    np.testing.assert_array_equal(after.depth, before.depth)
    assert after.stack.intrinsics == before.stack.intrinsics
    assert after.stack.lens == before.stack.lens


def test_stacks_of_several_folders_are_told_apart(stack_folders: Path) -> None:
    one = open_dataset("stack_folders", stack_folders / "a")
    other = open_dataset("stack_folders", stack_folders / "b")
    assert DatasetStacks([one]).names == ["far", "near"]
    both = DatasetStacks([one, other])
    assert both.names == ["a/far", "a/near", "b"]
    assert both.load("b", None).stack.size == (48, 64)
    assert both.load("b", (32, 32)).name == "b"
    assert DatasetStacks([one, other], 2).names == ["a/far", "b"]
    with pytest.raises(OptionError, match="two stacks 'a/far'; give each folder once"):
        DatasetStacks([one, one])
