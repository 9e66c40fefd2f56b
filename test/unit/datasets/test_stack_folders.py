"""Focal stack folders as a dataset."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.stack_folders import StackFolders, stacks_below
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack import CameraIntrinsics, FocalStack, Lens, Slice
from focdepth_ros.stack_folder.saving import save_stack

CAMERA = CameraIntrinsics(4, 3, 10.0, 10.0, 1.5, 1.0)
LENS = Lens(0.016, 1.4, 2e-5)
# The repository beside which data for development lies, if any does.
REAL = Path(__file__).parents[4] / "shared/data/stacks"


def write_images(folder: Path, *names: str) -> Path:
    """One grey image per name; its value is the position of the name."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        write_image(folder / name, np.full((3, 4), 10 * i, np.uint8))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A stack with everything, one of pictures alone, and folders that are none."""
    slices = [Slice(np.full((3, 4, 3), 50 * i, np.uint8), 2.0 - i) for i in range(2)]
    depth = np.full((3, 4), 1.5, np.float32)
    depth[0, 0] = np.nan
    save_stack(tmp_path / "b/c/full", FocalStack(slices, CAMERA, LENS), depth=depth)
    write_images(tmp_path / "stack_10", "1.png", "2.png")
    write_images(tmp_path / "stack_2", "2.png", "10.png", "1.png")
    write_images(tmp_path / "stack_2/depth", "1.png", "2.png")  # inside of one: not looked at
    write_images(tmp_path / "single", "1.png", "notes.png")
    write_images(tmp_path / "b/c/d/too_deep", "1.png", "2.png")
    write_images(tmp_path / ".hidden", "1.png", "2.png")
    return tmp_path


def test_finds_stacks_up_to_three_levels_deep(root: Path) -> None:
    assert StackFolders(root).scenes == ("b/c/full", "stack_2", "stack_10")


def test_folders_that_may_be_damaged_stacks_are_found_where_wanted(root: Path) -> None:
    write_images(root / "b", "cover.png")  # a picture beside folders of stacks
    found = stacks_below(root, any_images=True)
    assert list(found) == ["b/c/full", "single", "stack_2", "stack_10"]
    assert found["b/c/full"] == root / "b/c/full"
    assert list(stacks_below(root, passing_over={"b", "stack_2"})) == ["stack_10"]


def test_a_stack_is_a_dataset_of_itself(root: Path) -> None:
    assert StackFolders(root / "stack_2").scenes == ("stack_2",)


def test_a_folder_without_a_name_takes_that_of_its_place(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "stack_2")
    assert [sample.name for sample in StackFolders(".")] == ["stack_2"]


def test_reads_what_the_description_tells(root: Path) -> None:
    sample = StackFolders(root).load("b/c/full")
    assert [item.focus_distance for item in sample.stack.slices] == [1.0, 2.0]
    assert [int(item.image[0, 0, 0]) for item in sample.stack.slices] == [50, 0]
    assert sample.stack.intrinsics == CAMERA
    assert sample.stack.lens == LENS
    assert sample.is_metric
    assert sample.depth is not None
    assert np.isnan(sample.depth[0, 0])
    assert sample.depth[2, 3] == 1.5
    assert sample.valid_mask.sum() == 11


def test_reads_the_true_sharp_picture(tmp_path: Path) -> None:
    slices = [Slice(np.full((3, 4), 50 * i, np.uint8), 2.0 - i) for i in range(2)]
    sharp = np.full((3, 4, 3), 9, np.uint8)
    save_stack(tmp_path / "a", FocalStack(slices), all_in_focus=sharp)
    (sample,) = StackFolders(tmp_path)
    np.testing.assert_array_equal(sample.all_in_focus, sharp)
    write_image(tmp_path / "a/all_in_focus.png", sharp[:2])
    with pytest.raises(DatasetError, match=r"a: all_in_focus is of shape \(2, 4, 3\), the slices"):
        StackFolders(tmp_path).load("a")


def test_pictures_alone_are_a_relative_stack_in_the_order_of_their_numbers(root: Path) -> None:
    sample = StackFolders(root).load("stack_2")
    assert [int(item.image[0, 0]) for item in sample.stack.slices] == [20, 0, 10]  # 1, 2, 10
    assert not sample.stack.is_metric
    assert sample.depth is None
    assert sample.labels is None


def test_a_missing_slice_is_named_when_its_scene_is_read(root: Path) -> None:
    (root / "b/c/full/001.png").unlink()
    dataset = StackFolders(root)
    assert "b/c/full" in dataset.scenes
    with pytest.raises(DatasetError, match=r"001\.png: no such file, but stack\.yaml lists it"):
        dataset.load("b/c/full")


def test_a_wrong_depth_is_named(root: Path) -> None:
    np.save(root / "b/c/full/depth.npy", np.ones((2, 2), np.float32))
    with pytest.raises(DatasetError, match=r"depth\.npy: 2x2 px, but 000\.png is 4x3 px"):
        StackFolders(root).load("b/c/full")


def test_a_file_holds_no_scenes(root: Path) -> None:
    with pytest.raises(DatasetError, match="holds no scene of Focal stack folders"):
        StackFolders(root / "single/1.png")


@pytest.mark.skipif(not REAL.is_dir(), reason="no real stacks here")
def test_reads_real_stacks() -> None:
    dataset = StackFolders(REAL)
    assert len(dataset) == sum(len(files) > 2 for _, _, files in os.walk(REAL))
    assert len(dataset.load("handheld/cocoa1").stack) == 11
