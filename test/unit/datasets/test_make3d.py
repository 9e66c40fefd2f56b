from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from focdepth_ros.datasets.make3d import Make3d
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

NAME = "math7-p-282t0"


def grid(distance: float = 20.0) -> Any:
    """Of the laser; only the last layer counts."""
    layers = np.zeros((55, 305, 4))
    layers[..., 3] = distance
    return layers


def write_picture(folder: Path, name: str, size: tuple[int, int] = (920, 690)) -> None:
    image = np.zeros((*size, 3), np.uint8)
    image[: size[0] // 2] = 200, 100, 50
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / f"img-{name}.jpg", image)


def write_depth(folder: Path, name: str, **values: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / f"depth_sph_corr-{name}.mat", values or {"Position3DGrid": grid()})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (NAME, "10.21op2-p-139t000"):
        write_picture(tmp_path / "Train400Img", name)
        write_depth(tmp_path / "Train400Depth", name)
    return tmp_path


class TestScenes:
    def test_are_the_photographs_of_the_split(self, root: Path) -> None:
        write_picture(root / "Test134", "op57-p-016t000")
        assert Make3d(root).scenes == ("10.21op2-p-139t000", NAME)
        assert Make3d(root, "test").scenes == ("op57-p-016t000",)

    def test_without_one_of_their_files_are_there_too(self, root: Path) -> None:
        write_picture(root / "Train400Img", "b")
        write_depth(root / "Train400Depth", "a")
        dataset = Make3d(root)
        assert dataset.scenes == ("10.21op2-p-139t000", "a", "b", NAME)
        with pytest.raises(DatasetError, match=r"Train400Img/img-a\.jpg: .*No such file"):
            dataset.load("a")
        with pytest.raises(DatasetError, match=r"Train400Depth/depth_sph_corr-b\.mat: no such"):
            dataset.load("b")

    @pytest.mark.parametrize("pictures", ["Test134", "Test134Img"])
    @pytest.mark.parametrize(
        "depths", ["Gridlaserdata", "Test134Depth/Gridlaserdata", "Test134Depth"]
    )
    def test_to_test_on_lie_where_their_archives_put_them(
        self, tmp_path: Path, pictures: str, depths: str
    ) -> None:
        write_picture(tmp_path / pictures, "a")
        write_depth(tmp_path / depths, "a")
        dataset = Make3d(tmp_path, "test")
        assert dataset.scenes == ("a",)
        assert np.isfinite(dataset.photograph("a").depth).all()


class TestPhotograph:
    def test_is_made_smaller(self, root: Path) -> None:
        photograph = Make3d(root).photograph(NAME)
        assert photograph.image.shape == (460, 345, 3)
        assert photograph.image.dtype == np.uint8
        np.testing.assert_allclose(photograph.image[100, 100], [200, 100, 50], atol=3)  # JPEG
        np.testing.assert_allclose(photograph.image[400, 100], 0, atol=3)

    def test_has_depth_along_the_axis(self, root: Path) -> None:
        depth = Make3d(root).photograph(NAME).depth
        assert depth.shape == (460, 345)
        assert depth.dtype == np.float32
        # All is 20 m from the lens. The middle lies on the axis; in the middle of the left edge
        # the ray goes 0.3539 aside, less half a cell of 305; in the corner 0.4733 up as well, less
        # half a cell of 55.
        assert depth[230, 172] == pytest.approx(20.0)
        aside = 0.70783777 * (0.5 - 0.5 / 305)
        up = 0.946584169 * (0.5 - 0.5 / 55)
        assert depth[230, 0] == pytest.approx(20.0 / np.hypot(1.0, aside))
        assert depth[0, 0] == pytest.approx(20.0 / np.sqrt(1.0 + aside**2 + up**2))
        assert depth[0, 0] == pytest.approx(17.27, abs=0.01)

    def test_has_the_depth_of_the_nearest_point_of_the_laser(self, root: Path) -> None:
        layers = grid()
        layers[27, 152, 3] = 10.0  # in the middle
        write_depth(root / "Train400Depth", NAME, Position3DGrid=layers)
        depth = Make3d(root).photograph(NAME).depth
        near = depth < 15.0
        assert set(np.unique(depth[near])) == {np.float32(10.0)}  # nothing in between
        rows, columns = np.nonzero(near)
        # Row 27 of 55 is rows 225.8 to 234.2 of 460, column 152 of 305 is 171.9 to 173.1 of 345.
        assert (rows.min(), rows.max()) == (226, 233)
        assert set(columns) == {172}

    @pytest.mark.parametrize("distance", [0.0, -1.0, 80.0, 81.83, np.nan])
    def test_has_no_depth_where_the_laser_saw_nothing(self, root: Path, distance: float) -> None:
        layers = grid(79.9)
        layers[0, 0, 3] = distance
        write_depth(root / "Train400Depth", NAME, Position3DGrid=layers)
        depth = Make3d(root).photograph(NAME).depth
        assert np.isnan(depth[:8, 0]).all()
        assert np.isfinite(depth[9:]).all()

    def test_has_a_camera_and_a_sweep(self, root: Path) -> None:
        photograph = Make3d(root).photograph(NAME)
        intrinsics = photograph.intrinsics()
        assert (intrinsics.width, intrinsics.height) == (345, 460)
        # The authors have 2407.3 px for 1704.
        assert intrinsics.fx == pytest.approx(2407.33 * 345 / 1704, abs=0.01)
        assert (intrinsics.cx, intrinsics.cy) == (172.0, 229.5)
        sweep = Make3d.sweep.of(photograph)
        assert sweep.focus_distances == (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
        assert (sweep.lens.focal_length, sweep.lens.f_number) == (0.05, 2.8)
        assert sweep.lens.pixel_pitch == pytest.approx(15.46e-6, abs=1e-8)


class TestBadInput:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="holds no scene of the split 'train' of Make3D"):
            Make3d(tmp_path)

    def test_no_such_split(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="has no split 'val'; choose one of train, test"):
            Make3d(root, "val")

    def test_photograph_that_lies_on_its_side(self, root: Path) -> None:
        write_picture(root / "Train400Img", NAME, size=(690, 920))
        with pytest.raises(DatasetError, match="is of 920 x 690 px; expected one that stands"):
            Make3d(root).load(NAME)

    def test_photograph_that_is_cut_off(self, root: Path) -> None:
        path = root / "Train400Img" / f"img-{NAME}.jpg"
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(DatasetError, match="damaged or cut off"):
            Make3d(root).load(NAME)

    @pytest.mark.parametrize(
        "layers", [np.zeros((55, 305)), np.zeros((55, 305, 3)), np.zeros((55, 305, 4), np.uint8)]
    )
    def test_grid_of_another_kind(self, root: Path, layers: Any) -> None:
        write_depth(root / "Train400Depth", NAME, Position3DGrid=layers)
        with pytest.raises(DatasetError, match=r"expected floats of shape \(55, 305, 4\)"):
            Make3d(root).load(NAME)

    def test_no_grid(self, root: Path) -> None:
        write_depth(root / "Train400Depth", NAME, depth=grid())
        with pytest.raises(DatasetError, match="has no 'Position3DGrid'; it has depth"):
            Make3d(root).load(NAME)

    def test_grid_that_is_damaged(self, root: Path) -> None:
        (root / "Train400Depth" / f"depth_sph_corr-{NAME}.mat").write_bytes(b"MATLAB 5.0")
        with pytest.raises(DatasetError, match=r"cannot be read as a \.mat file"):
            Make3d(root).load(NAME)
