"""TUM RGB-D: two sequences in miniature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.tum_rgbd import TumRgbd
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

SIZE = (6, 8)
XYZ, DESK = "rgbd_dataset_freiburg1_xyz", "rgbd_dataset_freiburg3_desk"
HEADER = "# color images\n# file: 'rgbd_dataset_freiburg1_xyz.bag'\n# timestamp filename\n"


def picture(value: int) -> np.ndarray:
    return np.full((*SIZE, 3), (value, 0, 255), np.uint8)


def write_sequence(folder: Path, pictures: list[str], depths: list[str]) -> None:
    """Pictures of which red is the position, and depths of 5000 times as much, from 1 on."""
    for kind in ("rgb", "depth"):
        (folder / kind).mkdir(parents=True)
    for i, stamp in enumerate(pictures, 1):
        write_image(folder / "rgb" / f"{stamp}.png", picture(i))
    for i, stamp in enumerate(depths, 1):
        stored = np.full(SIZE, 5000 * i, np.uint16)
        stored[0, :2] = 0, 2500
        write_image(folder / "depth" / f"{stamp}.png", stored)
    for kind, stamps in (("rgb", pictures), ("depth", depths)):
        lines = "".join(f"{stamp} {kind}/{stamp}.png\n" for stamp in stamps)
        (folder / f"{kind}.txt").write_text(HEADER + lines)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    # Depths come at other times: the second lies between two pictures, nearer to the later one;
    # nothing is within 20 ms of the third picture.
    write_sequence(
        tmp_path / XYZ,
        ["1305031102.100000", "1305031102.130000", "1305031102.200000", "1305031102.300000"],
        ["1305031102.095000", "1305031102.117000", "1305031102.221000", "1305031102.319000"],
    )
    write_sequence(tmp_path / DESK, ["1341845688.500000"], ["1341845688.500001"])
    return tmp_path


def test_scenes_are_pictures_with_depths_near_in_time(root: Path) -> None:
    stamps = ("1305031102.100000", "1305031102.130000", "1305031102.300000")
    dataset = TumRgbd(root)
    assert dataset.scenes == (*(f"{XYZ}/{stamp}" for stamp in stamps), f"{DESK}/1341845688.500000")
    pairs = []
    for stamp in stamps:
        photograph = dataset.photograph(f"{XYZ}/{stamp}")
        pairs.append((int(photograph.image[0, 0, 0]), float(photograph.depth[1, 0])))
    assert pairs == [(1, 1.0), (2, 2.0), (4, 4.0)]
    with pytest.raises(DatasetError, match="no split 'test'; choose one of all"):
        TumRgbd(root, "test")


def test_order_is_that_of_the_stamps(root: Path) -> None:
    path = root / XYZ / "rgb.txt"
    path.write_text("\n".join(reversed(path.read_text().splitlines())))
    assert TumRgbd(root / XYZ).scenes[0] == "1305031102.100000"


def test_every_so_many_frames_of_each_sequence(root: Path) -> None:
    scenes = TumRgbd(root, every=2).scenes
    assert scenes == (
        f"{XYZ}/1305031102.100000",
        f"{XYZ}/1305031102.300000",
        f"{DESK}/1341845688.500000",
    )
    with pytest.raises(DatasetError, match="every is 0; it must be 1 or more"):
        TumRgbd(root, every=0)


def test_depth_is_in_fifths_of_millimetres(root: Path) -> None:
    depth = TumRgbd(root).photograph(f"{XYZ}/1305031102.100000").depth
    expected = np.full(SIZE, 1.0, np.float32)
    expected[0, :2] = np.nan, 0.5
    np.testing.assert_array_equal(depth, expected)


def test_camera_goes_by_the_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = TumRgbd(root).photograph(f"{XYZ}/1305031102.100000").intrinsics()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (517.3, 516.5, 318.6, 255.3)
    monkeypatch.chdir(root / DESK)
    camera = TumRgbd(".").photograph("1341845688.500000").intrinsics()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (535.4, 539.2, 320.1, 247.6)
    (root / DESK).rename(root / "desk")
    with pytest.raises(DatasetError, match="desk: cannot tell the camera by the name of the fold"):
        TumRgbd(root / "desk").load("1341845688.500000")


def test_stack_goes_over_the_depths(root: Path) -> None:
    sample = TumRgbd(root).load(f"{XYZ}/1305031102.100000")
    assert len(sample.stack) == 10
    assert not sample.valid_mask[0, 0]
    assert sample.valid_mask[1:].all()


@pytest.mark.parametrize("file", ["rgb/1305031102.100000.png", "depth/1305031102.095000.png"])
def test_frame_with_a_missing_file_is_listed_and_names_it(root: Path, file: str) -> None:
    (root / XYZ / file).unlink()
    dataset = TumRgbd(root)
    assert len(dataset) == 4
    with pytest.raises(DatasetError, match=rf"{root / XYZ / file}: .*[Nn]o such file"):
        dataset.load(f"{XYZ}/1305031102.100000")


def test_bad_depth_is_named(root: Path) -> None:
    path = root / DESK / "depth/1341845688.500001.png"
    write_image(path, picture(1))
    with pytest.raises(DatasetError, match=rf"{path}: has shape \(6, 8, 3\); expected one"):
        TumRgbd(root).load(f"{DESK}/1341845688.500000")
    write_image(path, np.full((4, 8), 5000, np.uint16))
    with pytest.raises(DatasetError, match=r"depth is of shape \(4, 8\)"):
        TumRgbd(root).load(f"{DESK}/1341845688.500000")


def test_bad_lists_are_named(root: Path) -> None:
    path = root / XYZ / "depth.txt"
    path.write_text("1305031102.1 depth/a.png\nnoon depth/b.png\n")
    with pytest.raises(
        DatasetError, match="depth.txt: holds the line 'noon depth/b.png'; expected a stamp in sec"
    ):
        TumRgbd(root)
    path.write_text("# timestamp filename\n")
    with pytest.raises(DatasetError, match="depth.txt: names no file"):
        TumRgbd(root)
    path.unlink()
    with pytest.raises(DatasetError, match="depth.txt: no such file"):
        TumRgbd(root)
