import numpy as np
import pytest

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation import random_scene
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import CameraIntrinsics

SEEDS = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + 12)
QUICK = 4  # of them in `make test`


def test_the_same_seed_makes_the_same_scene(camera: CameraIntrinsics) -> None:
    one, same, other = (
        random_scene(seed, intrinsics=camera, photographs=()).layered_view()
        for seed in (1000, 1000, 1001)
    )
    assert np.array_equal(one.front, same.front)
    assert np.array_equal(one.front_dioptre, same.front_dioptre)
    assert not np.array_equal(one.front_dioptre, other.front_dioptre)


@pytest.mark.parametrize(
    "seed",
    [*SEEDS[:QUICK], *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[QUICK:])],
)
def test_everything_is_within_range_and_some_is_plain(seed: int, camera: CameraIntrinsics) -> None:
    view = random_scene(seed, intrinsics=camera, near=0.5, far=5.0, photographs=()).view()
    assert view.depth.min() >= 0.5
    assert view.depth.max() <= 5.0
    assert view.depth.max() > 2.5 * view.depth.min()
    assert 0.1 <= view.textureless.mean() <= 0.2


def test_amount_of_plain_surface_is_as_asked(camera: CameraIntrinsics) -> None:
    def plain(fraction: float) -> float:
        scenes = (
            random_scene(seed, intrinsics=camera, textureless_fraction=fraction, photographs=())
            for seed in SEEDS[:4]
        )
        return float(np.mean([scene.view().textureless.mean() for scene in scenes]))

    assert plain(0.0) == 0.0
    assert plain(0.3) == pytest.approx(0.3, abs=0.06)


def test_photographs_show(camera: CameraIntrinsics) -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[::2, ::2, 0] = 255
    image = random_scene(1003, intrinsics=camera, photographs=[red]).layered_view().front
    without = random_scene(1003, intrinsics=camera, photographs=()).layered_view().front
    assert not np.array_equal(image, without)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"near": 0.0}, "scene from 0.0 m to 4.0 m"),
        ({"near": 1.0, "far": 1.5}, "far above twice that"),
        ({"far": np.inf}, "finite far"),
        ({"textureless_fraction": 0.6}, "textureless fraction 0.6 is not in"),
        ({"textureless_fraction": np.nan}, "textureless fraction nan is not in"),
    ],
)
def test_options_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        random_scene(0, **options)
