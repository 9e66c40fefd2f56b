"""The large file in its true layout, with few pictures of the true size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from focdepth_ros.datasets.nyu_depth_v2 import NyuDepthV2
from focdepth_ros.errors import DatasetError
from focdepth_ros.stack import CameraIntrinsics, Lens

h5py = pytest.importorskip("h5py")

PICTURES = "nyu_depth_v2_labeled.mat"
COUNT = 3


def pictures() -> dict[str, Any]:
    """Arrays as h5py shows those of MATLAB: last axis first."""
    images = np.zeros((COUNT, 3, 640, 480), np.uint8)
    images[:, 0] = np.arange(COUNT)[:, None, None] + 10  # red is the number of the picture
    images[1, :, 600, 100] = 1, 2, 3  # column 600, row 100
    depths = np.full((COUNT, 640, 480), 2.0, np.float32)
    depths[1, 600, 100] = 3.25
    depths[1, 600, 101] = 0.0
    labels = np.zeros((COUNT, 640, 480), np.uint16)
    labels[1, 600, 100] = 894
    return {"images": images, "depths": depths, "labels": labels}


def write(root: Path, **arrays: Any) -> Path:
    with h5py.File(root / PICTURES, "w") as file:
        for name, values in (pictures() | arrays).items():
            if values is not None:
                file[name] = values
    return root


def write_splits(root: Path) -> Path:
    columns = {
        "trainNdxs": np.array([[3], [1], [1449]], np.uint16),
        "testNdxs": np.array([[2]], np.uint16),
    }
    savemat(root / "splits.mat", columns)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """With the splits alone."""
    return write_splits(tmp_path)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the pictures as well; not to change."""
    return write(write_splits(tmp_path_factory.mktemp("nyu")))


def test_split_is_that_of_the_authors_in_the_order_of_the_file(root: Path) -> None:
    assert NyuDepthV2(root).scenes == ("0001", "0003", "1449")
    assert NyuDepthV2(root, "test").scenes == ("0002",)


class TestPicture:
    def test_lies_as_it_was_taken(self, complete: Path) -> None:
        photograph = NyuDepthV2(complete, "test").photograph("0002")
        assert photograph.image.shape == (480, 640, 3)
        assert photograph.image.dtype == np.uint8
        assert photograph.image[100, 600].tolist() == [1, 2, 3]
        assert photograph.image[100, 599].tolist() == [11, 0, 0]

    def test_is_the_one_of_its_number(self, complete: Path) -> None:
        dataset = NyuDepthV2(complete)
        assert [dataset.photograph(s).image[0, 0, 0] for s in dataset.scenes[:2]] == [10, 12]

    def test_has_depth_where_the_kinect_saw(self, complete: Path) -> None:
        depth = NyuDepthV2(complete, "test").photograph("0002").depth
        assert depth.shape == (480, 640)
        assert depth.dtype == np.float32
        assert depth[100, 600] == 3.25
        assert np.isnan(depth[101, 600])  # stored as 0
        known = np.isfinite(depth)
        assert np.flatnonzero(known.any(axis=1))[[0, -1]].tolist() == [44, 470]
        assert np.flatnonzero(known.any(axis=0))[[0, -1]].tolist() == [40, 600]
        assert known.sum() == 427 * 561 - 1
        assert np.all(np.delete(depth[known], np.flatnonzero(depth[known] == 3.25)) == 2.0)

    def test_has_labels(self, complete: Path) -> None:
        labels = NyuDepthV2(complete, "test").photograph("0002").labels
        assert labels is not None
        assert labels.dtype == np.int32
        assert labels[100, 600] == 894
        assert np.unique(labels).tolist() == [-1, 894]

    def test_has_the_camera_and_sweep_of_its_authors(self, complete: Path) -> None:
        photograph = NyuDepthV2(complete, "test").photograph("0002")
        f = 518.85790117450188
        assert photograph.intrinsics() == CameraIntrinsics(
            640, 480, f, f, 325.58244941119034, 253.73616633400465
        )
        sweep = NyuDepthV2.sweep.of(photograph)
        assert sweep.lens == Lens(0.05, 8.0, 12e-6)
        assert sweep.focus_distances == (1.0, 1.5, 2.5, 4.0, 6.0)


class TestBadInput:
    def test_no_split_file(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"splits\.mat: no such file"):
            NyuDepthV2(write(tmp_path))

    def test_no_such_split(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="has no split 'val'; choose one of train, test"):
            NyuDepthV2(root, "val")

    @pytest.mark.parametrize("numbers", [np.array([[0, 1]]), np.array([[1450]]), np.array(["a"])])
    def test_numbers_that_are_none(self, root: Path, numbers: Any) -> None:
        savemat(root / "splits.mat", {"trainNdxs": numbers})
        with pytest.raises(DatasetError, match=r"splits\.mat: 'trainNdxs' .* from 1 to 1449"):
            NyuDepthV2(root)

    def test_split_file_without_the_split(self, root: Path) -> None:
        savemat(root / "splits.mat", {"trainNdxs": np.array([[1]])})
        with pytest.raises(DatasetError, match="has no 'testNdxs'; it has trainNdxs"):
            NyuDepthV2(root, "test")

    def test_no_pictures(self, root: Path) -> None:
        with pytest.raises(DatasetError, match=r"nyu_depth_v2_labeled\.mat: no such file"):
            NyuDepthV2(root).load("0001")

    def test_pictures_in_another_format(self, root: Path) -> None:
        (root / PICTURES).write_bytes(b"MATLAB 5.0 MAT-file")
        with pytest.raises(DatasetError, match="is no HDF5 file, or a damaged one"):
            NyuDepthV2(root).load("0001")

    def test_array_that_is_missing(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="has no 'labels'; it has depths, images"):
            NyuDepthV2(write(root, labels=None)).load("0001")

    @pytest.mark.parametrize(
        "depths", [np.zeros((3, 480, 640), np.float32), np.zeros((3, 640, 480), np.uint16)]
    )
    def test_array_of_another_kind(self, root: Path, depths: Any) -> None:
        expected = r"expected float32 of shape \(1449, 640, 480\)"
        with pytest.raises(DatasetError, match=f"'depths' is .*; {expected}"):
            NyuDepthV2(write(root, depths=depths)).load("0001")

    def test_fewer_pictures_than_the_split_names(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="'images' has 3 pictures, not number 1449"):
            NyuDepthV2(write(root)).load("1449")

    def test_damaged_pictures(self, root: Path) -> None:
        write(root, images=None)
        with h5py.File(root / PICTURES, "a") as file:
            images = pictures()["images"]
            file.create_dataset("images", data=images, chunks=(1, 3, 640, 480), fletcher32=True)
            place = file["images"].id.get_chunk_info(0).byte_offset
        with (root / PICTURES).open("r+b") as file:
            file.seek(place + 1000)
            file.write(b"damage")
        with pytest.raises(DatasetError, match="'images' is damaged at picture 1"):
            NyuDepthV2(root).load("0001")
        assert NyuDepthV2(root).photograph("0003").image[0, 0, 0] == 12
