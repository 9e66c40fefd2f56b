"""7-Scenes: two rooms in miniature, and single frames where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.seven_scenes import SevenScenes
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

REAL = Path(__file__).parents[4] / "shared/data/rgbd/7scenes"

SIZE = (6, 8)
PICTURE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
MILLIMETRES = np.full(SIZE, 1250, np.uint16)
MILLIMETRES[0, :3] = 0, 65535, 2500
POSE = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"


def write_frames(folder: Path, count: int, suffix: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        frame = f"{folder}/frame-{i:06d}"
        write_image(Path(f"{frame}.color.{suffix}"), PICTURE)
        write_image(Path(f"{frame}.depth.png"), MILLIMETRES)
        Path(f"{frame}.pose.txt").write_text(POSE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_frames(tmp_path / "chess/seq-01", 3)
    write_frames(tmp_path / "chess/seq-02", 2)
    write_frames(tmp_path / "stairs/seq-01", 1)
    write_frames(tmp_path / "stairs/seq-10", 1)
    (tmp_path / "chess/seq-01.zip").write_bytes(b"the archive it came in")
    (tmp_path / "chess/TrainSplit.txt").write_text("sequence2 \r\n")
    (tmp_path / "chess/TestSplit.txt").write_text("sequence1\n")
    (tmp_path / "stairs/TrainSplit.txt").write_text("sequence1\nsequence10\n")
    (tmp_path / "stairs/TestSplit.txt").write_text("sequence4\n")
    return tmp_path


def test_scenes_of_the_splits(root: Path) -> None:
    test = tuple(f"chess/seq-01/frame-00000{i}" for i in range(3))
    chess = tuple(f"chess/seq-02/frame-00000{i}" for i in range(2))
    stairs = ("stairs/seq-01/frame-000000", "stairs/seq-10/frame-000000")
    assert SevenScenes(root).scenes == test + chess + stairs
    assert SevenScenes(root, "train").scenes == chess + stairs
    assert SevenScenes(root, "test").scenes == test
    with pytest.raises(DatasetError, match="no split 'val'; choose one of all, train, test"):
        SevenScenes(root, "val")


def test_every_so_many_frames_of_each_sequence(root: Path) -> None:
    assert SevenScenes(root, every=2).scenes == (
        "chess/seq-01/frame-000000",
        "chess/seq-01/frame-000002",
        "chess/seq-02/frame-000000",
        "stairs/seq-01/frame-000000",
        "stairs/seq-10/frame-000000",
    )
    with pytest.raises(DatasetError, match="every is 0; it must be 1 or more"):
        SevenScenes(root, every=0)


def test_depth_is_in_millimetres(root: Path) -> None:
    photograph = SevenScenes(root).photograph("chess/seq-01/frame-000001")
    np.testing.assert_array_equal(photograph.image, PICTURE)
    expected = np.full(SIZE, 1.25, np.float32)
    expected[0, :3] = np.nan, np.nan, 2.5
    np.testing.assert_array_equal(photograph.depth, expected)
    camera = photograph.intrinsics()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (585.0, 585.0, 3.5, 2.5)


def test_folder_of_frames_alone(tmp_path: Path) -> None:
    write_frames(tmp_path, 2, suffix="jpg")
    dataset = SevenScenes(tmp_path)
    assert dataset.scenes == ("frame-000000", "frame-000001")
    assert dataset.photograph("frame-000001").image.shape == (*SIZE, 3)
    with pytest.raises(DatasetError, match="holds no scene of the split 'train' of RGB-D Dataset"):
        SevenScenes(tmp_path, "train")


def test_stack_goes_over_the_depths(root: Path) -> None:
    sample = SevenScenes(root).load("stairs/seq-10/frame-000000")
    assert len(sample.stack) == 10
    assert np.isfinite(sample.valid_mask).all()
    # 1 of 46 known depths is at 2.5 m: 0.4 to 0.8 dioptres without 0.5 % and 5 % wider.
    near, far = (sample.stack.slices[i].focus_distance for i in (0, -1))
    low = 0.4 + 0.4 * 0.005 * 45
    assert near == pytest.approx(1.0 / (0.8 + 0.05 * (0.8 - low)), rel=1e-5)
    assert far == pytest.approx(1.0 / (low - 0.05 * (0.8 - low)), rel=1e-5)


@pytest.mark.parametrize("file", ["color.png", "depth.png"])
def test_frame_with_a_missing_file_is_listed_and_names_it(root: Path, file: str) -> None:
    scene = "chess/seq-02/frame-000001"
    path = root / f"{scene}.{file}"
    path.unlink()
    dataset = SevenScenes(root)
    assert scene in dataset.scenes
    with pytest.raises(DatasetError, match=rf"{path}: .*[Nn]o such file"):
        dataset.load(scene)


def test_bad_depth_is_named(root: Path) -> None:
    scene = "chess/seq-02/frame-000001"
    dataset = SevenScenes(root)
    write_image(root / f"{scene}.depth.png", PICTURE)
    with pytest.raises(DatasetError, match=r"depth.png: has shape \(6, 8, 3\); expected one"):
        dataset.load(scene)
    write_image(root / f"{scene}.depth.png", MILLIMETRES[:4])
    with pytest.raises(DatasetError, match=rf"{scene}': depth is of shape \(4, 8\)"):
        dataset.load(scene)


def test_bad_split_files_are_named(root: Path) -> None:
    (root / "stairs/TestSplit.txt").write_text("sequence1\nseq-04\n")
    with pytest.raises(
        DatasetError, match=r"stairs/TestSplit.txt: holds the line 'seq-04'; expected one as 'seq"
    ):
        SevenScenes(root, "test")
    (root / "chess/TestSplit.txt").unlink()
    with pytest.raises(DatasetError, match="chess/TestSplit.txt: no such file"):
        SevenScenes(root, "test")


@pytest.mark.skipif(not REAL.is_dir(), reason="the frames are not here")
def test_real_frames() -> None:
    dataset = SevenScenes(REAL, every=10)
    assert dataset.scenes == tuple(f"frame-000{i}" for i in ("000", "250", "500", "750"))
    photograph = dataset.photograph("frame-000250")
    assert photograph.image.shape == (480, 640, 3)
    assert np.isnan(photograph.depth).any()
    assert 0.4 < np.nanmin(photograph.depth) < np.nanmax(photograph.depth) < 10.0
