import dataclasses

import numpy as np
import pytest

from focdepth_ros.errors import CalibrationError, OptionError
from focdepth_ros.optics import circle_of_confusion
from focdepth_ros.simulation import Part, Scene
from focdepth_ros.simulation.defocus import DefocusRenderer
from focdepth_ros.simulation.layers import LayeredView, crop
from focdepth_ros.simulation.primitives import Rectangle, rotation
from focdepth_ros.stack import CameraIntrinsics, FloatImage, Lens


def _flat(front: np.ndarray, dioptre: float) -> LayeredView:
    front = front.astype(np.float32)
    depth = np.full(front.shape[:2], dioptre, dtype=np.float32)
    return LayeredView(front, front, depth, depth, np.ones_like(depth))


def _render(scene: Scene, lens: Lens, focus: float) -> FloatImage:
    margin = 16
    view = scene.layered_view(margin)
    return crop(DefocusRenderer(view, lens, (focus,)).render(focus), margin)


def _reference(scene: Scene, lens: Lens, focus: float, samples: int = 100) -> FloatImage:
    """The mean of what points all over the aperture see (Haeberli and Akeley 1990)."""
    aperture = lens.focal_length / lens.f_number / 2.0
    index = np.arange(samples) + 0.5
    radius, angle = aperture * np.sqrt(index / samples), index * np.pi * (3.0 - np.sqrt(5.0))
    camera = scene.intrinsics
    rays = np.empty((2 * camera.height, 2 * camera.width, 2), dtype=np.float32)
    rays[..., 0] = ((np.arange(2 * camera.width) + 0.5) / 2 - 0.5 - camera.cx) / camera.fx
    rows = (np.arange(2 * camera.height) + 0.5) / 2 - 0.5
    rays[..., 1] = ((rows - camera.cy) / camera.fy)[:, None]
    total = np.zeros((*rays.shape[:2], 3))
    for x, y in zip(radius * np.cos(angle), radius * np.sin(angle), strict=True):
        towards_focus = rays - np.array([x / focus, y / focus], dtype=np.float32)
        total += scene.trace(towards_focus, (float(x), float(y), 0.0))
    mean = total.reshape(camera.height, 2, camera.width, 2, 3).mean(axis=(1, 3)) / samples
    return mean.astype(np.float32)


@pytest.mark.parametrize("focus", [0.6, pytest.param(3.0, marks=pytest.mark.slow)])
def test_agrees_with_tracing_rays_through_the_whole_aperture(
    room: Scene, camera: CameraIntrinsics, focus: float
) -> None:
    # The camera's fx in pixels is the image distance of this focus, f / (1 - f / Z_f).
    f = 0.02
    lens = Lens(f, f_number=0.8, pixel_pitch=f / (1.0 - f / focus) / camera.fx)
    found, expected = _render(room, lens, focus), _reference(room, lens, focus)
    error = np.abs(found - expected)
    assert error.mean() < 0.003
    assert np.percentile(error, 99) < 0.03
    sharp = np.abs(room.layered_view().all_in_focus() - expected)
    assert error.mean() < 0.25 * sharp.mean()


class TestPointSpread:
    @pytest.mark.parametrize("psf", ["disc", "gaussian"])
    @pytest.mark.parametrize("dioptre", [0.3, 0.9, 1.4, 3.0])
    def test_energy_stays_and_its_spread_is_the_circle_of_confusion(
        self, lens: Lens, psf, dioptre: float
    ) -> None:
        point = np.zeros((61, 61, 3))
        point[30, 30] = 1.0
        image = DefocusRenderer(_flat(point, dioptre), lens, (1.0,), psf=psf).render(1.0)[..., 0]
        assert image.sum() == pytest.approx(1.0, abs=1e-4)
        rows = np.arange(61) - 30.0
        for axis in (0, 1):
            variance = float(image.sum(axis=axis).astype(np.float64) @ rows**2)
            diameter = float(circle_of_confusion(lens, 1.0 / dioptre, 1.0))
            # A disc of diameter c has the variance c² / 16 along each axis.
            assert 4.0 * np.sqrt(variance) == pytest.approx(diameter, rel=0.02)

    def test_in_focus_is_the_pinhole_image(self, lens: Lens) -> None:
        picture = np.random.default_rng(0).uniform(0.0, 1.0, (40, 50, 3))
        image = DefocusRenderer(_flat(picture, 0.5), lens, (2.0,)).render(2.0)
        np.testing.assert_allclose(image, picture, atol=1e-6)

    def test_blur_between_bins_is_interpolated(self, lens: Lens) -> None:
        # Two halves of one picture at depths far apart set the bins; the point lies in between.
        spreads = []
        for dioptre in (1.30, 1.33, 1.36, 1.39, 1.42):
            point = np.zeros((61, 61, 3))
            point[30, 30] = 1.0
            view = _flat(point, dioptre)
            view.front_dioptre[:, :2] = 0.2
            view.front_dioptre[:, -2:] = 3.0
            image = DefocusRenderer(view, lens, (1.0,)).render(1.0)[..., 0].astype(np.float64)
            offset = np.arange(61) - 30.0
            spreads.append(4.0 * np.sqrt(image.sum(axis=0) @ offset**2 / image.sum()))
        expected = circle_of_confusion(lens, 1.0 / np.array([1.30, 1.33, 1.36, 1.39, 1.42]), 1.0)
        np.testing.assert_allclose(spreads, expected, rtol=0.06)


class TestOcclusion:
    """A red card at 0.8 m, rows 40 to 79, columns 56 to 103, before a green wall at 2 m."""

    def test_blurred_wall_does_not_show_through_a_sharp_card(self, card: Scene, lens: Lens) -> None:
        image = _render(card, lens, 0.8)
        assert circle_of_confusion(lens, 2.0, 0.8) > 3.0
        inside = card.view().part == 1
        np.testing.assert_allclose(image[inside, 0], 0.8, atol=1e-5)
        np.testing.assert_allclose(image[inside, 1], 0.0, atol=1e-5)
        # Nor does the card's colour get into the wall's blur.
        np.testing.assert_allclose(image[~inside, 0], 0.0, atol=1e-5)
        np.testing.assert_allclose(image[~inside, 1], 0.8, atol=1e-5)

    def test_blurred_card_lets_the_sharp_wall_through_at_its_edge_only(
        self, card: Scene, lens: Lens
    ) -> None:
        image = _render(card, lens, 2.0)
        radius = 0.5 * float(circle_of_confusion(lens, 0.8, 2.0))
        red, green = image[60, :, 0] / 0.8, image[60, :, 1] / 0.8
        np.testing.assert_allclose(red + green, 1.0, atol=1e-4)
        distance = np.abs(np.arange(160) - 79.5) - 24.0  # beyond the edge, px
        np.testing.assert_allclose(red[distance < -radius - 0.6], 1.0, atol=1e-4)
        np.testing.assert_allclose(red[distance > radius + 0.6], 0.0, atol=1e-4)
        # Half a pixel off a straight edge a disc is covered by 1/2 -+ (area of a strip).
        strip = (0.5 * np.sqrt(radius**2 - 0.25) + radius**2 * np.arcsin(0.5 / radius)) / (
            np.pi * radius**2
        )
        assert red[103] == pytest.approx(0.5 + strip, abs=0.03)
        assert red[104] == pytest.approx(0.5 - strip, abs=0.03)

    @pytest.mark.parametrize("focus", [0.5, 1.0, 4.0])
    def test_slanted_surface_has_no_seams(
        self, camera: CameraIntrinsics, lens: Lens, focus: float
    ) -> None:
        plane = Rectangle((0.0, 0.0, 1.2), (np.inf, np.inf), orientation=rotation(1.0))
        scene = Scene((Part(plane, np.full(3, 0.5, np.float32)),), camera, light=(0.0, -1.0, 0.0))
        image = _render(scene, lens, focus)
        np.testing.assert_allclose(image, image[0, 0, 0], atol=1e-5)


class TestBadInput:
    def test_unknown_point_spread_function(self, lens: Lens) -> None:
        view = _flat(np.zeros((8, 8, 3)), 1.0)
        with pytest.raises(OptionError, match="'star' is not known; use disc or gaussian"):
            DefocusRenderer(view, lens, (1.0,), psf="star")  # type: ignore[arg-type]

    def test_more_blur_than_can_be_rendered(self, lens: Lens) -> None:
        large = dataclasses.replace(lens, pixel_pitch=1e-6)
        with pytest.raises(OptionError, match=r"blur of .* px radius is beyond the 64 px"):
            DefocusRenderer(_flat(np.zeros((8, 8, 3)), 2.0), large, (1.0,))

    def test_focus_within_the_focal_length(self, lens: Lens) -> None:
        with pytest.raises(CalibrationError, match="not beyond the focal length"):
            DefocusRenderer(_flat(np.zeros((8, 8, 3)), 2.0), lens, (0.01,))
