import dataclasses
import math

import cv2
import numpy as np
import pytest

from focdepth_ros.colour import linear_from_srgb
from focdepth_ros.errors import CalibrationError, OptionError, StackError
from focdepth_ros.simulation import Part, RenderOptions, Scene, render_stack
from focdepth_ros.simulation.primitives import Rectangle
from focdepth_ros.stack import CameraIntrinsics, Lens

DISTANCES = (0.6, 1.0, 2.0)
QUIET = RenderOptions(full_well=math.inf, read_noise=0.0)


def _wall(camera: CameraIntrinsics, colour: float, depth: float = 1.0) -> Scene:
    wall = Rectangle((0.0, 0.0, depth), (np.inf, np.inf))
    paint = np.full(3, colour, dtype=np.float32)
    return Scene((Part(wall, paint),), camera, light=(0.0, 0.0, -1.0))


def _light_of_red(light: np.ndarray) -> tuple[float, float, float]:
    """Amount of red light and the centre of it, column and row."""
    red = light[..., 0].astype(np.float64)
    rows, columns = np.indices(red.shape)
    return red.sum(), (columns * red).sum() / red.sum(), (rows * red).sum() / red.sum()


class TestStack:
    def test_holds_the_sweep_near_to_far_whatever_the_order(self, room: Scene, lens: Lens) -> None:
        found = render_stack(room, lens, (2.0, 0.6, math.inf), reference=1, options=QUIET)
        slices = found.stack.slices
        assert [s.focus_distance for s in slices] == [0.6, 2.0, math.inf]
        assert [s.stamp for s in slices] == [33_333_333, 0, 66_666_667]
        assert [s.lens_position for s in slices] == [pytest.approx(1 / 0.6), 0.5, 0.0]
        assert found.stack.reference == 0
        assert found.stack.lens == lens
        assert found.stack.intrinsics == room.intrinsics
        for item, light in zip(slices, found.light, strict=True):
            assert item.image.dtype == np.uint8
            assert np.abs(linear_from_srgb(item.image) - np.clip(light, 0, 1)).max() < 0.006

    def test_ground_truth_is_that_of_the_scene(self, room: Scene, lens: Lens) -> None:
        found = render_stack(room, lens, DISTANCES)
        view = room.view()
        assert found.depth.dtype == np.float32
        assert np.array_equal(found.depth, view.depth)
        assert np.array_equal(found.textureless, view.textureless)

    def test_what_is_in_focus_is_as_in_the_all_in_focus_image(
        self, room: Scene, lens: Lens
    ) -> None:
        distances = tuple(1.0 / d for d in np.linspace(2.0, 0.3, 18))
        found = render_stack(room, lens, distances, options=QUIET)
        dioptre = 1.0 / found.depth
        # Well inside the parts, where nothing else blurs into the picture.
        edges = cv2.dilate(cv2.morphologyEx(dioptre, cv2.MORPH_GRADIENT, np.ones((3, 3))), None)
        calm = cv2.dilate((edges > 0.1).astype(np.uint8), np.ones((21, 21))) == 0
        checked = 0
        for item in found.stack.slices:
            sharp = calm & (np.abs(dioptre - item.dioptre) < 0.03)
            error = np.abs(item.image.astype(int) - found.all_in_focus)[sharp]
            checked += np.count_nonzero(sharp)
            assert error.size == 0 or error.max() <= 3
        assert checked > 1500

    def test_same_seed_same_pictures(self, room: Scene, lens: Lens) -> None:
        options = RenderOptions(shake_translation=1.0, flicker=0.05)
        one, same, other = (
            render_stack(room, lens, DISTANCES, options=options, seed=s) for s in (4, 4, 5)
        )
        for a, b, c in zip(one.stack.slices, same.stack.slices, other.stack.slices, strict=True):
            assert np.array_equal(a.image, b.image)
            assert not np.array_equal(a.image, c.image)

    def test_exposed_again_has_the_same_light_and_other_noise(
        self, room: Scene, lens: Lens
    ) -> None:
        found = render_stack(room, lens, DISTANCES)
        again = found.expose(1)
        assert np.array_equal(again.dioptres, found.stack.dioptres)
        for a, b in zip(found.stack.slices, again.slices, strict=True):
            difference = a.image.astype(int) - b.image
            assert difference.any()
            assert abs(difference.mean()) < 0.1
        assert np.array_equal(found.expose(1).slices[0].image, again.slices[0].image)

    def test_gaussian_differs_from_disc(self, room: Scene, lens: Lens) -> None:
        gaussian = dataclasses.replace(QUIET, psf="gaussian")
        disc = render_stack(room, lens, DISTANCES, options=QUIET).light[0]
        other = render_stack(room, lens, DISTANCES, options=gaussian).light[0]
        assert 1e-4 < np.abs(disc - other).mean() < 0.02


class TestSensor:
    @pytest.mark.parametrize(("colour", "full_well", "read"), [(0.5, 400.0, 0.0), (0.1, 900, 25.0)])
    def test_noise_is_that_of_electrons(
        self, camera: CameraIntrinsics, lens: Lens, colour: float, full_well: float, read: float
    ) -> None:
        options = RenderOptions(full_well=full_well, read_noise=read)
        found = render_stack(_wall(camera, colour), lens, DISTANCES, options=options)
        recorded = linear_from_srgb(found.stack.slices[1].image)
        electrons = colour * full_well
        expected = math.sqrt(electrons + read**2) / full_well
        assert float(recorded.mean()) == pytest.approx(colour, rel=0.01)
        assert float(recorded.std()) == pytest.approx(expected, rel=0.03)

    def test_exposure_scales_the_light(self, camera: CameraIntrinsics, lens: Lens) -> None:
        options = dataclasses.replace(QUIET, exposure=0.5)
        found = render_stack(_wall(camera, 0.6), lens, DISTANCES, options=options)
        assert found.light[0] == pytest.approx(0.3, abs=1e-4)
        assert linear_from_srgb(found.all_in_focus) == pytest.approx(0.3, abs=0.005)

    def test_vignetting_darkens_the_corners(self, camera: CameraIntrinsics, lens: Lens) -> None:
        options = dataclasses.replace(QUIET, vignetting=0.4)
        light = render_stack(_wall(camera, 0.5), lens, DISTANCES, options=options).light[2]
        assert light[0, 0] == pytest.approx(0.3, abs=1e-4)
        assert light[59, 79] == pytest.approx(0.5, abs=1e-3)

    def test_flicker_changes_whole_slices(self, camera: CameraIntrinsics, lens: Lens) -> None:
        options = dataclasses.replace(QUIET, flicker=0.1)
        distances = tuple(np.linspace(0.5, 2.0, 12))
        found = render_stack(_wall(camera, 0.5), lens, distances, options=options, seed=2)
        levels = np.array([light.mean() for light in found.light]) / 0.5
        assert all(np.ptp(light) < 1e-5 for light in found.light)
        assert 0.05 < levels.std() < 0.2


class TestMotion:
    def test_breathing_scales_as_a_thin_lens_does(self, card: Scene, lens: Lens) -> None:
        options = dataclasses.replace(QUIET, breathing=1.0)
        found = render_stack(card, lens, (0.5, 1.0, 4.0), reference=2, options=options)
        still = render_stack(card, lens, (0.5, 1.0, 4.0), reference=2, options=QUIET)
        area, *_ = _light_of_red(still.light[2])
        for distance, light in zip((0.5, 1.0, 4.0), found.light, strict=True):
            # Image distance f / (1 - f / Z_f), against that of the reference at 4 m.
            scale = (1.0 - 0.02 / 4.0) / (1.0 - 0.02 / distance)
            found_area, column, row = _light_of_red(light)
            assert found_area == pytest.approx(area * scale**2, rel=0.003)
            assert (column, row) == (pytest.approx(79.5, abs=0.02), pytest.approx(59.5, abs=0.02))
        assert np.array_equal(found.light[2], still.light[2])

    def test_half_breathing_is_half_of_it(self, card: Scene, lens: Lens) -> None:
        def area(breathing: float) -> float:
            options = dataclasses.replace(QUIET, breathing=breathing)
            found = render_stack(card, lens, (0.5, 4.0), reference=1, options=options)
            return math.sqrt(_light_of_red(found.light[0])[0])

        still, half, full = area(0.0), area(0.5), area(1.0)
        assert half - still == pytest.approx(0.5 * (full - still), rel=0.05)

    def test_shake_moves_every_slice_but_the_reference(self, card: Scene, lens: Lens) -> None:
        options = dataclasses.replace(QUIET, shake_translation=2.0)
        distances = tuple(1.0 / np.linspace(2.0, 0.5, 16))
        found = render_stack(card, lens, distances, reference=5, options=options, seed=1)
        shifts = np.array([_light_of_red(light)[1:] for light in found.light]) - (79.5, 59.5)
        assert np.abs(shifts[5]).max() < 1e-3
        others = np.delete(shifts, 5, axis=0)
        assert np.all(np.hypot(*others.T) > 0.05)
        assert 1.2 < math.sqrt(np.mean(others**2)) < 2.8

    def test_rotation_turns_about_the_principal_point(self, card: Scene, lens: Lens) -> None:
        options = dataclasses.replace(QUIET, shake_rotation=3.0)
        found = render_stack(card, lens, (0.8, 2.0), reference=1, options=options, seed=3)
        red = (found.light[0][..., 0] > 0.4).astype(np.uint8)
        contour = max(cv2.findContours(red, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
        centre, _, angle = cv2.minAreaRect(contour)
        assert centre == (pytest.approx(79.5, abs=0.5), pytest.approx(59.5, abs=0.5))
        assert 0.5 < min(abs(angle), abs(90.0 - angle)) < 10.0


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"psf": "star"}, "psf 'star' is not known"),
            ({"full_well": 0.0}, "full_well is 0.0; it must be above 0"),
            ({"exposure": math.nan}, "exposure is nan"),
            ({"frame_rate": -1.0}, "frame_rate is -1.0"),
            ({"read_noise": -1.0}, "read_noise is -1.0; it must be 0 or more"),
            ({"shake_translation": math.inf}, "shake_translation is inf"),
            ({"breathing": math.nan}, "breathing is nan"),
            ({"vignetting": 1.0}, "vignetting is 1.0; it must be in"),
        ],
    )
    def test_options_out_of_range_are_named(self, options: dict, message: str) -> None:
        with pytest.raises(OptionError, match=message):
            RenderOptions(**options)

    @pytest.mark.parametrize(
        "motion", [{"shake_translation": 1e6}, {"shake_rotation": 1e6}, {"breathing": 1e9}]
    )
    def test_motion_that_leaves_the_scene(self, room: Scene, lens: Lens, motion: dict) -> None:
        with pytest.raises(OptionError, match="move the image by more than its own size"):
            render_stack(room, lens, DISTANCES, options=RenderOptions(**motion))

    def test_reference_beyond_the_sweep(self, room: Scene, lens: Lens) -> None:
        with pytest.raises(OptionError, match=r"reference slice 3 is not in 0\.\.2"):
            render_stack(room, lens, DISTANCES, reference=3)

    @pytest.mark.parametrize("distance", [0.01, 0.0, -1.0, math.nan])
    def test_focus_distance_that_no_lens_has(
        self, room: Scene, lens: Lens, distance: float
    ) -> None:
        with pytest.raises(CalibrationError, match="not beyond the focal length"):
            render_stack(room, lens, (1.0, distance))

    def test_one_slice_is_no_stack(self, room: Scene, lens: Lens) -> None:
        with pytest.raises(StackError, match="at least 2 slices"):
            render_stack(room, lens, (1.0,))

    def test_no_slice_at_all(self, room: Scene, lens: Lens) -> None:
        with pytest.raises(OptionError, match="no focus distance"):
            render_stack(room, lens, ())
