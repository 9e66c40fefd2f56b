"""Stack folders that cannot be read: what is wrong with which file, and what to do."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from stack_folder_files import values, write_images, write_yaml

from focdepth_ros.errors import StackFileError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack_folder.reading import load_ground_truth, load_stack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "stack", "0.png", "1.png", "2.png")


class TestBadFolders:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(StackFileError, match="nowhere: no such folder; give"):
            load_stack(tmp_path / "nowhere")

    def test_file(self, folder: Path) -> None:
        with pytest.raises(StackFileError, match=r"0\.png: not a folder; give"):
            load_stack(folder / "0.png")

    def test_no_images(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("nothing")
        with pytest.raises(
            StackFileError, match=r"no images in it; give a folder of \.bmp, \.jpeg"
        ):
            load_stack(tmp_path)

    def test_one_image(self, tmp_path: Path) -> None:
        write_images(tmp_path, "only.png")
        with pytest.raises(StackFileError, match=r"only one image in it, only\.png; .*at least 2"):
            load_stack(tmp_path)

    def test_unreadable_image(self, folder: Path) -> None:
        (folder / "1.png").write_bytes(b"junk")
        with pytest.raises(StackFileError, match=r"1\.png: cannot be decoded as an image; save it"):
            load_stack(folder)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_forbidden_image(self, folder: Path) -> None:
        (folder / "1.png").chmod(0)
        with pytest.raises(StackFileError, match=r"1\.png: cannot be read: Permission denied"):
            load_stack(folder)

    def test_image_of_another_size(self, folder: Path) -> None:
        write_image(folder / "2.png", np.zeros((6, 9), np.uint8))
        with pytest.raises(
            StackFileError, match=r"2\.png: 9x6 px grey, but 0\.png is 8x6 px grey; all slices"
        ):
            load_stack(folder)

    def test_image_of_another_size_that_would_shrink_to_the_same(self, folder: Path) -> None:
        write_image(folder / "2.png", np.zeros((12, 16), np.uint8))
        with pytest.raises(StackFileError, match=r"2\.png: 16x12 px grey"):
            load_stack(folder, max_size=4)

    def test_colour_among_grey(self, folder: Path) -> None:
        write_image(folder / "1.png", np.zeros((6, 8, 3), np.uint8))
        with pytest.raises(
            StackFileError, match=r"1\.png: 8x6 px colour, but 0\.png is 8x6 px grey"
        ):
            load_stack(folder)


class TestBadDescription:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("focus_distances: [1, 2", r"not valid YAML \(.*line 1\); correct it, or remove it"),
            ("a: b: c", r"not valid YAML \(mapping values are not allowed here, line 1\)"),
            ("\x00", "not valid YAML"),
            ("reference: 2024-99-99", "not valid YAML"),
            ("[" * 5000, "not valid YAML"),
            ("- 1\n- 2", r"content is \[1, 2\]; write the keys focus_distances, images"),
            (
                "focus_distance: [1, 2, 3]",
                "unknown key 'focus_distance'; known are focus_distances",
            ),
            ("focus_distances: 3", "focus_distances is 3; write a list of numbers"),
            ("focus_distances: [1, x, 3]", r"focus_distances\[1\] is 'x'; write a number"),
            ("focus_distances: [1, true, 3]", r"focus_distances\[1\] is True; write a number"),
            ("focus_distances: [1, 2]", "2 focus distances for 3 images .0.png … 2.png.; give one"),
            ("focus_distances: []", "0 focus distances for 3 images"),
            ("focus_distances: [1, .nan, 3]", r"distance nan of 1.png is not in \(0, inf\]; give"),
            ("focus_distances: [1, -2, 3]", r"distance -2.0 of 1.png is not in \(0, inf\]"),
            ("focus_distances: [0, 2, 3]", r"distance 0.0 of 0.png is not in \(0, inf\]"),
            (
                "focus_distances: [1, 2, 1.0]",
                "0.png and 2.png share the focus distance 1.0 m; keep",
            ),
            ("images: 0.png", "images is '0.png'; write a list of file names"),
            ("images: [0.png]", "1 images listed; a focal stack needs at least 2"),
            ("images: [0.png, 1.png, 0.png]", "'0.png' is listed twice under images"),
            ("images: [0.png, 7]", r"images\[1\] is 7; write a name"),
            ("reference: 3", r"reference 3 is not in 0\.\.2"),
            ("reference: 0.5", "reference is 0.5; write a whole number"),
            ("lens: 50", "lens is 50; write the keys focal_length, f_number, pixel_pitch"),
            ("lens: {focal_length: 0.05}", "no f_number under lens; needed are focal_length"),
            ("lens: {focal: 0.05}", "unknown key 'focal' under lens; known are focal_length"),
            (
                "lens: {focal_length: -0.05, f_number: 2, pixel_pitch: 1.0e-5}",
                "lens has focal_length=-0.05; it must be > 0",
            ),
            ("intrinsics: {width: 8, height: 6}", "no fx under intrinsics; needed are width"),
            (
                "intrinsics: {width: 9, height: 6, fx: 9, fy: 9, cx: 4, cy: 3}",
                "intrinsics are for 9x6 px, 0.png is 8x6; calibrate at the size in use",
            ),
            (
                "intrinsics: {width: 8, height: 6, fx: 0, fy: 9, cx: 4, cy: 3}",
                "camera intrinsics have fx=0.0",
            ),
        ],
    )
    def test_is_named_in_one_line(self, folder: Path, text: str, message: str) -> None:
        (folder / "stack.yaml").write_text(text)
        with pytest.raises(StackFileError, match=message) as caught:
            load_stack(folder)
        assert str(caught.value).startswith(f"{folder}")
        assert "stack.yaml" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_that_is_empty_says_nothing(self, folder: Path) -> None:
        (folder / "stack.yaml").write_text("# nothing yet\n")
        assert not load_stack(folder).is_metric

    def test_that_is_a_folder(self, folder: Path) -> None:
        (folder / "stack.yaml").mkdir()
        with pytest.raises(StackFileError, match=r"stack\.yaml: cannot be read: Is a directory"):
            load_stack(folder)

    def test_listed_image_is_missing(self, folder: Path) -> None:
        write_yaml(folder, images=["0.png", "9.png"])
        with pytest.raises(StackFileError, match=r"9\.png: no such file, but stack\.yaml lists it"):
            load_stack(folder)

    def test_listed_image_is_the_ground_truth(self, folder: Path) -> None:
        write_yaml(folder, images=["0.png", "1.png", "2.png"], depth="2.png")
        with pytest.raises(
            StackFileError, match=r"2\.png is listed both under images and as depth"
        ):
            load_stack(folder)

    @pytest.mark.parametrize("distances", [[1.0, 2.0], [1.0, math.nan, 2.0], [1.0, 2.0, 2.0]])
    def test_bad_distances_of_the_caller(self, folder: Path, distances: list[float]) -> None:
        with pytest.raises(StackFileError, match=rf"^{folder}: "):
            load_stack(folder, focus_distances=distances)


class TestBadGroundTruth:
    def test_sharp_picture_is_missing(self, folder: Path) -> None:
        write_yaml(folder, all_in_focus="sharp.png")
        with pytest.raises(StackFileError, match=r"sharp\.png: no such file, .* as all_in_focus"):
            load_stack(folder)

    def test_sharp_picture_is_no_slice(self, folder: Path) -> None:
        write_yaml(folder, all_in_focus="1.png")
        assert values(load_stack(folder)) == [0, 20]
        write_yaml(folder, images=["0.png", "1.png"], all_in_focus="1.png")
        with pytest.raises(StackFileError, match=r"1\.png is listed both .* and as all_in_focus"):
            load_stack(folder)

    def test_missing(self, folder: Path) -> None:
        write_yaml(folder, depth="depth.npy")
        with pytest.raises(
            StackFileError, match=r"depth\.npy: no such file, but stack\.yaml names it"
        ):
            load_stack(folder)

    def test_of_another_size(self, folder: Path) -> None:
        np.save(folder / "depth.npy", np.ones((6, 9), np.float32))
        write_yaml(folder, depth="depth.npy")
        with pytest.raises(StackFileError, match=r"depth\.npy: 9x6 px, but 0\.png is 8x6 px; the"):
            load_ground_truth(folder)
