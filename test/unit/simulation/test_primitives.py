import numpy as np
import pytest

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.primitives import (
    Box,
    Cylinder,
    Primitive,
    Rectangle,
    Sphere,
    rotation,
    rotation_onto,
)

TURN = rotation(0.7, -0.4, 1.1)
SOLIDS = (
    Box((0.1, -0.05, 1.2), (0.4, 0.3, 0.5), orientation=TURN),
    Sphere((-0.1, 0.1, 0.9), 0.3, orientation=TURN),
    Cylinder((0.05, 0.0, 1.1), 0.15, 0.6, orientation=TURN),
    Cylinder((0.0, 0.1, 1.0), 0.3, 0.05, orientation=rotation(0.0, 1.2)),
)


def _slopes(width: int = 60, height: int = 50, reach: float = 0.5) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-reach, reach, width), np.linspace(-reach, reach, height))
    return np.stack([x, y], axis=-1).astype(np.float32)


def _inside(solid: Primitive, points: np.ndarray) -> np.ndarray:
    local = (points - np.asarray(solid.centre)) @ solid.orientation.astype(np.float64)
    if isinstance(solid, Box):
        return np.all(np.abs(local) <= np.asarray(solid.size) / 2, axis=-1)
    if isinstance(solid, Sphere):
        return np.linalg.norm(local, axis=-1) <= solid.radius
    assert isinstance(solid, Cylinder)
    radial = np.hypot(local[..., 0], local[..., 2])
    return (radial <= solid.radius) & (np.abs(local[..., 1]) <= solid.length / 2)


@pytest.mark.parametrize("solid", SOLIDS, ids=lambda s: type(s).__name__)
class TestSolids:
    def test_rays_meet_the_solid_where_they_enter_it(self, solid: Primitive) -> None:
        origin = (0.02, -0.03, 0.05)
        slopes = _slopes()
        found = solid.intersect(slopes, origin)
        # March along every ray in small steps and note the first point that lies inside.
        steps = np.linspace(0.2, 2.0, 1801)
        rays = np.concatenate([slopes, np.ones_like(slopes[..., :1])], axis=-1).astype(np.float64)
        marched = np.full(found.shape, np.inf)
        for z in steps[::-1]:
            marched[_inside(solid, rays * z + origin)] = z
        both = np.isfinite(found) & np.isfinite(marched)
        assert np.count_nonzero(both) > 400
        # Between two steps a ray may graze an edge unnoticed.
        assert np.count_nonzero(np.isfinite(found) != np.isfinite(marched)) < 15
        error = marched[both] - found[both]
        assert error.max() < 1.1e-3
        assert error.min() > -1e-4

    def test_surface_points_have_normals_across_the_surface(self, solid: Primitive) -> None:
        slopes = _slopes()
        depth = solid.intersect(slopes, (0.0, 0.0, 0.0))
        hit = np.isfinite(depth)
        rays = np.concatenate([slopes, np.ones_like(slopes[..., :1])], axis=-1)
        points = rays[hit] * depth[hit][:, None]
        coordinates, normals = solid.surface(points)
        assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0, abs=1e-3)
        step = 2e-3 * normals
        inner, outer = _inside(solid, points - step), _inside(solid, points + step)
        assert np.mean(inner != outer) > 0.97  # not at edges, where a step ends beside
        # Unrolled without stretching: a step along the surface is as long in coordinates.
        rng = np.random.default_rng(0)
        along = np.cross(normals, rng.standard_normal(3))
        along *= 1e-3 / np.linalg.norm(along, axis=1, keepdims=True)
        moved, _ = solid.surface((points + along).astype(np.float32))
        length = np.linalg.norm(moved - coordinates, axis=1)
        if not isinstance(solid, Sphere):  # which cannot be unrolled
            assert np.median(length) == pytest.approx(1e-3, rel=0.05)

    def test_lies_within_its_corners(self, solid: Primitive) -> None:
        slopes = _slopes(reach=1.0)
        depth = solid.intersect(slopes, (0.0, 0.0, 0.0))
        hit = np.isfinite(depth)
        corners = solid.corners()
        assert corners is not None
        seen = corners[:, :2] / corners[:, 2:]
        assert np.all(slopes[hit].min(axis=0) >= seen.min(axis=0) - 1e-6)
        assert np.all(slopes[hit].max(axis=0) <= seen.max(axis=0) + 1e-6)
        assert depth[hit].min() >= corners[:, 2].min() - 1e-6


class TestRectangle:
    def test_depth_is_that_of_the_plane(self) -> None:
        plane = Rectangle((0.1, -0.2, 2.0), (np.inf, np.inf), orientation=rotation(0.4, -0.2))
        slopes = _slopes()
        depth = plane.intersect(slopes, (0.0, 0.0, 0.0))
        normal = plane.orientation[:, 2].astype(np.float64)
        expected = normal @ np.asarray(plane.centre) / (slopes @ normal[:2] + normal[2])
        np.testing.assert_allclose(depth, expected, rtol=1e-5)
        assert plane.corners() is None

    def test_has_the_size_given(self) -> None:
        patch = Rectangle((0.0, 0.0, 1.0), (0.5, 0.2))
        slopes = _slopes(101, 101)
        hit = np.isfinite(patch.intersect(slopes, (0.0, 0.0, 0.0)))
        assert np.array_equal(
            hit, (np.abs(slopes[..., 0]) <= 0.25) & (np.abs(slopes[..., 1]) <= 0.1)
        )

    def test_behind_the_camera_is_not_seen(self) -> None:
        patch = Rectangle((0.0, 0.0, -1.0), (np.inf, np.inf))
        assert np.all(np.isinf(patch.intersect(_slopes(), (0.0, 0.0, 0.0))))


@pytest.mark.parametrize("axis", [(0.0, 1.0, 0.0), (1.0, 2.0, -3.0), (0.0, 0.0, -1.0)])
def test_rotation_onto_takes_y_onto_the_axis(axis) -> None:
    turn = rotation_onto(axis)
    np.testing.assert_allclose(turn[:, 1], np.asarray(axis) / np.linalg.norm(axis), atol=1e-6)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(turn) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sphere((0.0, 0.0, 1.0), 0.0),
        lambda: Sphere((0.0, 0.0, 1.0), np.inf),
        lambda: Box((0.0, 0.0, 1.0), (0.1, -0.2, 0.1)),
        lambda: Cylinder((0.0, 0.0, 1.0), 0.1, np.nan),
        lambda: Rectangle((0.0, 0.0, 1.0), (0.1, 0.0)),
    ],
)
def test_impossible_sizes_are_named(make) -> None:
    with pytest.raises(OptionError, match=r"has a size of .* m; sizes are metres above 0"):
        make()
