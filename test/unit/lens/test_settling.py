"""Which frames count: those for which the lens stood still."""

from __future__ import annotations

import math

import pytest

from focdepth_ros.lens.focus_schedule import FocusStep
from focdepth_ros.lens.settling import Settling

STEP = FocusStep(position=50.0, dioptre=2.0, sweep_id=3, index=1, count=4)


def by_time(frames: int = 1, *, moves: bool = True, settle_frames: int = 1) -> Settling:
    settling = Settling(0.5, frames_tell=False, settle_time=0.2, settle_frames=settle_frames)
    settling.aim(STEP, frames, moves=moves)
    return settling


def by_frames(frames: int = 1, settle_time: float = 0.0) -> Settling:
    settling = Settling(0.5, frames_tell=True, settle_time=settle_time, settle_frames=1)
    settling.aim(STEP, frames, moves=True)
    return settling


def settled(settling: Settling, *frames: tuple[float, float | None]) -> list[bool]:
    return [settling.frame(exposed, position).settled for exposed, position in frames]


def test_nothing_counts_before_the_driver_has_confirmed() -> None:
    settling = by_time()
    assert settled(settling, (10.0, None), (99.0, None)) == [False, False]
    assert not settling.has_arrived


def test_after_the_time_and_the_frames() -> None:
    settling = by_time(2)
    settling.confirmed(10.0)
    times = [10.0, 10.19, 10.21, 10.24, 10.27, 10.30]
    assert settled(settling, *((t, None) for t in times)) == [
        False, False, False, True, True, False,
    ]  # fmt: skip
    assert settling.taken == 2


def test_what_is_said_of_a_frame() -> None:
    settling = by_time(2, settle_frames=0)
    moving = settling.frame(9.0, None)
    assert math.isnan(moving.position)
    assert (moving.sweep_id, moving.sweep_step, moving.sweep_size) == (3, 2, 8)
    settling.confirmed(10.0)
    first, second = settling.frame(11.0, None), settling.frame(11.1, None)
    assert (first.position, first.sweep_step) == (50.0, 2)
    assert (second.sweep_step, second.settled) == (3, True)


def test_where_the_lens_is_already_nothing_is_waited_for() -> None:
    assert settled(by_time(moves=False), (0.0, None)) == [True]


def test_frames_that_tell_where_the_lens_was() -> None:
    settling = by_frames()
    settling.confirmed(0.0)  # counts for nothing
    frames = [(1.0, 20.0), (1.1, 49.0), (1.2, 49.6), (1.3, 50.1), (1.4, 50.1)]
    assert settled(settling, *frames) == [False, False, False, True, False]


def test_a_lens_that_overshoots_has_not_arrived() -> None:
    settling = by_frames()
    frames = [(1.0, 50.0), (1.1, 53.0), (1.2, 50.0), (1.3, 50.0)]
    assert settled(settling, *frames) == [False, False, False, True]
    assert settling.last_position == 50.0


def test_a_frame_without_position_does_not_count() -> None:
    settling = by_frames()
    assert settled(settling, (1.0, 50.0), (1.1, None), (1.2, 50.0)) == [False, False, False]
    assert settling.last_position == 50.0


def test_time_counts_from_the_arrival() -> None:
    settling = by_frames(settle_time=0.25)
    assert settled(settling, *((1.0 + 0.1 * i, 50.0) for i in range(5))) == [
        False, False, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("position", [None, 12.0])
def test_at_rest_no_frame_counts(position: float | None) -> None:
    settling = by_time(moves=False)
    settling.rest()
    focus = settling.frame(1.0, position)
    assert (focus.settled, focus.sweep_id) == (False, 0)
    assert focus.position == position or position is None
