"""Mobile Depth: the authors' archives in miniature, and two of their sweeps where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.datasets.mobile_depth import MobileDepth
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack import Lens

REAL = Path(__file__).parents[4] / "shared/data/stacks/mobiledepth"

# As the authors write it: focal depth and aperture of each photo, then the focal length.
KEYBOARD = "157.25 3.5\n12.5 3.5\n48 3.5\n23.2\n"


def write_photos(folder: Path, *names: str, first: int = 1) -> None:
    """One picture per name, in which red is the position of the name, from `first` on."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names, first):
        write_image(folder / name, np.full((4, 6, 3), (20 * i, 0, 0), np.uint8))


def write_calibration(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "calibrated.txt").write_text(text)


def order(sample: LabelledStack) -> list[int]:
    """Positions of the photos, which JPEG changes a little."""
    return [round(float(s.image[..., 0].mean()) / 20) for s in sample.stack.slices]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Both archives, unpacked side by side."""
    aligned = tmp_path / "Aligned"
    write_photos(aligned / "Figure1/keyboard", "a00.jpg", "a01.jpg", "a02.jpg")
    write_photos(aligned / "Figure5/metals", "a00.jpg", "a01.jpg")
    write_photos(aligned / "Figure7/bucket", "a9.jpg", "a10.jpg")
    write_photos(tmp_path / "Figure1/keyboard", "00.jpg", "01.jpg", "02.jpg", first=4)
    write_calibration(tmp_path / "calibration/keyboard", KEYBOARD)
    write_calibration(tmp_path / "calibration/metal", "20 3\n10 3\n4\n")
    return tmp_path


def test_scenes_of_the_splits(root: Path) -> None:
    assert MobileDepth(root).scenes == ("bucket", "keyboard", "metals")
    assert MobileDepth(root, "photos").scenes == ("keyboard",)
    with pytest.raises(DatasetError, match="no split 'test'; choose one of aligned, photos"):
        MobileDepth(root, "test")


def test_a_calibration_orders_the_slices_near_to_far(root: Path) -> None:
    sample = MobileDepth(root).load("keyboard")
    assert order(sample) == [2, 3, 1]
    assert [s.lens_position for s in sample.stack.slices] == [12.5, 48.0, 157.25]
    assert order(MobileDepth(root, "photos").load("keyboard")) == [5, 6, 4]


def test_calibrations_are_in_no_unit_so_that_stacks_are_relative(root: Path) -> None:
    sample = MobileDepth(root).load("keyboard")
    assert not sample.stack.is_metric
    assert not sample.is_metric
    assert sample.depth is None
    assert sample.stack.intrinsics is None


def test_a_calibration_has_the_lens_in_the_unit_of_the_focal_depths(root: Path) -> None:
    assert MobileDepth(root).load("keyboard").stack.lens == Lens(23.2, 23.2 / 3.5, 0.75)
    assert MobileDepth(root).load("bucket").stack.lens is None
    file = root / "calibration/keyboard/calibrated.txt"
    file.write_text("157.25 3.5\n12.5 3.4\n48 3.5\n23.2\n")
    assert MobileDepth(root).load("keyboard").stack.lens is None


def test_the_calibration_of_metals_is_called_metal_and_goes_backwards(root: Path) -> None:
    sample = MobileDepth(root).load("metals")
    assert order(sample) == [1, 2]
    assert [s.lens_position for s in sample.stack.slices] == [10.0, 20.0]


@pytest.mark.parametrize(
    ("scene", "calibrated_as"),
    [("largemotion", "GTLarge"), ("smallmotion", "GTSmall"), ("zeromotion", "GT")],
)
def test_other_calibrations_with_another_name(
    tmp_path: Path, scene: str, calibrated_as: str
) -> None:
    write_photos(tmp_path / "Aligned/Figure6" / scene, "a00.jpg", "a01.jpg")
    write_calibration(tmp_path / "calibration" / calibrated_as, "20 3\n10 3\n4\n")
    assert order(MobileDepth(tmp_path).load(scene)) == [2, 1]


def test_without_calibration_the_photos_keep_the_order_of_their_numbers(root: Path) -> None:
    sample = MobileDepth(root).load("bucket")
    assert order(sample) == [1, 2]
    assert [s.lens_position for s in sample.stack.slices] == [None, None]


def test_archives_may_be_unpacked_into_folders(root: Path, tmp_path: Path) -> None:
    for name, folder in (("calibration", "data2"), ("Figure1", "data2"), ("Aligned", "data3")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (root / name).rename(tmp_path / folder / name)
    assert order(MobileDepth(tmp_path).load("keyboard")) == [2, 3, 1]
    assert order(MobileDepth(tmp_path, "photos").load("keyboard")) == [5, 6, 4]


def test_a_calibration_of_another_number_of_photos(root: Path) -> None:
    (root / "Aligned/Figure1/keyboard/a01.jpg").unlink()
    with pytest.raises(DatasetError, match="focal depths of 3 photos, but .*keyboard holds 2"):
        MobileDepth(root).load("keyboard")


@pytest.mark.parametrize("line", ["12.5", "12.5 3.5 1", "near 3.5", "nan 3.5"])
def test_a_line_of_a_calibration_that_is_none(root: Path, line: str) -> None:
    path = root / "calibration/keyboard/calibrated.txt"
    path.write_text(KEYBOARD.replace("12.5 3.5", line))
    with pytest.raises(DatasetError, match=f"calibrated.txt: line '{line}' is no focal depth"):
        MobileDepth(root).load("keyboard")


def test_bad_photos(root: Path) -> None:
    folder = root / "Aligned/Figure7/bucket"
    write_image(folder / "a10.jpg", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"a10.jpg: of shape \(4, 5, 3\), but a9.jpg is of"):
        MobileDepth(root).load("bucket")
    (folder / "a10.jpg").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="a10.jpg: cannot be decoded"):
        MobileDepth(root).load("bucket")
    (folder / "a10.jpg").unlink()
    with pytest.raises(DatasetError, match="bucket: holds one photo, a9.jpg"):
        MobileDepth(root).load("bucket")


def test_a_folder_without_scenes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no scene .*looked for Aligned/FIGURE/SCENE/a00"):
        MobileDepth(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the sweeps are not here")
def test_real_photos(tmp_path: Path) -> None:
    figure = tmp_path / "Figure1"
    figure.mkdir()
    (figure / "keyboard").symlink_to(REAL / "keyboard_raw")
    (figure / "balls").symlink_to(REAL / "balls_raw")
    dataset = MobileDepth(tmp_path, "photos")
    assert dataset.scenes == ("balls", "keyboard")
    stack = dataset.load("balls").stack
    assert len(stack) == 25
    assert stack.size == (720, 1280)
    assert not stack.is_metric
