from pathlib import Path
from typing import Any

import numpy as np
import pytest

from focdepth_ros.datasets.diode import Diode
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

SIZE = (12, 16)
INDOORS = "indoors/scene_00019/scan_00183/00019_00183_indoors_000_010"
OUTDOOR = "outdoor/scene_00022/scan_00193/00022_00193_outdoor_000_020"


def write(part: Path, scene: str, red: int = 0, depth: Any = None, mask: Any = None) -> None:
    (part / scene).parent.mkdir(parents=True, exist_ok=True)
    write_image(part / f"{scene}.png", np.full((*SIZE, 3), (red, 20, 30), np.uint8))
    if depth is None:
        depth = np.full((*SIZE, 1), 2.0, np.float32)
        depth[6:] = 4.0
    np.save(part / f"{scene}_depth.npy", depth)
    np.save(part / f"{scene}_depth_mask.npy", np.ones(SIZE) if mask is None else mask)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "val", INDOORS, 1)
    write(tmp_path / "val", OUTDOOR, 2)
    write(tmp_path / "val", INDOORS.replace("_010", "_000"), 3)
    write(tmp_path / "train", "outdoor/scene_00007/scan_00082/00007_00082_outdoor_000_010")
    return tmp_path


class TestScenes:
    @pytest.mark.parametrize(
        ("split", "scenes"),
        [
            (None, [INDOORS.replace("_010", "_000"), INDOORS, OUTDOOR]),
            ("val", [INDOORS.replace("_010", "_000"), INDOORS, OUTDOOR]),
            ("val_indoors", [INDOORS.replace("_010", "_000"), INDOORS]),
            ("val_outdoor", [OUTDOOR]),
            ("train", ["outdoor/scene_00007/scan_00082/00007_00082_outdoor_000_010"]),
            ("train_outdoor", ["outdoor/scene_00007/scan_00082/00007_00082_outdoor_000_010"]),
        ],
    )
    def test_are_those_of_the_split(self, root: Path, split: str | None, scenes: list[str]) -> None:
        assert list(Diode(root, split).scenes) == scenes

    @pytest.mark.parametrize(
        ("ending", "message"),
        [(".png", "No such file"), ("_depth.npy", "no such"), ("_depth_mask.npy", "no such")],
    )
    def test_without_one_of_their_files_are_there_too(
        self, root: Path, ending: str, message: str
    ) -> None:
        (root / "val" / f"{OUTDOOR}{ending}").unlink()
        dataset = Diode(root, "val_outdoor")
        with pytest.raises(DatasetError, match=f"000_020{ending}: .*{message}"):
            dataset.load(OUTDOOR)


class TestPicture:
    def test_is_that_of_the_scene(self, root: Path) -> None:
        dataset = Diode(root)
        assert [dataset.photograph(s).image[3, 4].tolist() for s in dataset.scenes] == [
            [3, 20, 30],
            [1, 20, 30],
            [2, 20, 30],
        ]

    def test_has_depth_where_the_laser_came_back(self, root: Path) -> None:
        depth = np.full((*SIZE, 1), 2.5, np.float32)
        depth[2, 3] = 7.25
        depth[4, 5] = 0.0
        mask = np.ones(SIZE)
        mask[0, 1] = 0.0
        write(root / "val", INDOORS, depth=depth, mask=mask)
        found = Diode(root).photograph(INDOORS).depth
        expected = np.full(SIZE, 2.5, np.float32)
        expected[2, 3] = 7.25
        expected[0, 1] = expected[4, 5] = np.nan
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float32

    def test_has_the_camera_of_the_authors(self, root: Path) -> None:
        intrinsics = Diode(root).photograph(INDOORS).intrinsics()
        # Theirs is of a picture 64 times as large.
        assert 64 * intrinsics.fx == pytest.approx(886.81, abs=0.01)
        assert 64 * intrinsics.fy == pytest.approx(927.06, abs=0.01)
        assert (64 * intrinsics.cx, 64 * intrinsics.cy) == (512, 384)

    def test_becomes_a_focal_stack(self, root: Path) -> None:
        labelled = Diode(root).load(INDOORS)
        assert labelled.name == INDOORS
        assert labelled.is_metric
        distances = [item.focus_distance for item in labelled.stack.slices]
        # From 2 to 4 m with a twentieth of the range in dioptres beyond.
        assert distances[0] == pytest.approx(1 / (0.5 + 0.0125))
        assert distances[-1] == pytest.approx(1 / (0.25 - 0.0125))
        assert labelled.stack.intrinsics is not None
        assert labelled.stack.intrinsics.fx != labelled.stack.intrinsics.fy
        assert labelled.depth is not None
        assert labelled.depth[[0, -1], 0].tolist() == [2.0, 4.0]


class TestBadInput:
    def test_no_such_split(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="has no split 'test'; choose one of val, val_"):
            Diode(root, "test")

    def test_nothing_there(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="holds no scene of the split 'train_indoors'"):
            Diode(root, "train_indoors")

    @pytest.mark.parametrize("depth", [np.ones((16, 12, 1)), np.ones((12, 16, 2))])
    def test_depth_of_another_shape(self, root: Path, depth: Any) -> None:
        write(root / "val", INDOORS, depth=depth)
        with pytest.raises(DatasetError, match=r"_depth\.npy: holds float64 of shape .*\(12, 16\)"):
            Diode(root).load(INDOORS)

    def test_mask_of_something_else_than_numbers(self, root: Path) -> None:
        write(root / "val", INDOORS, mask=np.full(SIZE, "x"))
        with pytest.raises(DatasetError, match=r"_depth_mask\.npy: holds <U1 of shape"):
            Diode(root).load(INDOORS)

    def test_depth_that_is_cut_off(self, root: Path) -> None:
        path = root / "val" / f"{INDOORS}_depth.npy"
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(DatasetError, match=r"_depth\.npy: cannot be read as a NumPy array"):
            Diode(root).load(INDOORS)
