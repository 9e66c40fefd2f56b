"""FoD500: the authors' folder in miniature."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from focdepth_ros.datasets.fod500 import Fod500
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

HEIGHT, WIDTH = 4, 8
HALF = [cv2.IMWRITE_EXR_TYPE, cv2.IMWRITE_EXR_TYPE_HALF]


def write_scene(folder: Path, scene: int, slices: int = 5) -> None:
    """Slice k is 10 k + 1 in red, 2 in green, 3 in blue; depth 1.25 m, with holes."""
    folder.mkdir(exist_ok=True)
    for k in range(1, slices + 1):
        image = np.full((HEIGHT, WIDTH, 3), (10 * k + 1, 2, 3), np.uint8)
        write_image(folder / f"{scene:06d}_{k:02d}All.tif", image)
    depth = np.full((HEIGHT, WIDTH), 1.25, np.float32)
    depth[0, 0], depth[0, 1], depth[1, 2] = 0.0, np.inf, 0.125
    channels = np.dstack([np.zeros_like(depth), np.zeros_like(depth), depth])  # blue, green, red
    cv2.imwrite(str(folder / f"{scene:06d}Dpt.exr"), channels, HALF)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENCV_IO_ENABLE_OPENEXR", "1")
    if not cv2.haveImageWriter("depth.exr"):
        pytest.skip("this OpenCV is built without OpenEXR")
    for scene in (399, 3, 400, 499):
        write_scene(tmp_path / "fs_6", scene)
    return tmp_path


def test_the_first_four_hundred_are_to_train_on(root: Path) -> None:
    assert Fod500(root).scenes == ("000003", "000399")
    assert Fod500(root, "test").scenes == ("000400", "000499")
    assert Fod500(root / "fs_6").scenes == ("000003", "000399")
    with pytest.raises(DatasetError, match="no split 'val'; choose one of train, test"):
        Fod500(root, "val")


def test_slices_are_near_to_far(root: Path) -> None:
    stack = Fod500(root).load("000003").stack
    assert [s.image[0, 0].tolist() for s in stack.slices] == [
        [10 * k + 1, 2, 3] for k in range(1, 6)
    ]
    assert [s.focus_distance for s in stack.slices] == [0.1, 0.15, 0.3, 0.7, 1.5]


def test_depth_is_the_red_channel_in_metres(root: Path) -> None:
    sample = Fod500(root).load("000399")
    assert sample.depth is not None
    assert sample.depth.dtype == np.float32
    assert np.isnan(sample.depth[0, :2]).all()
    assert sample.depth[1, 2] == 0.125
    assert np.count_nonzero(sample.depth == 1.25) == HEIGHT * WIDTH - 3
    assert sample.is_metric
    assert sample.all_in_focus is None


def test_lens(root: Path) -> None:
    stack = Fod500(root).load("000003").stack
    assert stack.intrinsics is None
    assert stack.lens is not None
    assert (stack.lens.focal_length, stack.lens.f_number) == (0.0029, 1.0)
    assert stack.lens.pixel_pitch * WIDTH == pytest.approx(0.0031)


def test_a_scene_with_a_missing_file_is_listed_and_says_so(root: Path) -> None:
    (root / "fs_6/000003_04All.tif").unlink()
    (root / "fs_6/000399Dpt.exr").unlink()
    dataset = Fod500(root)
    assert dataset.scenes == ("000003", "000399")
    with pytest.raises(DatasetError, match="scene '000003' has 4 slices .*02All.tif.* expected 5"):
        dataset.load("000003")
    with pytest.raises(DatasetError, match="000399Dpt.exr: no such file"):
        dataset.load("000399")


def test_damaged_files(root: Path) -> None:
    path = root / "fs_6/000399Dpt.exr"
    path.write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="000399Dpt.exr: cannot be read as an OpenEXR image"):
        Fod500(root).load("000399")
    (root / "fs_6/000003_01All.tif").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="000003_01All.tif: cannot be decoded"):
        Fod500(root).load("000003")


def test_a_slice_of_another_size(root: Path) -> None:
    write_image(root / "fs_6/000003_03All.tif", np.zeros((HEIGHT, HEIGHT, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"03All.tif: of shape \(4, 4, 3\), but 000003_01"):
        Fod500(root).load("000003")


def test_an_opencv_that_refuses_openexr(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> None:
        raise cv2.error("OpenEXR codec is disabled")

    monkeypatch.setattr("focdepth_ros.datasets.fod500.cv2.imread", refuse)
    with pytest.raises(DatasetError, match="start with OPENCV_IO_ENABLE_OPENEXR=1"):
        Fod500(root).load("000003")


def test_a_folder_without_scenes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no scene of the split 'train' of FoD500"):
        Fod500(tmp_path)
