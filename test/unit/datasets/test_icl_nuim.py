"""ICL-NUIM: both releases in miniature, and some frames of a living room where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.icl_nuim import IclNuim
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

REAL = Path(__file__).parents[4] / "shared/data/rgbd/icl_livingroom1"

SIZE = (6, 8)
PICTURE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def write_frames(pictures: Path, depths: Path, *names: str, suffix: str = "png") -> None:
    """Frames whose depths are 5000 and their number, 0 at the top left."""
    for folder in (pictures, depths):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        stored = np.full(SIZE, 5000 + int(name), np.uint16)
        stored[0, :2] = 0, 12500
        write_image(pictures / f"{name}.{suffix}", PICTURE)
        write_image(depths / f"{name}.png", stored)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    living = tmp_path / "living_room_traj0_frei_png"
    write_frames(living / "rgb", living / "depth", "0", "1", "2", "10", "100")
    (living / "associations.txt").write_text("0 depth/0.png 0 rgb/0.png\n")
    office = tmp_path / "traj1_frei_png"
    write_frames(office / "rgb", office / "depth", "1")
    return tmp_path


@pytest.fixture
def augmented(tmp_path: Path) -> Path:
    pictures, depths = tmp_path / "office1-color", tmp_path / "office1-depth-clean"
    write_frames(pictures, depths, "00000", "00001", suffix="jpg")
    (tmp_path / "office1-traj.txt").write_text("0 0 1\n")
    return tmp_path


def test_scenes_are_in_the_order_of_their_numbers(root: Path) -> None:
    living = tuple(f"living_room_traj0_frei_png/{i}" for i in (0, 1, 2, 10, 100))
    assert IclNuim(root).scenes == (*living, "traj1_frei_png/1")
    assert IclNuim(root / "living_room_traj0_frei_png").scenes == ("0", "1", "2", "10", "100")
    with pytest.raises(DatasetError, match="no split 'test'; choose one of all"):
        IclNuim(root, "test")


def test_every_so_many_frames_of_each_trajectory(root: Path) -> None:
    living = tuple(f"living_room_traj0_frei_png/{i}" for i in (0, 10))
    assert IclNuim(root, every=3).scenes == (*living, "traj1_frei_png/1")
    with pytest.raises(DatasetError, match="every is -1; it must be 1 or more"):
        IclNuim(root, every=-1)


def test_original_depth_is_in_fifths_of_millimetres(root: Path) -> None:
    photograph = IclNuim(root).photograph("living_room_traj0_frei_png/100")
    np.testing.assert_array_equal(photograph.image, PICTURE)
    expected = np.full(SIZE, 1.02, np.float32)  # 5100 / 5000
    expected[0, :2] = np.nan, 2.5
    np.testing.assert_array_equal(photograph.depth, expected)
    camera = photograph.intrinsics()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (481.2, 480.0, 3.5, 2.5)


def test_augmented_depth_is_in_millimetres(augmented: Path) -> None:
    dataset = IclNuim(augmented)
    assert dataset.scenes == ("office1/00000", "office1/00001")
    photograph = dataset.photograph("office1/00001")
    expected = np.full(SIZE, 5.001, np.float32)
    expected[0, :2] = np.nan, 12.5
    np.testing.assert_array_equal(photograph.depth, expected)
    camera = photograph.intrinsics()
    assert (camera.fx, camera.fy) == (525.0, 525.0)


def test_augmented_frames_in_folders_named_as_the_originals(tmp_path: Path) -> None:
    write_frames(tmp_path / "rgb", tmp_path / "depth", "00003", suffix="jpg")
    dataset = IclNuim(tmp_path)
    assert dataset.scenes == ("00003",)
    assert dataset.photograph("00003").depth[1, 0] == np.float32(5.003)
    assert dataset.photograph("00003").focal_px == 525.0


def test_stack_goes_over_the_depths(augmented: Path) -> None:
    sample = IclNuim(augmented).load("office1/00000")
    assert len(sample.stack) == 10
    near, far = (sample.stack.slices[i].focus_distance for i in (0, -1))
    assert near is not None
    assert far is not None
    assert near < 5.0 < far < 12.5


@pytest.mark.parametrize("folder", ["color", "depth-clean"])
def test_frame_with_a_missing_file_is_listed_and_names_it(augmented: Path, folder: str) -> None:
    suffix = {"color": "jpg", "depth-clean": "png"}[folder]
    path = augmented / f"office1-{folder}" / f"00001.{suffix}"
    path.unlink()
    dataset = IclNuim(augmented)
    assert len(dataset) == 2
    with pytest.raises(DatasetError, match=rf"{path}: .*[Nn]o such file"):
        dataset.load("office1/00001")


def test_bad_depth_is_named(root: Path) -> None:
    dataset = IclNuim(root)
    path = root / "traj1_frei_png/depth/1.png"
    write_image(path, PICTURE)
    with pytest.raises(DatasetError, match=rf"{path}: has shape \(6, 8, 3\); expected one"):
        dataset.load("traj1_frei_png/1")
    write_image(path, np.full((4, 8), 5000, np.uint16))
    with pytest.raises(DatasetError, match=r"'traj1_frei_png/1': depth is of shape \(4, 8\)"):
        dataset.load("traj1_frei_png/1")


@pytest.mark.skipif(not REAL.is_dir(), reason="the frames are not here")
def test_real_frames() -> None:
    dataset = IclNuim(REAL)
    assert len(dataset) == 71
    assert dataset.scenes[:2] == ("00000", "00003")
    photograph = dataset.photograph("00210")
    assert photograph.image.shape == (480, 640, 3)
    assert 0.3 < np.nanmin(photograph.depth) < np.nanmax(photograph.depth) < 10.0
    assert photograph.focal_px == 525.0
