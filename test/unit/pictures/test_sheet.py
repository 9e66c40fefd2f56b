from dataclasses import replace

import numpy as np
import pytest

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.geometry import intrinsics_from_field_of_view
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.stack import FocalStack, Slice

HEIGHT, WIDTH = 48, 64


def make_stack(count: int, *, metric: bool, mono: bool = False) -> FocalStack:
    rng = np.random.default_rng(2)
    shape = (HEIGHT, WIDTH) if mono else (HEIGHT, WIDTH, 3)
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]
    distances = [0.5 * (i + 1) if metric else None for i in range(count)]
    return FocalStack([Slice(i, d) for i, d in zip(images, distances, strict=True)])


def make_estimate(*, metric: bool) -> DepthEstimate:
    depth = np.tile(np.linspace(0.5, 2.0, WIDTH, dtype=np.float32), (HEIGHT, 1))
    depth[:10, :10] = np.nan
    return DepthEstimate(
        depth=depth,
        confidence=depth / np.float32(2),
        slice_index=depth,
        backend="plain",
        metric=metric,
        all_in_focus=np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
    )


def panels(sheet: np.ndarray) -> int:
    """How many cells of the grid show something."""
    cell_height = 26 + round(100 * HEIGHT / WIDTH) + 8
    count = 0
    for top in range(8, sheet.shape[0] - cell_height + 9, cell_height):
        for left in range(8, sheet.shape[1] - 100, 108):
            cell = sheet[top + 26 : top + cell_height - 8, left : left + 100]
            count += len(np.unique(cell.reshape(-1, 3), axis=0)) > 1
    return count


def test_shows_more_the_more_is_known() -> None:
    stack, estimate = make_stack(6, metric=True), make_estimate(metric=True)
    plain = picture_sheet(stack, estimate, panel_width=100)
    assert panels(plain) == 4 + 3  # slices; all-in-focus, depth, confidence
    truth = picture_sheet(stack, estimate, truth=estimate.depth * 1.1, panel_width=100)
    assert panels(truth) == 4 + 5
    calibrated = replace(stack, intrinsics=intrinsics_from_field_of_view(60.0, WIDTH, HEIGHT))
    full = picture_sheet(calibrated, estimate, truth=estimate.depth, panel_width=100)
    assert panels(full) == 4 + 6


@pytest.mark.parametrize("mono", [True, False])
def test_of_a_relative_stack_has_no_cloud_and_no_error(mono: bool) -> None:
    stack = make_stack(2, metric=False, mono=mono)
    stack = replace(stack, intrinsics=intrinsics_from_field_of_view(60.0, WIDTH, HEIGHT))
    estimate = replace(make_estimate(metric=False), all_in_focus=None)
    sheet = picture_sheet(stack, estimate, truth=estimate.depth, panel_width=100)
    assert panels(sheet) == 2 + 3


def test_a_title_takes_room_of_its_own() -> None:
    stack, estimate = make_stack(3, metric=True), make_estimate(metric=True)
    without = picture_sheet(stack, estimate)
    titled = picture_sheet(stack, estimate, title="sweep 1: 0.4 to 4 m")
    assert titled.dtype == np.uint8
    extra = titled.shape[0] - without.shape[0]
    assert extra > 0
    np.testing.assert_array_equal(titled[extra:], without)
    assert len(np.unique(titled[:extra])) > 1


def test_of_a_wide_answer_is_quick_to_look_at() -> None:
    # However large the images are, the sheet keeps its size.
    stack, estimate = make_stack(3, metric=True), make_estimate(metric=True)
    assert picture_sheet(stack, estimate, panel_width=200).shape[1] == 5 * 208 + 8
