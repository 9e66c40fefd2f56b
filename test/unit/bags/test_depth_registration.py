"""Planes whose depth in another camera is known in closed form."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from focdepth_ros.bags.depth_registration import register_depth
from focdepth_ros.bags.rigid_transform import RigidTransform
from focdepth_ros.errors import CalibrationError
from focdepth_ros.geometry import pixel_rays, project
from focdepth_ros.stack import CameraIntrinsics, FloatImage

CAMERA = CameraIntrinsics(160, 120, 150.0, 152.0, 80.5, 58.0)
TOF = CameraIntrinsics(64, 50, 45.0, 46.0, 31.0, 25.5)
ASIDE = RigidTransform((0.1, -0.05, 0.02), (0.03, -0.08, 0.02, 0.996))
NORMAL, DISTANCE = np.array([0.25, -0.15, 1.0]), 2.0  # the plane n p = d of the camera's frame


def plane_depth(
    intrinsics: CameraIntrinsics, normal: np.ndarray = NORMAL, distance: float = DISTANCE
) -> np.ndarray:
    """Depth [m] of the plane in a camera in whose frame it is n p = d."""
    rays = pixel_rays(intrinsics).astype(np.float64)
    return distance / (rays[..., 0] * normal[0] + rays[..., 1] * normal[1] + normal[2])


def seen_by(
    intrinsics: CameraIntrinsics, pose: RigidTransform, normal: np.ndarray, distance: float
) -> FloatImage:
    """The same in a camera that lies so in the camera's frame."""
    inner = pose.matrix.T @ normal
    return plane_depth(intrinsics, inner, distance - float(normal @ pose.translation)).astype("f4")


def pixels_in(
    depth: np.ndarray, intrinsics: CameraIntrinsics, pose: RigidTransform, other: CameraIntrinsics
) -> np.ndarray:
    """Where (H, W, 2) in the other camera, that lies so, the pixels of a depth image come."""
    rays = pixel_rays(intrinsics).astype(np.float64)
    points = np.dstack([rays * depth[..., None], depth]) - np.array(pose.translation)
    points = points @ pose.matrix
    return project((points[..., :2] / points[..., 2:]).reshape(-1, 2), other).reshape(
        *depth.shape, 2
    )


def beyond(pixels: np.ndarray, intrinsics: CameraIntrinsics) -> np.ndarray:
    """How far pixels are outside an image; negative within."""
    x, y = pixels[..., 0], pixels[..., 1]
    return np.max([-x, x - intrinsics.width + 1, -y, y - intrinsics.height + 1], axis=0)


@pytest.mark.parametrize("tof", [TOF, replace(TOF, width=500, height=400, fx=350.0, fy=350.0)])
def test_a_plane_is_the_same_plane(tof: CameraIntrinsics) -> None:
    """From fewer pixels or from more: no hole, nothing where the other camera sees nothing."""
    found = register_depth(seen_by(tof, ASIDE, NORMAL, DISTANCE), tof, CAMERA, ASIDE)
    expected = plane_depth(CAMERA)
    known = np.isfinite(found)
    np.testing.assert_allclose(found[known], expected[known], rtol=2e-6)
    outside = beyond(pixels_in(expected, CAMERA, ASIDE, tof), tof)
    np.testing.assert_array_equal(
        known[np.abs(outside) > 0.01], (outside < 0.0)[np.abs(outside) > 0.01]
    )
    assert 0.2 < known.mean() < 0.999


@pytest.mark.parametrize(
    ("model", "coefficients", "tof_model", "tof_coefficients"),
    [
        ("plumb_bob", (-0.2, 0.05, 0.001, -0.002, 0.0), "", ()),
        ("equidistant", (0.05, -0.01, 0.002, 0.001), "plumb_bob", (0.1, -0.03, 0.0, 0.001, 0.0)),
        ("", (), "equidistant", (0.02, 0.01, 0.0, 0.0)),
    ],
)
def test_lenses_may_distort(
    model: str, coefficients: tuple[float, ...], tof_model: str, tof_coefficients: tuple[float, ...]
) -> None:
    camera = replace(CAMERA, distortion_model=model, distortion=coefficients)
    tof = replace(
        TOF, width=128, height=100, distortion_model=tof_model, distortion=tof_coefficients
    )
    found = register_depth(seen_by(tof, ASIDE, NORMAL, DISTANCE), tof, camera, ASIDE)
    expected = plane_depth(camera)
    known = np.isfinite(found)
    # Between the pixels of the depth camera its distortion is not linear.
    np.testing.assert_allclose(found[known], expected[known], rtol=5e-5)
    outside = beyond(pixels_in(expected, camera, ASIDE, tof), tof)
    assert known[outside < -0.1].all()
    assert not known[outside > 0.1].any()
    # It matters: without the distortion it is another plane.
    straight = register_depth(seen_by(tof, ASIDE, NORMAL, DISTANCE), tof, CAMERA, ASIDE)
    if model:
        assert np.nanmax(np.abs(straight - expected)) > 1e-3


def test_on_the_same_grid_nothing_changes() -> None:
    depth = plane_depth(CAMERA).astype(np.float32)
    depth[40:50, 60:70] = np.nan
    depth[0, 0] = np.inf
    found = register_depth(depth, CAMERA, CAMERA, RigidTransform())
    known = np.isfinite(depth)
    np.testing.assert_array_equal(np.isfinite(found), known)
    np.testing.assert_allclose(found[known], depth[known], rtol=1e-5)


class TestOcclusion:
    """A square in front of a wall, seen by a depth camera 0.2 m to the right."""

    camera = CameraIntrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
    aside = RigidTransform((0.2, 0.0, 0.0))
    wall, near, half = 2.0, 1.0, 0.2

    def on_square(self, centre: float, scale: float) -> np.ndarray:
        """Pixels whose ray meets a square of this half side [m], the camera being at `centre`."""
        rays = pixel_rays(self.camera) * self.near + (centre, 0.0)
        return np.abs(rays).max(axis=-1) < self.half * scale

    def registered(self) -> FloatImage:
        depth = np.where(self.on_square(0.2, 1.0), self.near, self.wall).astype(np.float32)
        return register_depth(depth, self.camera, self.camera, self.aside)

    def test_the_nearest_wins(self) -> None:
        found = self.registered()
        inner = cv2.erode(self.on_square(0.0, 1.0).astype(np.uint8), np.ones((5, 5))) > 0
        np.testing.assert_allclose(found[inner], self.near, rtol=1e-6)

    def test_what_the_depth_camera_cannot_see_is_not_known(self) -> None:
        found = self.registered()
        # The square hides a part of the wall from the depth camera; as the camera sees the wall:
        x = (pixel_rays(self.camera)[..., 0] * self.wall - 0.2) / self.wall + 0.2
        y = pixel_rays(self.camera)[..., 1]
        hidden = (np.abs(x) < self.half) & (np.abs(y) < self.half)
        shadow = hidden & ~self.on_square(0.0, 1.0)
        assert shadow.sum() > 500
        deep = cv2.erode(shadow.astype(np.uint8), np.ones((5, 5))) > 0
        assert np.isnan(found[deep]).all()
        covered = cv2.dilate((hidden | self.on_square(0.0, 1.0)).astype(np.uint8), np.ones((5, 5)))
        rays = pixel_rays(self.camera)[..., 0]
        in_view = np.abs(rays - 0.1) < (79.0 / 150.0)
        wall = (covered == 0) & in_view
        np.testing.assert_allclose(found[wall], self.wall, rtol=1e-6)

    def test_nothing_goes_from_edge_to_edge(self) -> None:
        values = np.unique(np.round(self.registered()[np.isfinite(self.registered())], 4))
        np.testing.assert_allclose(values, [self.near, self.wall])


def test_steps_are_surfaces_up_to_a_share_of_the_depth() -> None:
    depth = np.full((120, 160), 2.0, np.float32)
    depth[:, 80:] = 2.08
    wide = replace(CAMERA, width=320, height=240, fx=300.0, fy=304.0, cx=161.5, cy=116.5)
    joined = register_depth(depth, CAMERA, wide, RigidTransform())
    torn = register_depth(depth, CAMERA, wide, RigidTransform(), max_step=0.03)
    between = slice(159, 163)
    assert np.isfinite(joined[100, between]).all()
    assert np.isnan(torn[100, between]).any()


def test_what_is_behind_the_camera_or_beside_it_is_not_seen() -> None:
    depth = plane_depth(TOF).astype(np.float32)
    turned = RigidTransform((0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0))
    assert np.isnan(register_depth(depth, TOF, CAMERA, turned)).all()
    assert np.isnan(register_depth(depth, TOF, CAMERA, RigidTransform((50.0, 0, 0)))).all()
    # A polynomial that turns back must not bring them in again.
    bent = replace(CAMERA, distortion_model="plumb_bob", distortion=(-0.3, 0.0, 0.0, 0.0, 0.0))
    assert np.isnan(register_depth(depth, TOF, bent, RigidTransform((9.0, 0, 0)))).all()


def test_nothing_known_is_nothing_known() -> None:
    empty = np.full((50, 64), np.nan, np.float32)
    found = register_depth(empty, TOF, CAMERA, ASIDE)
    assert found.shape == (120, 160)
    assert found.dtype == np.float32
    assert np.isnan(found).all()


def test_refuses_a_depth_image_of_another_size() -> None:
    with pytest.raises(CalibrationError, match="64x49 px, camera intrinsics are for 64x50"):
        register_depth(np.ones((49, 64), np.float32), TOF, CAMERA, ASIDE)
    odd = replace(CAMERA, distortion_model="odd", distortion=(0.1, 0, 0, 0, 0))
    with pytest.raises(CalibrationError, match="distortion model 'odd' is not known"):
        register_depth(np.ones((50, 64), np.float32), TOF, odd, ASIDE)
