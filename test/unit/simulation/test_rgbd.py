import math

import numpy as np
import pytest

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation import RenderOptions, Scene, render_rgbd, render_stack
from focdepth_ros.stack import Lens

QUIET = RenderOptions(full_well=math.inf, read_noise=0.0)
DISTANCES = (0.6, 1.0, 3.0)


def test_agrees_with_the_scene_that_was_photographed(room: Scene, lens: Lens) -> None:
    scene = render_stack(room, lens, DISTANCES, options=QUIET)
    photo = render_rgbd(
        scene.all_in_focus, scene.depth, room.intrinsics, lens, DISTANCES, options=QUIET
    )
    assert np.array_equal(photo.depth, scene.depth)
    assert photo.stack.intrinsics == room.intrinsics
    # The border is continued by repetition, and what is hidden is guessed.
    inner = (slice(12, -12), slice(12, -12))
    for a, b in zip(photo.stack.slices, scene.stack.slices, strict=True):
        error = np.abs(a.image[inner].astype(int) - b.image[inner])
        assert error.mean() < 1.0
        assert np.percentile(error, 99) < 12


def test_sharp_foreground_is_not_mixed_with_blurred_background(card: Scene, lens: Lens) -> None:
    scene = render_stack(card, lens, (0.8, 2.0), options=QUIET)
    photo = render_rgbd(scene.all_in_focus, scene.depth, None, lens, (0.8, 2.0), options=QUIET)
    np.testing.assert_allclose(photo.light[0], scene.light[0], atol=0.01)
    # A blurred card over the sharp wall: the wall is continued behind it.
    np.testing.assert_allclose(photo.light[1], scene.light[1], atol=0.01)


def test_unknown_depth_is_unknown_in_the_truth_and_rendered_as_its_surroundings(
    lens: Lens,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    depth = np.full((60, 80), 2.0, dtype=np.float32)
    whole = render_rgbd(image, depth, None, lens, (1.0, 2.0), options=QUIET)
    depth[20:30, 30:40] = np.nan
    depth[40:50, 10:20] = 0.0
    found = render_rgbd(image, depth, None, lens, (1.0, 2.0), options=QUIET)
    assert np.array_equal(np.isnan(found.depth), ~(depth > 0.0))
    for a, b in zip(found.light, whole.light, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_infinite_depth_is_sharp_at_infinity(lens: Lens) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    depth = np.full((60, 80), np.inf, dtype=np.float32)
    depth[:, :20] = 1.0
    found = render_rgbd(image, depth, None, lens, (1.0, math.inf), options=QUIET)
    assert np.array_equal(found.stack.slices[1].image[:, 40:], image[:, 40:])
    assert found.stack.slices[0].image[:, 40:].std() < 0.6 * image[:, 40:].std()
    assert np.array_equal(found.depth, depth)


def test_textureless_is_what_has_no_contrast(lens: Lens) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    image[:, :40] = 120
    depth = np.ones((60, 80), dtype=np.float32)
    found = render_rgbd(image, depth, None, lens, (1.0, 2.0)).textureless
    assert np.all(found[:, :34])
    assert not np.any(found[:, 45:])


@pytest.mark.parametrize(
    ("image", "depth", "message"),
    [
        (np.zeros((4, 5), np.uint8), np.ones((4, 5)), r"image is uint8 \(4, 5\)"),
        (np.zeros((4, 5, 3)), np.ones((4, 5)), "image is float64"),
        (np.zeros((4, 5, 3), np.uint8), np.ones((5, 4)), r"depth map has shape \(5, 4\)"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5)), "no value above 0"),
        (np.zeros((4, 5, 3), np.uint8), np.full((4, 5), np.nan), "no value above 0"),
    ],
)
def test_bad_input_is_named(image, depth, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        render_rgbd(image, depth)
