"""Multi-focus fusion folders: the layouts of StackMFF in miniature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.fusion_folders import FusionFolders
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

GREY = np.array([[0, 63, 127], [255, 3, 1]], np.uint8)


def write_stack(folder: Path, *names: str) -> None:
    """One colour image per name, in which red is the position of the name."""
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        image = np.zeros((2, 3, 3), np.uint8)
        image[..., 0] = 20 * i
        write_image(folder / name, image)


def write_depth(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Splits beside their depth maps."""
    write_stack(tmp_path / "train/stack10", "1.png", "2.png")
    write_stack(tmp_path / "train/stack2", "10.png", "1.png", "2.png")
    write_stack(tmp_path / "test/stack1", "1.png", "2.png")
    for name in ("stack2", "stack10"):
        write_depth(tmp_path / f"depth_maps/train/{name}.png", GREY)
    return tmp_path


def test_the_splits_are_those_present(root: Path) -> None:
    assert FusionFolders(root).split == "train"
    assert FusionFolders(root).scenes == ("stack2", "stack10")
    assert FusionFolders(root, "test").scenes == ("stack1",)
    with pytest.raises(DatasetError, match="holds no scene of the split 'val'"):
        FusionFolders(root, "val")
    with pytest.raises(DatasetError, match="holds no scene of"):
        FusionFolders(root, "all")
    with pytest.raises(DatasetError, match="no split 'dev'; choose one of train, val, test, all"):
        FusionFolders(root, "dev")


def test_the_first_split_that_is_there_is_the_default(tmp_path: Path) -> None:
    write_stack(tmp_path / "val/a", "1.png", "2.png")
    assert FusionFolders(tmp_path).split == "val"


def test_slices_come_in_the_order_of_their_numbers(root: Path) -> None:
    sample = FusionFolders(root).load("stack2")
    assert [int(item.image[0, 0, 0]) for item in sample.stack.slices] == [20, 40, 0]
    assert not sample.stack.is_metric
    assert not sample.is_metric


def test_the_inverse_of_the_depth_goes_with_the_grey_level(root: Path) -> None:
    depth = FusionFolders(root).load("stack2").depth
    assert depth is not None
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[256.0, 4.0, 2.0], [1.0, 64.0, 128.0]])


def test_there_is_no_truth_without_depth_maps(root: Path) -> None:
    sample = FusionFolders(root, "test").load("stack1")
    assert sample.depth is None
    assert sample.all_in_focus is None
    assert not sample.valid_mask.any()


@pytest.mark.parametrize(
    ("stacks", "depths"),
    [("image_stacks", "depth_maps"), ("dof_stack", "depth"), ("image stack", "depth"), (".", "")],
)
@pytest.mark.parametrize("split", ["all", "train"])
def test_reads_the_folders_of_one_set(tmp_path: Path, stacks: str, depths: str, split: str) -> None:
    place = tmp_path if split == "all" else tmp_path / split
    write_stack(place / stacks / "scene", "0.png", "10.5.png", "2.png")
    write_stack(place / "AiF", "scene.png", "other.png")
    if depths:
        write_depth(place / depths / "scene.png", GREY)
    (sample,) = FusionFolders(tmp_path)
    assert FusionFolders(tmp_path).split == split
    assert sample.name == "scene"
    assert [int(item.image[0, 0, 0]) for item in sample.stack.slices] == [0, 40, 20]
    assert (sample.depth is not None) == bool(depths)
    assert sample.all_in_focus is not None
    assert sample.all_in_focus.shape == (2, 3, 3)


def test_depth_maps_beside_the_stacks_are_no_stack(tmp_path: Path) -> None:
    write_stack(tmp_path / "a", "1.png", "2.png")
    write_depth(tmp_path / "depth_maps/a.png", GREY)
    (sample,) = FusionFolders(tmp_path)
    assert sample.name == "a"
    assert sample.depth is not None


def test_says_what_is_missing(root: Path) -> None:
    (root / "depth_maps/train/stack2.png").unlink()
    (root / "train/stack10/2.png").unlink()
    dataset = FusionFolders(root)
    assert dataset.scenes == ("stack2", "stack10")
    with pytest.raises(DatasetError, match=r"stack2\.png: no such file"):
        dataset.load("stack2")
    with pytest.raises(DatasetError, match=r"stack10: only one image in it, 1\.png"):
        dataset.load("stack10")
    (root / "train/AiF").mkdir()
    write_depth(root / "depth_maps/train/stack2.png", GREY)
    with pytest.raises(DatasetError, match=r"AiF/stack2\.png"):
        dataset.load("stack2")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (GREY.astype(np.uint16), r"stack2\.png: holds uint16 values; expected 8-bit grey levels"),
        (np.zeros((2, 3, 3), np.uint8), r"stack2\.png: has shape \(2, 3, 3\); expected one"),
        (GREY[:1], r"stack2: depth is of shape \(1, 3\), the slices are of \(2, 3\)"),
    ],
)
def test_says_what_is_wrong_with_a_depth_map(root: Path, values: np.ndarray, words: str) -> None:
    write_depth(root / "depth_maps/train/stack2.png", values)
    with pytest.raises(DatasetError, match=words):
        FusionFolders(root).load("stack2")
