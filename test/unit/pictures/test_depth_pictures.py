import cv2
import numpy as np
import pytest

from focdepth_ros.pictures.depth_pictures import (
    UNKNOWN_COLOUR,
    as_colour,
    colour_confidence,
    colour_depth,
    colour_error,
    colour_values,
    depth_range,
    put_text,
    render_cloud,
    with_depth_bar,
)
from focdepth_ros.stack import CameraIntrinsics


def is_warm(colour: np.ndarray) -> bool:
    return int(colour[0]) > int(colour[2])


class TestColours:
    def test_unknown_is_black_and_nothing_else_is(self) -> None:
        values = np.linspace(-0.5, 1.5, 50).reshape(5, 10)
        values[2, 3] = np.nan
        for colour_map in (cv2.COLORMAP_TURBO, cv2.COLORMAP_VIRIDIS):
            picture = colour_values(values, 0.0, 1.0, colour_map)
            assert picture.dtype == np.uint8
            assert tuple(picture[2, 3]) == UNKNOWN_COLOUR
            assert (picture.max(axis=-1) < 60).sum() == 1

    def test_stays_at_the_ends_of_the_map(self) -> None:
        low, high, below, above = colour_values(np.array([[0.0, 1.0, -9.0, np.inf]]), 0.0, 1.0)[0]
        np.testing.assert_array_equal(low, below)
        np.testing.assert_array_equal(high, above)

    def test_manage_a_single_value(self) -> None:
        picture = colour_values(np.full((2, 2), 3.0), 3.0, 3.0)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1

    @pytest.mark.parametrize("metric", [True, False])
    def test_near_is_warm_and_far_is_cold(self, metric: bool) -> None:
        depth = np.linspace(0.5, 8.0, 40, dtype=np.float32)[np.newaxis]
        picture = colour_depth(depth, metric=metric)
        assert is_warm(picture[0, 0])
        assert not is_warm(picture[0, -1])

    def test_metres_are_even_in_dioptres(self) -> None:
        depth = np.array([[0.5, 1.0, np.inf]], np.float32)  # 2, 1 and 0 dioptres
        picture = colour_depth(depth, metric=True, limits=(0.5, np.inf))
        expected = colour_values(np.array([[2.0, 1.0, 0.0]]), 0.0, 2.0)
        np.testing.assert_array_equal(picture, expected)

    def test_error_is_relative(self) -> None:
        depth = np.array([[1.1, 2.2, np.nan, 1.0]], np.float32)
        truth = np.array([[1.0, 2.0, 1.0, np.nan]], np.float32)
        picture = colour_error(depth, truth)[0].astype(int)
        np.testing.assert_allclose(picture[0], picture[1], atol=3)
        assert tuple(picture[2]) == tuple(picture[3]) == UNKNOWN_COLOUR

    def test_confidence_spans_zero_to_one(self) -> None:
        picture = colour_confidence(np.array([[0.5, 0.5]], np.float32))
        expected = colour_values(np.array([[0.5]]), 0.0, 1.0, cv2.COLORMAP_VIRIDIS)
        np.testing.assert_array_equal(picture[0, 0], expected[0, 0])


class TestDepthRange:
    def test_leaves_out_the_outermost_and_the_unknown(self) -> None:
        depth = np.linspace(1.0, 2.0, 1001, dtype=np.float32)
        depth = np.concatenate([depth, [np.nan, np.inf]]).astype(np.float32)
        assert list(depth_range(depth)) == pytest.approx([1.01, 1.99])

    def test_of_nothing(self) -> None:
        assert depth_range(np.full((2, 2), np.nan, np.float32)) == (1.0, 2.0)


class TestDepthBar:
    @pytest.mark.parametrize(
        ("limits", "metric"),
        [
            ((0.4, 4.0), True),
            ((0.4, np.inf), True),
            ((1.0, 1.0), True),
            ((0.0, 9.0), False),
            ((3.0, 3.0), False),
        ],
    )
    def test_runs_from_near_to_far(self, limits: tuple[float, float], metric: bool) -> None:
        picture = np.zeros((240, 320, 3), np.uint8)
        wide = with_depth_bar(picture, limits, metric=metric)
        assert wide.shape[0] == 240
        assert wide.shape[1] > 320
        np.testing.assert_array_equal(wide[:, :320], picture)
        column = wide[:, 320 + 12]
        if limits[0] < limits[1]:
            assert is_warm(column[20])
            assert not is_warm(column[220])

    def test_fits_a_tiny_picture(self) -> None:
        assert with_depth_bar(np.zeros((8, 8, 3), np.uint8), (1, 2), metric=True).shape[0] == 8


def test_as_colour_repeats_grey() -> None:
    grey = np.array([[1, 2]], np.uint8)
    np.testing.assert_array_equal(as_colour(grey), [[[1, 1, 1], [2, 2, 2]]])
    colour = np.zeros((1, 2, 3), np.uint8)
    assert as_colour(colour) is colour


class TestRenderCloud:
    camera = CameraIntrinsics(80, 60, 80.0, 80.0, 39.5, 29.5)

    def cloud(self, *points: tuple[float, float, float]) -> np.ndarray:
        return np.array([points], np.float32)

    def test_shows_nothing_of_an_empty_cloud(self) -> None:
        points = np.full((4, 4, 3), np.nan, np.float32)
        view = render_cloud(points, np.full((4, 4, 3), 255, np.uint8), self.camera)
        assert view.shape == (60, 80, 3)
        assert len(np.unique(view.reshape(-1, 3), axis=0)) == 1

    def test_nearer_points_hide_farther_ones(self) -> None:
        red, green = (255, 0, 0), (0, 255, 0)
        for colours, points in (
            ((red, green), ((0, 0, 1), (0, 0, 2))),
            ((green, red), ((0, 0, 2), (0, 0, 1))),
        ):
            view = render_cloud(
                self.cloud(*points), np.array([colours], np.uint8), self.camera, yaw=0, pitch=0
            )
            assert (view == red).all(axis=-1).any()
            assert not (view == green).all(axis=-1).any()

    def test_looks_from_the_right_and_above(self) -> None:
        # From there a near point moves to the left of and below a far one.
        points = self.cloud((0, 0, 1), (0, 0, 3))
        colours = np.array([[(255, 0, 0), (0, 255, 0)]], np.uint8)
        view = render_cloud(points, colours, self.camera, yaw=15, pitch=10)
        near = np.argwhere((view == (255, 0, 0)).all(axis=-1)).mean(axis=0)
        far = np.argwhere((view == (0, 255, 0)).all(axis=-1)).mean(axis=0)
        assert near[0] > far[0]
        assert near[1] < far[1]

    def test_covers_a_surface_seen_from_its_own_place(self) -> None:
        rows, columns = np.mgrid[0:60, 0:80].astype(np.float32)
        points = np.stack([(columns - 39.5) / 80, (rows - 29.5) / 80, np.ones_like(rows)], axis=-1)
        colours = np.full((60, 80, 3), 200, np.uint8)
        view = render_cloud(points.astype(np.float32), colours, self.camera, yaw=0, pitch=0)
        middle = view[15:45, 20:60]
        assert (middle == 200).all()


def test_text_that_would_not_fit_is_made_smaller() -> None:
    pictures = np.zeros((2, 30, 120, 3), np.uint8)
    put_text(pictures[0], "short", (2, 20), 20)
    put_text(pictures[1], "a caption that is much too long for this", (2, 20), 20)
    short, long = (np.argwhere(picture.any(axis=2)) for picture in pictures)
    assert 100 < long[:, 1].max() < 119
    assert np.ptp(long[:, 0]) < np.ptp(short[:, 0])
