"""DDFF 12-Scene: the authors' HDF5 files in miniature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from focdepth_ros.datasets.ddff12 import Ddff12
from focdepth_ros.errors import DatasetError
from focdepth_ros.optics import circle_of_confusion

h5py = pytest.importorskip("h5py")

TRAINVAL, TEST = "ddff-dataset-trainval.h5", "ddff-dataset-test.h5"
HEIGHT, WIDTH = 4, 6
# Metres times pixels: 521.4052 px by 1982.025 / 7317.0206 mm.
METRES = 521.4052 * 1982.0250823695178 / 7317.020641763665 * 1e-3


def stacks(count: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Slice k of stack n is k + 10 n + 100 in red, 1 in green, 2 in blue."""
    values = np.zeros((count, 10, height, width, 3), np.uint8)
    values[..., 0] = 100 + np.arange(10)[:, None, None] + 10 * np.arange(count)[:, None, None, None]
    values[..., 1:] = 1, 2
    return values


def disparities(count: int) -> np.ndarray:
    values = np.full((count, HEIGHT, WIDTH), METRES / 2.0, np.float32)
    values[:, 0, 0] = 0.0
    values[1:, 0, 1] = 0.2825
    return values


def write(path: Path, **arrays: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(
        tmp_path / TRAINVAL,
        stack_train=stacks(2).astype(np.float32),
        disp_train=disparities(2),
        stack_val=stacks(1),
        disp_val=disparities(1),
    )
    write(tmp_path / TEST, stack_test=stacks(1))
    return tmp_path


def test_scenes_of_the_splits(root: Path) -> None:
    assert Ddff12(root).scenes == ("train_00000", "train_00001")
    assert Ddff12(root, "val").scenes == ("val_00000",)
    assert Ddff12(root, "test").scenes == ("test_00000",)
    with pytest.raises(DatasetError, match="no split 'dev'; choose one of train, val, test"):
        Ddff12(root, "dev")


def test_a_file_alone_is_read_under_any_name(root: Path) -> None:
    path = (root / TRAINVAL).rename(root / "mine.h5")
    assert Ddff12(path, "val").load("val_00000").depth is not None
    with pytest.raises(DatasetError, match="mine.h5: has no 'stack_test'; it has disp_train"):
        Ddff12(path, "test")


def test_slices_are_evenly_spaced_in_disparity_from_half_a_metre_to_seven(root: Path) -> None:
    stack = Ddff12(root).load("train_00001").stack
    assert [int(s.image[0, 0, 0]) for s in stack.slices] == [110 + k for k in range(10)]
    assert stack.slices[0].image.dtype == np.uint8
    assert stack.slices[0].image[0, 0].tolist() == [110, 1, 2]
    assert stack.slices[0].focus_distance == pytest.approx(0.5)
    assert stack.slices[9].focus_distance == pytest.approx(7.0)
    disparity = METRES * stack.dioptres
    np.testing.assert_allclose(np.diff(disparity), (0.020177 - 0.282476) / 9, rtol=1e-4)
    assert disparity[[0, 9]] == pytest.approx([0.28248, 0.02018], abs=1e-5)


def test_depth_is_metres(root: Path) -> None:
    sample = Ddff12(root).load("train_00001")
    assert sample.depth is not None
    assert sample.depth.dtype == np.float32
    assert np.isnan(sample.depth[0, 0])
    assert sample.depth[0, 1] == pytest.approx(0.49996, rel=1e-4)  # 0.141237 / 0.2825
    np.testing.assert_allclose(sample.depth[1:], 2.0, rtol=1e-6)
    assert sample.is_metric


def test_the_test_split_has_no_truth_and_blue_first(root: Path) -> None:
    sample = Ddff12(root, "test").load("test_00000")
    assert sample.depth is None
    assert sample.stack.slices[3].image[0, 0].tolist() == [2, 1, 103]


def test_intrinsics_are_those_of_whole_views(tmp_path: Path, root: Path) -> None:
    assert Ddff12(root).load("train_00000").stack.intrinsics is None
    path = tmp_path / "whole.h5"
    write(path, stack_test=stacks(1, 383, 552))
    intrinsics = Ddff12(path, "test").load("test_00000").stack.intrinsics
    assert intrinsics is not None
    assert (intrinsics.width, intrinsics.height) == (552, 383)
    assert intrinsics.fx == intrinsics.fy == 521.4052
    assert (intrinsics.cx, intrinsics.cy) == pytest.approx((285.114, 187.825), abs=1e-3)


def test_the_lens_blurs_by_nine_views(root: Path) -> None:
    lens = Ddff12(root).load("train_00000").stack.lens
    assert lens is not None
    assert lens.focal_length / lens.pixel_pitch == pytest.approx(521.4052)
    # Nine views, each a disparity away from the next.
    blur = circle_of_confusion(lens, 1.0, 7.0)
    assert blur == pytest.approx(9 * METRES * (1 / 1.0 - 1 / 7.0), rel=0.01)


def test_a_missing_file(tmp_path: Path) -> None:
    write(tmp_path / TEST, stack_test=stacks(1))
    with pytest.raises(DatasetError, match=f"holds no scene of the split 'train'.*{TRAINVAL} with"):
        Ddff12(tmp_path)


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / TRAINVAL).write_bytes(b"not HDF5")
    with pytest.raises(DatasetError, match=f"{TRAINVAL}: is no HDF5 file"):
        Ddff12(tmp_path)


@pytest.mark.parametrize(
    ("stack", "disparity", "message"),
    [
        (
            stacks(1)[:, :9],
            disparities(1),
            r"stack_train\[0\] is of shape \(9, 4, 6, 3\); exp",
        ),
        (stacks(1)[..., 0], disparities(1), r"is of shape \(10, 4, 6\); expected \(10, height"),
        (stacks(1) / 255.0 - 1.0, disparities(1), "holds float64 values; expected numbers from 0"),
        (stacks(1), disparities(1)[:, 1:], r"disp_train\[0\] is of shape \(3, 6\), the slices of"),
        (stacks(2), disparities(1), r"disp_train\[1\] cannot be read: .*; download the file again"),
    ],
)
def test_other_content_is_named(
    tmp_path: Path, stack: np.ndarray, disparity: np.ndarray, message: str
) -> None:
    write(tmp_path / TRAINVAL, stack_train=stack, disp_train=disparity)
    dataset = Ddff12(tmp_path)
    with pytest.raises(DatasetError, match=message):
        dataset.load(dataset.scenes[-1])


def test_a_file_without_disparities(tmp_path: Path) -> None:
    write(tmp_path / TRAINVAL, stack_train=stacks(1))
    with pytest.raises(DatasetError, match="has no 'disp_train'; it has stack_train"):
        Ddff12(tmp_path).load("train_00000")
