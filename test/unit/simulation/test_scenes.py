import numpy as np
import pytest

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation import Part, Scene
from focdepth_ros.simulation.primitives import Rectangle, Sphere, rotation
from focdepth_ros.stack import CameraIntrinsics

WHITE = np.ones(3, dtype=np.float32)


def _slopes(camera: CameraIntrinsics) -> tuple[np.ndarray, np.ndarray]:
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    y = (np.arange(camera.height) - camera.cy) / camera.fy
    return x[None, :], y[:, None]


class TestView:
    def test_depth_of_a_slanted_plane_is_exact(self, camera: CameraIntrinsics) -> None:
        plane = Rectangle((0.0, 0.0, 2.0), (np.inf, np.inf), orientation=rotation(0.5, 0.2))
        view = Scene((Part(plane, WHITE),), camera).view()
        x, y = _slopes(camera)
        normal = plane.orientation[:, 2].astype(np.float64)
        expected = 2.0 * normal[2] / (normal[0] * x + normal[1] * y + normal[2])
        np.testing.assert_allclose(view.depth, expected, rtol=1e-5)

    def test_depth_of_a_ball_is_exact(self, camera: CameraIntrinsics) -> None:
        centre, radius = np.array([0.1, -0.05, 1.0]), 0.2
        view = Scene((Part(Sphere((0.1, -0.05, 1.0), radius), WHITE),), camera).view()
        x, y = np.broadcast_arrays(*_slopes(camera))
        ray = np.stack([x, y, np.ones_like(x)], axis=-1)
        a, b = np.sum(ray * ray, axis=-1), ray @ centre
        root = b * b - a * (centre @ centre - radius**2)
        expected = np.where(root > 0.0, (b - np.sqrt(np.maximum(root, 0.0))) / a, np.inf)
        sure = np.abs(root) > 1e-5
        np.testing.assert_allclose(view.depth[sure], expected[sure], rtol=1e-4)
        assert np.array_equal(view.part == 0, np.isfinite(view.depth))
        assert np.all(view.part[np.isinf(view.depth)] == -1)

    def test_the_nearest_part_is_seen(self, card: Scene) -> None:
        view = card.view()
        rows, columns = np.nonzero(view.part == 1)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 79, 56, 103)
        assert rows.size == 48 * 40
        assert np.all(view.depth[view.part == 1] == np.float32(0.8))
        assert np.all(view.depth[view.part == 0] == np.float32(2.0))

    def test_plain_parts_are_textureless(self, room: Scene) -> None:
        view = room.view()
        assert np.array_equal(view.textureless, view.part == 2)
        assert 0.01 < view.textureless.mean() < 0.5

    def test_moved_camera_sees_parallax(self, card: Scene) -> None:
        # 20 mm aside shifts by fx * 0.02 / Z = 5 px at 0.8 m and 2 px at 2 m.
        columns = np.nonzero((card.view((0.02, 0.0, 0.0)).part == 1).any(axis=0))[0]
        assert (columns.min(), columns.max()) == (51, 98)


class TestLayeredView:
    def test_behind_the_front_is_what_it_hides(self, card: Scene) -> None:
        layers = card.layered_view()
        inside = card.view().part == 1
        np.testing.assert_allclose(layers.front_dioptre[inside], 1.25, rtol=1e-5)
        np.testing.assert_allclose(layers.back_dioptre[inside], 0.5, rtol=1e-5)
        assert np.all(layers.back[inside] == np.float32([0.0, 0.8, 0.0]))
        assert np.all(layers.coverage == 1.0)

    def test_a_pixel_on_an_edge_is_covered_in_part(self, camera: CameraIntrinsics) -> None:
        # The card ends in the middle of column 100: half of its rays pass by.
        x = (100.0 - camera.cx) / camera.fx
        wall = Part(Rectangle((0.0, 0.0, 2.0), (np.inf, np.inf)), np.float32([0.0, 0.5, 0.0]))
        card = Part(Rectangle((x - 1.0, 0.0, 1.0), (2.0, 9.0)), np.float32([0.5, 0.0, 0.0]))
        scene = Scene((wall, card), camera, light=(0.0, 0.0, -1.0))
        layers = scene.layered_view()
        assert np.all(layers.coverage[:, 100] == 0.5)
        np.testing.assert_allclose(layers.front_dioptre[:, 100], 1.0, rtol=1e-5)
        image = layers.all_in_focus()
        np.testing.assert_allclose(image[60, 99:102, 0], [0.5, 0.25, 0.0], atol=1e-6)
        np.testing.assert_allclose(image[60, 99:102, 1], [0.0, 0.25, 0.5], atol=1e-6)

    def test_margin_continues_the_picture(self, room: Scene) -> None:
        plain, wide = room.layered_view(), room.layered_view(8)
        assert wide.front.shape == (136, 176, 3)
        np.testing.assert_allclose(wide.all_in_focus(), plain.all_in_focus(), atol=2e-3)

    def test_where_nothing_is_there_is_sky(self, camera: CameraIntrinsics) -> None:
        ball = Part(Sphere((0.0, 0.0, 1.0), 0.1), WHITE)
        layers = Scene((ball,), camera, sky=(0.1, 0.2, 0.3)).layered_view()
        np.testing.assert_allclose(layers.front[0, 0], [0.1, 0.2, 0.3], rtol=1e-6)
        assert layers.front_dioptre[0, 0] == 0.0


def test_distorted_camera_is_refused() -> None:
    bent = CameraIntrinsics(160, 120, 200, 200, 80, 60, "plumb_bob", (0.1, 0, 0, 0, 0))
    with pytest.raises(OptionError, match="simulated cameras are pinholes"):
        Scene((), bent)
