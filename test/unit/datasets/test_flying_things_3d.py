from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.datasets.flying_things_3d import FlyingThings3d
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack import CameraIntrinsics

SIZE = (12, 16)


def write_pfm(path: Path, values: NDArray[np.float32]) -> None:
    """As the authors do: little endian, last row first."""
    height, width = values.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"Pf\n{width} {height}\n-1\n".encode() + values[::-1].astype("<f4").tobytes())


def write_frame(root: Path, frame: str, red: int = 0, disparity: float = 42.0) -> None:
    """A frame such as ``TRAIN/A/0000/left/0006``; near things in its lower half."""
    image = np.full((*SIZE, 3), (red, 20, 30), np.uint8)
    path = root / "frames_cleanpass" / f"{frame}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)
    values = np.full(SIZE, disparity, np.float32)
    values[SIZE[0] // 2 :] = 2 * disparity
    write_pfm(root / "disparity" / f"{frame}.pfm", values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for red, frame in enumerate(["B/0000/left/0006", "A/0001/left/0007", "A/0001/left/0006"]):
        write_frame(tmp_path, f"TRAIN/{frame}", red)
    write_frame(tmp_path, "TRAIN/A/0001/right/0006")
    write_frame(tmp_path, "TEST/C/0149/left/0015")
    return tmp_path


class TestScenes:
    def test_are_the_frames_of_the_left_camera(self, root: Path) -> None:
        assert FlyingThings3d(root).scenes == ("A/0001/0006", "A/0001/0007", "B/0000/0006")
        assert FlyingThings3d(root, "test").scenes == ("C/0149/0015",)

    def test_on_the_list_of_the_authors_are_left_out(self, root: Path) -> None:
        unused = (
            "TRAIN/A/0001/left/0006.png\nTRAIN/B/0000/right/0006.png\nTEST/A/0001/left/0007.png\n"
        )
        (root / "all_unused_files.txt").write_text(unused, encoding="utf-8")
        assert FlyingThings3d(root).scenes == ("A/0001/0007", "B/0000/0006")

    def test_without_one_of_their_files_are_there_too(self, root: Path) -> None:
        (root / "frames_cleanpass/TRAIN/A/0001/left/0006.png").unlink()
        (root / "disparity/TRAIN/A/0001/left/0007.pfm").unlink()
        dataset = FlyingThings3d(root)
        assert len(dataset) == 3
        with pytest.raises(DatasetError, match=r"frames_cleanpass/.*/left/0006\.png: .*No such"):
            dataset.load("A/0001/0006")
        with pytest.raises(DatasetError, match=r"disparity/.*/left/0007\.pfm: no such file"):
            dataset.load("A/0001/0007")


class TestFrame:
    def test_has_its_picture(self, root: Path) -> None:
        dataset = FlyingThings3d(root)
        reds = [dataset.photograph(scene).image[0, 0].tolist() for scene in dataset.scenes]
        assert reds == [[2, 20, 30], [1, 20, 30], [0, 20, 30]]

    def test_has_depth_from_disparity(self, root: Path) -> None:
        photograph = FlyingThings3d(root).photograph("A/0001/0006")
        # 1050 px and 10 cm: 42 px are 105 / 42 = 2.5 m.
        expected = np.full(SIZE, 2.5, np.float32)
        expected[6:] = 1.25
        np.testing.assert_allclose(photograph.depth, expected, rtol=1e-6)
        assert photograph.depth.dtype == np.float32

    @pytest.mark.parametrize("disparity", [0.0, -42.0, np.nan, np.inf])
    def test_has_no_depth_without_disparity(self, root: Path, disparity: float) -> None:
        values = np.full(SIZE, 42.0, np.float32)
        values[0, 3] = disparity
        write_pfm(root / "disparity/TRAIN/A/0001/left/0006.pfm", values)
        depth = FlyingThings3d(root).photograph("A/0001/0006").depth
        assert np.argwhere(np.isnan(depth)).tolist() == [[0, 3]]

    def test_becomes_a_focal_stack(self, root: Path) -> None:
        labelled = FlyingThings3d(root).load("A/0001/0006")
        assert labelled.name == "A/0001/0006"
        assert labelled.is_metric  # the stack is made from it
        assert labelled.stack.intrinsics == CameraIntrinsics(16, 12, 1050.0, 1050.0, 7.5, 5.5)
        distances = [item.focus_distance for item in labelled.stack.slices]
        # From 1.25 to 2.5 m with a twentieth of the range in dioptres beyond.
        assert distances[0] == pytest.approx(1 / (0.8 + 0.02))
        assert distances[-1] == pytest.approx(1 / (0.4 - 0.02))
        assert labelled.depth is not None
        assert labelled.depth[0, 0] == pytest.approx(2.5)


class TestBadInput:
    def test_no_such_split(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="has no split 'val'; choose one of train, test"):
            FlyingThings3d(root, "val")

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="no scene of the split 'train' of Scene Flow"):
            FlyingThings3d(tmp_path)

    def test_disparity_that_is_cut_off(self, root: Path) -> None:
        path = root / "disparity/TRAIN/A/0001/left/0006.pfm"
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DatasetError, match=r"0006\.pfm: is no PFM file"):
            FlyingThings3d(root).load("A/0001/0006")

    def test_disparity_of_another_size(self, root: Path) -> None:
        path = root / "disparity/TRAIN/A/0001/left/0006.pfm"
        write_pfm(path, np.ones((3, 4), np.float32))
        with pytest.raises(DatasetError, match=r"0006\.pfm: .*\(3, 4\).*\(12, 16\)"):
            FlyingThings3d(root).load("A/0001/0006")
