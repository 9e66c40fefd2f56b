import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focdepth_ros.errors import CalibrationError, RelativeStackError, SliceError, StackError
from focdepth_ros.stack import CameraIntrinsics, FocalStack, Lens, Slice

IMAGE = np.zeros((4, 6, 3), np.uint8)


def stack_of(*distances: float | None, reference: int = 0) -> FocalStack:
    return FocalStack([Slice(IMAGE, d) for d in distances], reference=reference)


class TestSlice:
    def test_keeps_the_image_without_a_copy(self) -> None:
        item = Slice(IMAGE, 0.5, stamp=7, lens_position=12.0)
        assert item.image is IMAGE
        assert item.size == (4, 6)
        assert item.dioptre == 2.0

    def test_is_at_zero_dioptres_when_focused_at_infinity(self) -> None:
        assert Slice(IMAGE, math.inf).dioptre == 0.0

    @pytest.mark.parametrize("distance", [0.0, -1.0, math.nan, -math.inf])
    def test_refuses_impossible_distances(self, distance: float) -> None:
        with pytest.raises(SliceError, match=rf"focus distance {distance} m is not in \(0, inf\]"):
            Slice(IMAGE, distance)

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (np.zeros((4, 6), np.float32), "float32; give a uint8 array"),
            ([[1, 2]], "list; give a uint8 array"),
            (np.zeros((4, 6, 4), np.uint8), r"shape \(4, 6, 4\)"),
            (np.zeros((4,), np.uint8), r"shape \(4,\)"),
            (np.zeros((0, 6), np.uint8), "no pixels"),
        ],
    )
    def test_refuses_what_is_no_picture(self, image: object, message: str) -> None:
        with pytest.raises(SliceError, match=message):
            Slice(image, 1.0)  # type: ignore[arg-type]

    def test_refuses_a_mask_that_does_not_fit(self) -> None:
        with pytest.raises(SliceError, match=r"valid_mask is bool \(4, 5\); give bool \(4, 6\)"):
            Slice(IMAGE, 1.0, valid_mask=np.ones((4, 5), np.bool_))
        with pytest.raises(SliceError, match="valid_mask is uint8"):
            Slice(IMAGE, 1.0, valid_mask=np.ones((4, 6), np.uint8))  # type: ignore[arg-type]

    def test_has_no_dioptre_without_a_distance(self) -> None:
        with pytest.raises(RelativeStackError, match="give one in metres"):
            _ = Slice(IMAGE, None).dioptre


class TestFocalStack:
    def test_sorts_near_to_far_and_follows_the_reference(self) -> None:
        stack = stack_of(2.0, math.inf, 0.5, reference=0)
        assert [s.focus_distance for s in stack.slices] == [0.5, 2.0, math.inf]
        assert stack.reference == 1
        assert stack.is_metric
        np.testing.assert_array_equal(stack.dioptres, [2.0, 0.5, 0.0])

    @given(st.lists(st.integers(10, 100_000), min_size=2, max_size=8, unique=True), st.data())
    def test_keeps_every_slice_in_any_order(
        self, millimetres: list[int], data: st.DataObject
    ) -> None:
        distances = [value / 1000 for value in millimetres]
        reference = data.draw(st.integers(0, len(distances) - 1))
        stack = stack_of(*distances, reference=reference)
        assert [s.focus_distance for s in stack.slices] == sorted(distances)
        assert stack.slices[stack.reference].focus_distance == distances[reference]
        assert np.all(np.diff(stack.dioptres) < 0.0)

    def test_keeps_the_order_of_a_relative_stack(self) -> None:
        pictures = [np.full((4, 6), value, np.uint8) for value in (9, 3, 5)]
        stack = FocalStack([Slice(p, None) for p in pictures], reference=2)
        assert [int(s.image[0, 0]) for s in stack.slices] == [9, 3, 5]
        assert stack.reference == 2
        assert not stack.is_metric
        with pytest.raises(RelativeStackError, match="give them in metres"):
            _ = stack.dioptres

    @pytest.mark.parametrize(
        ("distances", "message"),
        [
            ((1.0,), "at least 2 slices, 1 given"),
            ((), "at least 2 slices, 0 given"),
            ((1.0, None), "1 of 2 slices have a focus distance"),
            ((0.7, 2.0, 0.7), r"share the focus distance 0\.7 m"),
            ((0.7, 2.0, 0.7000000001), r"share the focus distance 0\.7 m"),
            ((math.inf, 2.0, 1e50), r"share the focus distance 1e\+50 m"),
        ],
    )
    def test_refuses_slices_that_form_no_stack(
        self, distances: tuple[float | None, ...], message: str
    ) -> None:
        with pytest.raises(StackError, match=message):
            stack_of(*distances)

    @pytest.mark.parametrize("reference", [-1, 2])
    def test_refuses_a_reference_out_of_range(self, reference: int) -> None:
        with pytest.raises(StackError, match=rf"reference slice {reference} is not in 0\.\.1"):
            stack_of(1.0, 2.0, reference=reference)

    @pytest.mark.parametrize("other", [np.zeros((4, 7, 3), np.uint8), np.zeros((4, 6), np.uint8)])
    def test_refuses_images_of_different_shapes(self, other: np.ndarray) -> None:
        with pytest.raises(StackError, match="slice 1 has shape"):
            FocalStack([Slice(IMAGE, 1.0), Slice(other, 2.0)])

    def test_refuses_intrinsics_of_another_size(self) -> None:
        camera = CameraIntrinsics(8, 4, 10.0, 10.0, 3.5, 1.5)
        with pytest.raises(StackError, match="6x4 px, camera intrinsics are for 8x4"):
            FocalStack([Slice(IMAGE, 1.0), Slice(IMAGE, 2.0)], camera)

    def test_can_be_given_other_intrinsics(self) -> None:
        camera = CameraIntrinsics(6, 4, 10.0, 10.0, 2.5, 1.5)
        stack = stack_of(2.0, 1.0, reference=0)
        changed = dataclasses.replace(stack, intrinsics=camera)
        assert changed.intrinsics is camera
        assert changed.reference == stack.reference == 1


class TestCalibration:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"width": 0}, "0x4 pixels"),
            ({"fx": 0.0}, "fx=0.0"),
            ({"fy": math.inf}, "fy=inf"),
            ({"cx": math.nan}, "cx=nan"),
            ({"distortion": (0.1, math.nan)}, "must be finite"),
        ],
    )
    def test_refuses_intrinsics_of_no_camera(self, change: dict[str, Any], message: str) -> None:
        good = CameraIntrinsics(6, 4, 10.0, 10.0, 2.5, 1.5)
        with pytest.raises(CalibrationError, match=message):
            dataclasses.replace(good, **change)

    @pytest.mark.parametrize("name", ["focal_length", "f_number", "pixel_pitch"])
    @pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
    def test_refuses_lenses_that_cannot_be(self, name: str, value: float) -> None:
        with pytest.raises(CalibrationError, match=f"lens has {name}={value}"):
            dataclasses.replace(Lens(0.05, 2.0, 1e-5), **{name: value})
