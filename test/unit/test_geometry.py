import dataclasses
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focdepth_ros.errors import CalibrationError
from focdepth_ros.geometry import (
    back_project,
    intrinsics_from_field_of_view,
    intrinsics_from_lens,
    pixel_rays,
    project,
    scaled_intrinsics,
)
from focdepth_ros.stack import CameraIntrinsics, Lens

CAMERA = CameraIntrinsics(width=5, height=3, fx=10.0, fy=20.0, cx=2.0, cy=1.0)


class TestBackProject:
    def test_matches_the_pinhole_model_by_hand(self) -> None:
        depth = np.full((3, 5), 2.0, np.float32)
        points = back_project(depth, CAMERA)
        assert points.dtype == np.float32
        np.testing.assert_allclose(points[1, 2], [0.0, 0.0, 2.0])
        # Two pixels right of the centre and one below: 2 * 2 / 10 and 2 * 1 / 20.
        np.testing.assert_allclose(points[2, 4], [0.4, 0.1, 2.0])

    @pytest.mark.parametrize("unknown", [np.nan, np.inf])
    def test_gives_nan_where_the_depth_is_not_finite(self, unknown: float) -> None:
        depth = np.full((3, 5), 2.0, np.float32)
        depth[0, 1] = unknown
        points = back_project(depth, CAMERA)
        assert np.isnan(points[0, 1]).all()
        assert np.isfinite(np.delete(points.reshape(-1, 3), 1, axis=0)).all()

    def test_refuses_a_depth_image_of_another_size(self) -> None:
        with pytest.raises(CalibrationError, match="4x3 px, camera intrinsics are for 5x3"):
            back_project(np.ones((3, 4), np.float32), CAMERA)


class TestPixelRays:
    @pytest.mark.parametrize(
        ("model", "coefficients"),
        [
            ("plumb_bob", (0.1, -0.05, 0.001, -0.002, 0.01)),
            ("rational_polynomial", (0.1, -0.05, 0.001, -0.002, 0.01, 0.02, 0.003, 0.001)),
            ("equidistant", (0.05, -0.01, 0.002, 0.001)),
            ("equidistant", (0.0, 0.0, 0.0, 0.0)),
            ("equidistant", ()),
        ],
    )
    def test_undo_the_distortion(self, model: str, coefficients: tuple[float, ...]) -> None:
        camera = CameraIntrinsics(64, 48, 60.0, 61.0, 30.0, 25.0, model, coefficients)
        rays = pixel_rays(camera).reshape(-1, 1, 2).astype(np.float64)
        matrix = np.array([[60.0, 0, 30.0], [0, 61.0, 25.0], [0, 0, 1.0]])
        if model == "equidistant":
            pixels = cv2.fisheye.distortPoints(rays, matrix, np.array(coefficients or (0.0,) * 4))
        else:
            points = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
            unmoved = np.zeros(3)
            pixels = cv2.projectPoints(points, unmoved, unmoved, matrix, np.array(coefficients))[0]
        columns, rows = np.meshgrid(np.arange(64), np.arange(48))
        expected = np.stack([columns, rows], axis=-1).reshape(-1, 2)
        np.testing.assert_allclose(pixels.reshape(-1, 2), expected, atol=0.05)

    def test_of_a_wide_lens_are_exact_to_the_corners(self) -> None:
        bent = (-0.25, 0.065, 0.0, 0.0, -0.007)
        camera = CameraIntrinsics(320, 180, 160.0, 160.0, 159.5, 89.5, "plumb_bob", bent)
        rays = pixel_rays(camera).reshape(-1, 2).astype(np.float64)
        columns, rows = np.meshgrid(np.arange(320), np.arange(180))
        expected = np.stack([columns, rows], axis=-1).reshape(-1, 2)
        np.testing.assert_allclose(project(rays, camera), expected, atol=1e-3)

    @pytest.mark.parametrize(
        ("model", "coefficients", "focal"),
        [
            ("equidistant", (0.0, 0.0, 0.0, 0.0), 40.0),  # more than half of all directions
            ("plumb_bob", (-0.35, 0.12, 0.0, 0.0, -0.02), 70.0),  # folds over
        ],
    )
    def test_there_are_none_where_the_lens_sees_nothing(
        self, model: str, coefficients: tuple[float, ...], focal: float
    ) -> None:
        camera = CameraIntrinsics(160, 120, focal, focal, 79.5, 59.5, model, coefficients)
        rays = pixel_rays(camera)
        known = ~np.isnan(rays[..., 0])
        assert 0.3 < known.mean() < 0.99
        assert known[60, 80]
        assert np.nanmax(np.abs(rays)) <= 50.0
        assert not known[0, 0]
        pixels = project(rays[known].astype(np.float64), camera)
        np.testing.assert_allclose(pixels, np.argwhere(known)[:, ::-1], atol=0.6)
        points = back_project(np.ones((120, 160), np.float32), camera)
        np.testing.assert_array_equal(np.isnan(points).any(axis=-1), ~known)
        np.testing.assert_array_equal(np.isnan(points).all(axis=-1), ~known)

    def test_of_whole_numbers(self) -> None:
        camera = CameraIntrinsics(64, 48, 60, 61, 30, 25, "equidistant", (0.05, -0.01, 0.002, 0.0))
        assert np.isfinite(pixel_rays(camera)).all()

    def test_cannot_be_changed_by_who_gets_them(self) -> None:
        with pytest.raises(ValueError, match="read-only"):
            pixel_rays(CAMERA)[0, 0] = 1.0

    def test_refuse_an_unknown_model(self) -> None:
        camera = dataclasses.replace(CAMERA, distortion_model="magic", distortion=(0.1,) * 5)
        with pytest.raises(CalibrationError, match="'magic' is not known; use one of plumb_bob"):
            pixel_rays(camera)

    @pytest.mark.parametrize(("model", "count"), [("plumb_bob", 3), ("equidistant", 5)])
    def test_refuse_a_wrong_number_of_coefficients(self, model: str, count: int) -> None:
        camera = dataclasses.replace(CAMERA, distortion_model=model, distortion=(0.1,) * count)
        with pytest.raises(CalibrationError, match=f"{count} distortion coefficients"):
            pixel_rays(camera)


class TestIntrinsics:
    def test_from_a_lens(self) -> None:
        camera = intrinsics_from_lens(Lens(0.016, 1.4, 20e-6), 640, 480)
        assert camera.fx == camera.fy == pytest.approx(800.0)
        assert (camera.cx, camera.cy) == (319.5, 239.5)

    def test_from_the_field_of_view(self) -> None:
        camera = intrinsics_from_field_of_view(90.0, 640, 480)
        # The left edge of the image lies at -0.5 px and is seen at -45 degrees.
        assert (-0.5 - camera.cx) / camera.fx == pytest.approx(-1.0)
        assert camera.fy == camera.fx

    @pytest.mark.parametrize("degrees", [0.0, 180.0, -5.0, math.nan])
    def test_refuse_an_impossible_field_of_view(self, degrees: float) -> None:
        with pytest.raises(CalibrationError, match=r"is not in \(0, 180\)"):
            intrinsics_from_field_of_view(degrees, 640, 480)

    @given(st.integers(1, 400), st.integers(1, 300))
    def test_scaling_keeps_what_the_corners_see(self, width: int, height: int) -> None:
        camera = CameraIntrinsics(200, 150, 180.0, 190.0, 93.0, 77.0)
        scaled = scaled_intrinsics(camera, width, height)
        for full, small in ((-0.5, -0.5), (199.5, width - 0.5)):
            ray = (full - camera.cx) / camera.fx
            assert (small - scaled.cx) / scaled.fx == pytest.approx(ray)
        for full, small in ((-0.5, -0.5), (149.5, height - 0.5)):
            ray = (full - camera.cy) / camera.fy
            assert (small - scaled.cy) / scaled.fy == pytest.approx(ray)
