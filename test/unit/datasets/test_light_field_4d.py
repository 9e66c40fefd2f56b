"""The 4D Light Field Benchmark: a scene of the authors' layout in miniature."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.datasets.light_field_4d import LightField4d
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.optics import circle_of_confusion

HEIGHT, WIDTH = 24, 32
PARAMETERS = """\
[intrinsics]
focal_length_mm = 100.0
image_resolution_x_px = 32
image_resolution_y_px = 24
sensor_size_mm = 32.0
fstop = 100.0

[extrinsics]
num_cams_x = 9
num_cams_y = 9
baseline_mm = 10.0
focus_distance_m = 4.0
center_cam_x_m = 0.0

[meta]
scene = boxes
category = training
authors = Katrin Honauer, 100 % Ole Johannsen
disp_min = -0.2
disp_max = 2.0
"""
# With a pixel pitch of 1 mm, f = 0.1 m and b = 0.01 m a pixel of disparity is 1 dioptre.


def wall(x: float, y: float) -> np.ndarray:
    """A picture of sums of waves, from `x` pixels further right and `y` further down."""
    rng = np.random.default_rng(0)
    down, right = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    image = np.zeros((HEIGHT, WIDTH, 3))
    for _ in range(8):
        a, b, start = rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), rng.uniform(0, 6, 3)
        image += np.sin((a * (right + x) + b * (down + y))[..., None] + start)
    return np.rint(127 + 15 * image).astype(np.uint8)


def write_pfm(path: Path, values: np.ndarray) -> None:
    """As the authors' toolkit does: from the bottom up, little endian."""
    height, width = values.shape
    data = np.flipud(values).astype("<f4").tobytes()
    path.write_bytes(f"Pf\n{width} {height}\n-1\n".encode() + data)


def write_scene(folder: Path, disparity: float = 0.0) -> None:
    """A wall seen by 9 x 9 cameras, by rows from the top left, and holes in its truth."""
    folder.mkdir(parents=True)
    first = folder / "input_Cam000.png"
    for number in range(81):
        path = folder / f"input_Cam{number:03d}.png"
        if disparity == 0.0 and path != first:
            os.link(first, path)  # all views are the same
        else:
            row, column = divmod(number, 9)
            write_image(path, wall((column - 4) * disparity, (row - 4) * disparity))
    (folder / "parameters.cfg").write_text(PARAMETERS)
    truth = np.full((HEIGHT, WIDTH), disparity, np.float32)
    truth[0, 0], truth[1, 0], truth[2, 0] = 1.75, np.nan, -0.25  # 2 m, unknown, infinity
    truth[3, 0] = -1.0
    write_pfm(folder / "gt_disp_lowres.pfm", truth)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_scene(tmp_path / "training/boxes")
    for folder in ("training/dino", "additional/antinous", "stratified/dots"):
        (tmp_path / folder).mkdir(parents=True)
    write_scene(tmp_path / "test/bedroom")
    (tmp_path / "test/bedroom/gt_disp_lowres.pfm").unlink()
    (tmp_path / "license.txt").write_text("CC BY-NC-SA 4.0")
    return tmp_path


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> LabelledStack:
    root = tmp_path_factory.mktemp("benchmark")
    write_scene(root / "training/boxes")
    return LightField4d(root).load("boxes")


def test_scenes_of_the_splits(root: Path) -> None:
    assert LightField4d(root).scenes == ("boxes", "dino")
    assert LightField4d(root, "additional").scenes == ("antinous",)
    assert LightField4d(root, "stratified").scenes == ("dots",)
    assert LightField4d(root, "test").scenes == ("bedroom",)
    with pytest.raises(DatasetError, match="no split 'val'; choose one of training, additional"):
        LightField4d(root, "val")
    with pytest.raises(DatasetError, match="holds no scene of the split 'training'"):
        LightField4d(root / "training")


def test_focus_distances_are_evenly_spaced_in_disparity(boxes: LabelledStack) -> None:
    assert len(boxes.stack) == 10
    # 1/Z = 1/4 + d, for d from 2 to -0.2.
    np.testing.assert_allclose(boxes.stack.dioptres, np.linspace(2.25, 0.05, 10))


def test_depth_is_metres(boxes: LabelledStack) -> None:
    depth = boxes.depth
    assert depth is not None
    assert depth.dtype == np.float32
    assert depth[0, 0] == pytest.approx(0.5)  # 1 / (1/4 + 1.75)
    assert np.isnan(depth[1:4, 0]).all()
    np.testing.assert_allclose(depth[4:], 4.0)


def test_disparity_0_is_sharp_where_it_is_focused(boxes: LabelledStack) -> None:
    assert boxes.all_in_focus is not None
    assert np.array_equal(boxes.all_in_focus, wall(0, 0))
    contrast = [s.image.std() for s in boxes.stack.slices]
    # Disparities 2, 1.756, ... 0.044, -0.2.
    assert int(np.argmax(contrast)) == 8


@pytest.mark.parametrize(("disparity", "sharp"), [(1.0, 2), (0.5, 3), (-1.5, 7)])
def test_a_wall_is_sharp_at_its_own_disparity(tmp_path: Path, disparity: float, sharp: int) -> None:
    folder = tmp_path / "additional/wall"
    write_scene(folder, disparity)
    parameters = PARAMETERS.replace("= 4.0", "= 0.25").replace("= -0.2", "= -2.5")
    (folder / "parameters.cfg").write_text(parameters)
    sample = LightField4d(tmp_path, "additional").load("wall")
    # Slices are focused at disparities 2, 1.5, 1, ... -2.5.
    assert sample.stack.slices[sharp].focus_distance == pytest.approx(1 / (4 + disparity))
    assert sample.all_in_focus is not None
    assert np.array_equal(sample.all_in_focus, wall(0, 0))
    inner = (slice(9, -9), slice(9, -9))  # the views show not all of what is further out
    images = [s.image[inner].astype(int) for s in sample.stack.slices]
    assert np.abs(images[sharp] - wall(0, 0)[inner]).max() <= 1
    contrast = [image.std() for image in images]
    assert int(np.argmax(contrast)) == sharp
    assert sorted(contrast)[-2] < 0.8 * contrast[sharp]


def test_camera(boxes: LabelledStack) -> None:
    intrinsics, lens = boxes.stack.intrinsics, boxes.stack.lens
    assert intrinsics is not None
    assert (intrinsics.fx, intrinsics.fy) == pytest.approx((100.0, 100.0))
    assert (intrinsics.cx, intrinsics.cy) == (15.5, 11.5)
    assert lens is not None
    assert lens.pixel_pitch == pytest.approx(1e-3)
    # Nine views, each 1 px of disparity away from the next.
    assert circle_of_confusion(lens, 1 / 1.25, 4.0) == pytest.approx(9.0)


def test_the_test_split_has_no_truth(root: Path) -> None:
    sample = LightField4d(root, "test").load("bedroom")
    assert sample.depth is None
    assert sample.all_in_focus is not None


def test_a_scene_with_a_missing_file_is_listed_and_says_so(root: Path) -> None:
    dataset = LightField4d(root)
    with pytest.raises(DatasetError, match="dino/parameters.cfg: no such file"):
        dataset.load("dino")
    (root / "training/boxes/gt_disp_lowres.pfm").unlink()
    with pytest.raises(DatasetError, match="gt_disp_lowres.pfm: no such file"):
        dataset.load("boxes")
    (root / "training/boxes/input_Cam080.png").unlink()
    with pytest.raises(DatasetError, match="input_Cam080.png"):
        dataset.load("boxes")


def test_views_of_another_size(root: Path) -> None:
    path = root / "training/boxes/input_Cam007.png"
    path.unlink()
    write_image(path, np.zeros((HEIGHT, 30, 3), np.uint8))
    with pytest.raises(DatasetError, match="Cam007.png: 30x24 px, but parameters.cfg says 32x24"):
        LightField4d(root).load("boxes")


def test_truth_of_another_size(root: Path) -> None:
    write_pfm(root / "training/boxes/gt_disp_lowres.pfm", np.zeros((3, 4), np.float32))
    with pytest.raises(DatasetError, match=r"boxes: depth is of shape \(3, 4\)"):
        LightField4d(root).load("boxes")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("baseline_mm = 10.0\n", "", "parameters.cfg: has no 'baseline_mm'"),
        ("[meta]", "[other]", "has no 'meta'"),
        ("= 32.0", "= wide", "could not convert string to float: 'wide'"),
        ("m = 4.0", "m = 0", "a size or distance among .*, 0.0 is not above 0"),
        ("disp_max = 2.0", "disp_max = -3", "disp_max -3.0 px is not above disp_min -0.2 px"),
        ("fstop", "[intrinsics]\nfstop", "section 'intrinsics' already exists"),
        ("= -0.2", "= -2.5", "disp_min -2.5 px lies beyond infinity"),
    ],
)
def test_bad_parameters_are_named(root: Path, old: str, new: str, message: str) -> None:
    (root / "training/boxes/parameters.cfg").write_text(PARAMETERS.replace(old, new))
    with pytest.raises(DatasetError, match=message):
        LightField4d(root).load("boxes")
