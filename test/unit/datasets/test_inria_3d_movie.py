"""Inria 3DMovie in miniature, as its README and its MATLAB demos describe the files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from focdepth_ros.datasets.inria_3d_movie import Inria3dMovie
from focdepth_ros.errors import DatasetError

scipy_io = pytest.importorskip("scipy.io")

HEIGHT, WIDTH = 24, 32


def write_frame(folder: Path, name: str, red: int = 200) -> None:
    """A left frame of one colour, and its right one under the name that it has there."""
    folder.mkdir(parents=True, exist_ok=True)
    image = np.full((HEIGHT, WIDTH, 3), (0, 0, red), np.uint8)
    encoded = cv2.imencode(".jpg", image)[1].tobytes()
    (folder / f"{name}.jpg").write_bytes(encoded)
    (folder / f"{name}.jpg.right").write_bytes(encoded)


def write_mat(path: Path, **values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, values)


def flow() -> np.ndarray:
    """Left half: 8 px to the right, far; right half: 4 px to the left, near."""
    uv = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    uv[..., 0] = np.where(np.arange(WIDTH) < WIDTH // 2, 8.0, -4.0)
    uv[..., 1] = 100.0  # the vertical part says nothing
    uv[12, :, 0] = 2.0  # half way
    uv[0, 0] = np.nan
    return uv


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for sequence, name in (("5", "00009243"), ("5", "00009250"), ("12", "00000001")):
        place = tmp_path / "segmentation"
        write_frame(place / "frames" / sequence, name)
        write_mat(place / f"disparity/{sequence}/{name}.jpg_disparity.mat", uv=flow())
    people = np.zeros((HEIGHT, WIDTH, 2), np.uint8)
    people[2:4, 2:4, 0] = 255
    people[3:6, 3:6, 1] = 255
    labels = tmp_path / "segmentation/labels/5"
    write_mat(labels / "00009243.jpg_gt1.mat", det_gt=people)
    write_mat(labels / "00009250.jpg_gt1.mat", det_gt=people[..., 0])  # of one person
    write_frame(tmp_path / "poseestimation_train/frames", "00026449")
    return tmp_path


def test_scenes_are_the_left_frames(root: Path) -> None:
    assert Inria3dMovie(root).scenes == ("5/00009243", "5/00009250", "12/00000001")
    assert Inria3dMovie(root, "poseestimation_train").scenes == ("00026449",)
    with pytest.raises(DatasetError, match="holds no scene of the split 'negatives'"):
        Inria3dMovie(root, "negatives")


def test_the_folder_above_will_do(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    above = tmp_path_factory.mktemp("above")
    root.rename(above / "inria_stereo_dataset")
    assert len(Inria3dMovie(above)) == 3


def test_what_moves_to_the_left_is_near(root: Path) -> None:
    photograph = Inria3dMovie(root).photograph("5/00009243")
    assert photograph.depth.dtype == np.float32
    assert np.isnan(photograph.depth[0, 0])
    assert photograph.depth[1, 0] == pytest.approx(10.0)
    assert photograph.depth[1, -1] == pytest.approx(1.0)
    assert photograph.depth[12, 0] == pytest.approx(1.0 / 0.55)  # half way between 0.1 and 1
    assert np.isnan(photograph.depth).sum() == 1


def test_the_stack_spans_the_range(root: Path) -> None:
    sample = Inria3dMovie(root).load("5/00009243")
    assert len(sample.stack) == 10
    assert sample.stack.dioptres[0] == pytest.approx(1.045)
    assert sample.stack.dioptres[-1] == pytest.approx(0.055)
    assert sample.stack.intrinsics is not None
    assert sample.stack.intrinsics.fx == WIDTH
    assert sample.all_in_focus is not None
    assert abs(int(sample.all_in_focus[5, 5, 0]) - 200) < 4  # red comes first


def test_people_are_labelled(root: Path) -> None:
    labels = Inria3dMovie(root).photograph("5/00009243").labels
    assert labels is not None
    assert labels.dtype == np.int32
    expected = np.zeros((HEIGHT, WIDTH), np.int32)
    expected[2:4, 2:4] = 1
    expected[3:6, 3:6] = 1
    np.testing.assert_array_equal(labels, expected)
    alone = Inria3dMovie(root).photograph("5/00009250").labels
    assert alone is not None
    assert alone.sum() == 4
    assert Inria3dMovie(root).photograph("12/00000001").labels is None


def test_a_missing_disparity_is_named(root: Path) -> None:
    dataset = Inria3dMovie(root, "poseestimation_train")
    with pytest.raises(DatasetError, match=r"00026449\.jpg_disparity\.mat: no such file"):
        dataset.load("00026449")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vu": flow()}, "has no 'uv'; it has vu"),
        ({"uv": flow()[..., 0]}, r"uv is float32 of shape \(24, 32\); expected floats of shape"),
        ({"uv": np.zeros((HEIGHT, WIDTH, 2), np.uint8)}, "uv is uint8 of shape"),
        ({"uv": np.full((HEIGHT, WIDTH, 2), 3.0)}, "uv is 3 px everywhere; leave the scene out"),
        ({"uv": np.full((HEIGHT, WIDTH, 2), np.inf)}, "uv is finite nowhere"),
    ],
)
def test_says_what_is_wrong_with_a_disparity(
    root: Path, values: dict[str, np.ndarray], words: str
) -> None:
    write_mat(root / "segmentation/disparity/5/00009243.jpg_disparity.mat", **values)
    with pytest.raises(DatasetError, match=words):
        Inria3dMovie(root).load("5/00009243")


def test_says_what_is_wrong_with_a_mask(root: Path) -> None:
    path = root / "segmentation/labels/5/00009243.jpg_gt1.mat"
    write_mat(path, det_gt=np.zeros((3, 4), np.uint8))
    with pytest.raises(DatasetError, match=r"det_gt is of shape \(3, 4\); expected \(24, 32\)"):
        Inria3dMovie(root).load("5/00009243")
