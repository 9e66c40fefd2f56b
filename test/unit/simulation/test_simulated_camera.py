import itertools
import math

import numpy as np
import pytest

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation import Scene, SimulatedCamera, SimulatedStack, render_stack
from focdepth_ros.stack import FocalStack, Lens, Slice

DISTANCES = (0.5, 1.0, 2.0, math.inf)


@pytest.fixture(scope="module")
def rendered(room: Scene, lens: Lens) -> SimulatedStack:
    return render_stack(room, lens, DISTANCES)


@pytest.fixture(scope="module")
def recorded() -> FocalStack:
    return FocalStack(
        [Slice(np.full((4, 6, 3), 10 * i, np.uint8), z) for i, z in enumerate(DISTANCES)]
    )


def _distances(camera: SimulatedCamera, sweeps: int) -> list[float]:
    return [frame.focus_distance for frame in camera.frames(sweeps=sweeps)]


class TestOrder:
    def test_near_to_far(self, recorded: FocalStack) -> None:
        frames = list(SimulatedCamera(recorded, frame_rate=20.0).frames(1_000, sweeps=2))
        assert [f.focus_distance for f in frames] == [*DISTANCES, *DISTANCES]
        assert [f.lens_position for f in frames[:4]] == [2.0, 1.0, 0.5, 0.0]
        assert [f.sweep_id for f in frames] == [1, 1, 1, 1, 2, 2, 2, 2]
        assert [f.sweep_step for f in frames] == [0, 1, 2, 3, 0, 1, 2, 3]
        assert all(f.sweep_size == 4 and f.settled for f in frames)
        assert [f.stamp for f in frames] == [1_000 + 50_000_000 * i for i in range(8)]
        assert [int(f.image[0, 0, 0]) for f in frames[:4]] == [0, 10, 20, 30]

    def test_far_to_near(self, recorded: FocalStack) -> None:
        camera = SimulatedCamera(recorded, pattern="far_to_near")
        assert _distances(camera, 2) == [*DISTANCES[::-1], *DISTANCES[::-1]]

    def test_ping_pong(self, recorded: FocalStack) -> None:
        camera = SimulatedCamera(recorded, pattern="ping_pong", jump_settling=3)
        assert _distances(camera, 3) == [*DISTANCES, *DISTANCES[::-1], *DISTANCES]

    def test_goes_on_for_ever(self, recorded: FocalStack) -> None:
        frames = itertools.islice(SimulatedCamera(recorded).frames(), 1001)
        assert list(frames)[-1].sweep_id == 251

    def test_stamps_do_not_drift(self, recorded: FocalStack) -> None:
        frames = list(SimulatedCamera(recorded, frame_rate=30.0).frames(sweeps=75))
        assert frames[300 - 1].stamp == round(299 / 30 * 1e9)


class TestSettling:
    def test_after_the_jump_back(self, recorded: FocalStack) -> None:
        camera = SimulatedCamera(recorded, jump_settling=1)
        frames = list(camera.frames(sweeps=2))
        assert [f.settled for f in frames] == [True] * 4 + [False] + [True] * 4
        moving = frames[4]
        # Half-way from infinity to 0.5 m in slices is half-way between 1 m and 2 m.
        assert moving.lens_position == pytest.approx(0.75)
        assert moving.focus_distance == pytest.approx(1.0 / 0.75)
        assert (moving.sweep_id, moving.sweep_step) == (2, 0)
        assert moving.stamp == round(4 / 30 * 1e9)

    def test_after_every_step(self, recorded: FocalStack) -> None:
        frames = list(SimulatedCamera(recorded, step_settling=2).frames(sweeps=1))
        assert [f.settled for f in frames] == [True] + [False, False, True] * 3
        assert [f.sweep_step for f in frames] == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert [f.focus_distance for f in frames if f.settled] == list(DISTANCES)


class TestNoise:
    def test_differs_from_sweep_to_sweep(self, rendered: SimulatedStack) -> None:
        frames = list(SimulatedCamera(rendered, exposures=2).frames(sweeps=3))
        first, second, third = frames[0].image, frames[4].image, frames[8].image
        assert not np.array_equal(first, second)
        assert np.abs(first.astype(int) - second).mean() < 4
        assert first is third

    def test_is_the_same_for_the_same_seed(self, rendered: SimulatedStack) -> None:
        one, same, other = (
            next(SimulatedCamera(rendered, exposures=1, seed=s).frames()).image for s in (0, 0, 9)
        )
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)


def test_knows_its_ground_truth_and_calibration(rendered: SimulatedStack, lens: Lens) -> None:
    camera = SimulatedCamera(rendered, exposures=1)
    assert camera.depth is rendered.depth
    assert camera.lens == lens
    assert camera.intrinsics == rendered.stack.intrinsics


def test_recorded_stack_has_no_ground_truth(recorded: FocalStack) -> None:
    camera = SimulatedCamera(recorded)
    assert (camera.depth, camera.lens, camera.intrinsics) == (None, None, None)


def test_relative_stack_has_unknown_distances() -> None:
    stack = FocalStack([Slice(np.zeros((4, 4), np.uint8), None) for _ in range(3)])
    frames = list(SimulatedCamera(stack, step_settling=1).frames(sweeps=1))
    assert len(frames) == 5
    assert all(math.isnan(f.focus_distance) and math.isnan(f.lens_position) for f in frames)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "random"}, "'random' is not known; use near_to_far, far_to_near, ping_pong"),
        ({"frame_rate": 0.0}, "frame rate is 0.0 Hz"),
        ({"frame_rate": math.nan}, "frame rate is nan Hz"),
        ({"step_settling": -1}, "settling takes -1 frames"),
        ({"exposures": 0}, "0 exposures; give at least 1"),
    ],
)
def test_options_out_of_range_are_named(recorded: FocalStack, options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SimulatedCamera(recorded, **options)
