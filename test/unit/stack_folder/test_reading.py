import logging
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from stack_folder_files import values, write_images, write_yaml

from focdepth_ros.errors import OptionError, StackError, StackFileError
from focdepth_ros.files.image_io import read_image, write_image
from focdepth_ros.stack import CameraIntrinsics, FocalStack, Lens, Slice
from focdepth_ros.stack_folder.reading import StackFolder, load_ground_truth, load_stack
from focdepth_ros.stack_folder.saving import save_stack

CAMERA = CameraIntrinsics(8, 6, 10.0, 11.0, 3.5, 2.5, "plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0))
LENS = Lens(0.016, 1.4, 2e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "stack", "0.png", "1.png", "2.png")


class TestRoundTrip:
    @pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3)])
    def test_loses_nothing(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(1)
        slices = [
            Slice(rng.integers(0, 256, shape, dtype=np.uint8), d) for d in (math.inf, 0.1, 0.7)
        ]
        stack = FocalStack(slices, CAMERA, LENS, reference=0)
        depth = rng.uniform(0.2, 3.0, (6, 8)).astype(np.float32)
        depth[0, :2] = np.nan, np.inf
        save_stack(tmp_path / "new" / "stack", stack, depth=depth)
        loaded = load_stack(tmp_path / "new" / "stack")
        assert [s.focus_distance for s in loaded.slices] == [0.1, 0.7, math.inf]
        for ours, theirs in zip(loaded.slices, stack.slices, strict=True):
            np.testing.assert_array_equal(ours.image, theirs.image)
        assert loaded.reference == stack.reference == 2
        assert loaded.intrinsics == CAMERA
        assert loaded.lens == LENS
        truth = load_ground_truth(tmp_path / "new" / "stack")
        np.testing.assert_array_equal(truth, depth)

    def test_keeps_a_relative_stack_relative(self, tmp_path: Path) -> None:
        images = [np.full((4, 5), v, np.uint8) for v in (9, 1, 5)]
        stack = FocalStack([Slice(image, None) for image in images], reference=1)
        save_stack(tmp_path, stack)
        loaded = load_stack(tmp_path)
        assert not loaded.is_metric
        assert values(loaded) == [9, 1, 5]
        assert loaded.reference == 1
        assert load_ground_truth(tmp_path) is None

    def test_leaves_other_pictures_of_the_folder_alone(self, folder: Path) -> None:
        stack = FocalStack([Slice(np.zeros((4, 5), np.uint8), d) for d in (1.0, 2.0)])
        save_stack(folder, stack)
        assert len(load_stack(folder)) == 2

    def test_keeps_the_true_sharp_picture_apart_from_the_slices(self, tmp_path: Path) -> None:
        slices = [Slice(np.full((6, 8, 3), i, np.uint8), 1.0 + i) for i in range(3)]
        sharp = np.full((6, 8, 3), 77, np.uint8)
        save_stack(tmp_path, FocalStack(slices), all_in_focus=sharp)
        folder = StackFolder.open(tmp_path)
        assert folder.all_in_focus is not None
        np.testing.assert_array_equal(read_image(folder.all_in_focus), sharp)
        assert values(folder.load()) == [0, 1, 2]
        assert load_ground_truth(tmp_path) is None

    def test_refuses_a_ground_truth_of_another_size(self, tmp_path: Path) -> None:
        stack = FocalStack([Slice(np.zeros((4, 5), np.uint8), d) for d in (1.0, 2.0)])
        with pytest.raises(StackError, match=r"shape \(5, 4\), the slices \(4, 5\)"):
            save_stack(tmp_path, stack, depth=np.ones((5, 4), np.float32))


class TestChoosingSlices:
    def test_sorts_by_number(self, tmp_path: Path) -> None:
        write_images(tmp_path, "10.png", "2.png", "1.png")
        assert values(load_stack(tmp_path)) == [20, 10, 0]

    def test_sorts_decimal_fractions(self, tmp_path: Path) -> None:
        write_images(tmp_path, "at_0.5m.png", "at_0.35m.png", "at_2m.png")
        assert values(load_stack(tmp_path)) == [10, 0, 20]

    @pytest.mark.parametrize("other", ["index_map.png", "map.jpg", "0.notes.png", "10_mask.png"])
    def test_leaves_out_and_reports_other_pictures(
        self, tmp_path: Path, other: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_images(tmp_path, "000.png", "001.png", "002.png", other)
        (tmp_path / "readme.txt").write_text("no picture")
        (tmp_path / "sub.png").mkdir()
        assert StackFolder.open(tmp_path).left_out == (other,)
        with caplog.at_level(logging.WARNING):
            assert values(load_stack(tmp_path)) == [0, 10, 20]
        assert f"left out {other}" in caplog.text

    def test_takes_all_of_the_commonest_suffix_without_numbers(self, tmp_path: Path) -> None:
        write_images(tmp_path, "near.png", "far.png", "mask.jpg")
        assert [p.name for p in StackFolder.open(tmp_path).images] == ["far.png", "near.png"]

    def test_asks_where_two_series_are_as_long(self, tmp_path: Path) -> None:
        write_images(tmp_path, "a0.png", "a1.png", "b0.png", "b1.png")
        with pytest.raises(
            StackFileError, match=r"not clear; list them under images in stack\.yaml"
        ):
            load_stack(tmp_path)

    def test_passes_over_hidden_files(self, tmp_path: Path) -> None:
        write_images(tmp_path, "0.png", "1.png", "._0.png", "._1.png", "._2.png")
        assert len(load_stack(tmp_path)) == 2

    def test_never_takes_the_ground_truth(self, tmp_path: Path) -> None:
        write_images(tmp_path, "0.png", "1.png")
        write_image(tmp_path / "2.png", np.full((6, 8), 1500, np.uint16))
        write_yaml(tmp_path, depth="2.png")
        assert values(load_stack(tmp_path)) == [0, 10]
        truth = load_ground_truth(tmp_path)
        assert truth is not None
        np.testing.assert_allclose(truth, np.full((6, 8), 1.5))

    def test_turns_the_order_round(self, folder: Path) -> None:
        write_yaml(folder, reference=2)
        stack = StackFolder.open(folder).reversed().load()
        assert values(stack) == [20, 10, 0]
        assert stack.reference == 0
        write_yaml(folder, images=["0.png", "1.png", "2.png"])
        assert StackFolder.open(folder).reversed().reference == 0  # the first, by default

    def test_turning_keeps_images_and_distances_together(self, folder: Path) -> None:
        write_yaml(folder, focus_distances=[2.0, 1.0, 0.5], reference=1)
        plain, turned = (
            f.load() for f in (StackFolder.open(folder), StackFolder.open(folder).reversed())
        )
        assert values(plain) == values(turned) == [20, 10, 0]
        assert turned.reference == plain.reference

    def test_follows_the_list(self, tmp_path: Path) -> None:
        write_images(tmp_path, "a.png", "sub/b.png", "c.png")
        write_yaml(tmp_path, images=["c.png", "sub/b.png"])
        assert values(load_stack(tmp_path)) == [20, 10]


class TestFocusDistances:
    def test_pair_with_the_images_in_file_order(self, folder: Path) -> None:
        write_yaml(folder, focus_distances=[2.0, math.inf, 0.5], reference=2)
        stack = load_stack(folder)
        assert [s.focus_distance for s in stack.slices] == [0.5, 2.0, math.inf]
        assert values(stack) == [20, 0, 10]
        assert stack.reference == 0

    def test_given_by_the_caller_replace_those_of_the_file(self, folder: Path) -> None:
        write_yaml(folder, focus_distances=[1, 2, 3])
        stack = load_stack(folder, focus_distances=[0.1, 0.2, 0.3])
        assert [s.focus_distance for s in stack.slices] == [0.1, 0.2, 0.3]

    def test_may_be_written_as_yaml_takes_for_text(self, folder: Path) -> None:
        (folder / "stack.yaml").write_text("focus_distances: [5e-1, 1, inf]")
        assert [s.focus_distance for s in load_stack(folder).slices] == [0.5, 1.0, math.inf]


class TestMaxSize:
    def test_scales_everything_together(self, tmp_path: Path) -> None:
        camera = CameraIntrinsics(80, 60, 100.0, 110.0, 39.5, 29.5)
        slices = [Slice(np.full((60, 80, 3), v, np.uint8), d) for v, d in ((5, 1.0), (7, 2.0))]
        depth = np.ones((60, 80), np.float32)
        depth[:, 40:] = 2.0
        save_stack(tmp_path, FocalStack(slices, camera, LENS), depth=depth)
        stack = load_stack(tmp_path, max_size=20)
        assert stack.size == (15, 20)
        assert values(stack) == [5, 7]
        assert stack.intrinsics == CameraIntrinsics(20, 15, 25.0, 27.5, 9.5, 7.0)
        assert stack.lens is not None
        assert stack.lens.pixel_pitch == pytest.approx(4 * LENS.pixel_pitch)
        truth = load_ground_truth(tmp_path, max_size=20)
        assert truth is not None
        assert truth.shape == stack.size
        np.testing.assert_array_equal(truth[:, 9:11], np.tile([1.0, 2.0], (15, 1)))

    def test_does_not_enlarge(self, folder: Path) -> None:
        assert load_stack(folder, max_size=100).size == (6, 8)

    def test_refuses_less_than_a_pixel(self, folder: Path) -> None:
        with pytest.raises(OptionError, match="max_size 0 px is not positive"):
            load_stack(folder, max_size=0)


class TestNearToFar:
    def test_is_the_order_of_the_stack(self, folder: Path) -> None:
        write_yaml(folder, focus_distances=[2.0, math.inf, 0.5], reference=1)
        ordered = StackFolder.open(folder).near_to_far()
        assert [path.name for path in ordered.images] == ["2.png", "0.png", "1.png"]
        assert ordered.focus_distances == (0.5, 2.0, math.inf)
        stack = load_stack(folder)
        assert ordered.reference == stack.reference == 2
        read = list(ordered.slices())
        assert [int(item.image[0, 0]) for item in read] == values(stack)
        assert [item.focus_distance for item in read] == [0.5, 2.0, math.inf]

    def test_is_the_order_of_the_files_without_distances(self, folder: Path) -> None:
        opened = StackFolder.open(folder)
        assert opened.near_to_far() == opened


class TestGivenImages:
    def test_stay_in_the_order_given(self, folder: Path) -> None:
        stack = StackFolder.of_images([folder / "2.png", folder / "0.png"]).load()
        assert values(stack) == [20, 0]
        assert not stack.is_metric

    def test_may_have_distances(self, folder: Path) -> None:
        images = [folder / "2.png", folder / "0.png"]
        stack = StackFolder.of_images(images, focus_distances=[3.0, 1.0]).load()
        assert values(stack) == [0, 20]
        with pytest.raises(StackFileError, match="the images given: 1 focus distances for 2"):
            StackFolder.of_images(images, focus_distances=[3.0])

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ((), "^0 images? given; a focal stack needs at least 2"),
            (("0.png",), r"0\.png: 1 image given; a focal stack needs at least 2"),
            (("0.png", "9.png"), r"9\.png: no such file"),
            (("0.png", "1.png", "./0.png"), r"0\.png: given twice"),
            (("0.png", "."), "a folder; give one folder alone"),
        ],
    )
    def test_that_are_none_are_refused(
        self, folder: Path, names: tuple[str, ...], message: str
    ) -> None:
        with pytest.raises(StackFileError, match=message):
            StackFolder.of_images([folder / name for name in names])


def test_reports_progress(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    load_stack(folder, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_reads_jpegs_of_a_camera_in_parallel_in_order(tmp_path: Path) -> None:
    for i in range(12):
        image = np.full((40, 50, 3), 20 * i, np.uint8)
        (tmp_path / f"IMG_{i}.JPG").write_bytes(cv2.imencode(".jpg", image)[1].data)
    assert values(load_stack(tmp_path)) == pytest.approx([20 * i for i in range(12)], abs=2)
