"""Sweeps of a camera whose focus was never calibrated: lens positions in place of metres."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
from sweep_feed import BLURRED, DIOPTRES, SHARP, SIZE, Feed, reasons

from focdepth_ros.stack import ImageArray
from focdepth_ros.sweep import DropReason, FrameDropped, SliceAdded, SweepEvent, SweepStarted

POSITIONS = [10.0, 30.0, 55.0, 90.0, 140.0, 200.0, 255.0]


def relative(position_tolerance: float = 0.0, **config: Any) -> Feed:
    return Feed(needs_metres=False, position_tolerance=position_tolerance, **config)


def frame(
    feed: Feed, position: float, image: ImageArray = SHARP, **sample: object
) -> list[SweepEvent]:
    return feed.frame(
        1.0, image, **{"focus_distance": math.nan, "lens_position": position, **sample}
    )


def frames(feed: Feed, positions: Iterable[float]) -> Feed:
    for position in positions:
        frame(feed, position)
    return feed


def outcome(feed: Feed) -> list[tuple[list[float | None], str]]:
    """Positions in order of exposure and end reason of every sweep."""
    assert all(s.focus_distance is None for sweep in feed.sweeps for s in sweep.slices)
    return [([s.lens_position for s in sweep.slices], sweep.end_reason) for sweep in feed.sweeps]


def test_only_where_metres_are_not_needed() -> None:
    feed = Feed()
    (event,) = frame(feed, 120.0)
    assert isinstance(event, FrameDropped)
    assert event.reason == "bad focus distance"
    assert event.detail.endswith(
        "focus distance nan m: the focus source does not know it; have it give metres, or set "
        "focus.lens_map of depth_node, or its aif_only where no depth is wanted"
    )
    assert frames(feed, POSITIONS).flush().sweeps == []


@pytest.mark.parametrize("distance", [math.nan, 0.0, -1.0])
def test_slices_have_positions_alone(distance: float) -> None:
    feed = relative()
    events = frame(feed, 120.0, focus_distance=distance)
    assert events[0] == SweepStarted(*SIZE, metric=False)
    assert isinstance(events[1], SliceAdded)
    assert (events[1].slice.focus_distance, events[1].slice.lens_position) == (None, 120.0)


@pytest.mark.parametrize("positions", [POSITIONS, POSITIONS[::-1], [-p for p in POSITIONS]])
def test_saw_tooth(positions: list[float]) -> None:
    feed = frames(relative(), [*positions, *positions, positions[0]]).flush()
    assert outcome(feed) == [(positions, "reversal")] * 2
    assert feed.dropped == {"too few slices": 1}


def test_ping_pong_shares_the_turn() -> None:
    feed = frames(relative(), [*POSITIONS, *POSITIONS[-2::-1], *POSITIONS[1:]]).flush()
    back = POSITIONS[::-1]
    assert [o for o, _ in outcome(feed)] == [POSITIONS, back, POSITIONS]


def test_by_sweep_id() -> None:
    feed = relative()
    for number in (1, 2):
        for step, position in enumerate(POSITIONS):
            frame(feed, position, sweep_id=number, sweep_step=step, sweep_size=len(POSITIONS))
    assert outcome(feed) == [(POSITIONS, "complete")] * 2


def test_by_count_and_window() -> None:
    feed = frames(relative(split="count", count=4), POSITIONS)
    assert outcome(feed) == [(POSITIONS[:4], "count")]
    window = frames(relative(split="window", count=5, window_stride=2), POSITIONS * 2)
    assert all(len(taken) == 5 for taken, _ in outcome(window))
    # In a saw-tooth the window goes over the jump; the stack is in the order of positions.
    across = next(
        s for s in window.sweeps if s.slices[0].lens_position > s.slices[-1].lens_position
    )
    places = [item.lens_position for item in across.stack().slices]
    assert places == sorted(places)


def test_the_sharper_of_two_at_one_position_is_kept() -> None:
    feed = relative(position_tolerance=1.0)
    for position in POSITIONS:
        frame(feed, position, BLURRED)
        frame(feed, position + 0.75, SHARP)
        frame(feed, position - 0.75, BLURRED)
    (sweep,) = feed.flush().sweeps
    assert [item.lens_position for item in sweep.slices] == POSITIONS
    assert all(item.image is SHARP for item in sweep.slices)
    assert feed.dropped == {"duplicate": 2 * len(POSITIONS)}
    replaced = [e for e in feed.events if isinstance(e, SliceAdded) and e.replaces_last]
    assert len(replaced) == len(POSITIONS)
    assert "another slice at lens position 10" in str(feed.events)


def test_without_tolerance_each_position_counts() -> None:
    close = [1.0, 1.001, 1.002, 1.003]
    assert outcome(frames(relative(), close).flush()) == [(close, "flush")]


@pytest.mark.parametrize("position", [math.nan, math.inf])
def test_neither_metres_nor_position_is_named(position: float) -> None:
    feed = frames(relative(), POSITIONS[:4])
    (event,) = frame(feed, position)
    assert isinstance(event, FrameDropped)
    assert event.reason == "unknown lens position"
    assert f"nor the lens position, {position}, tells the focus" in event.detail
    frames(feed, POSITIONS[4:]).flush()
    assert outcome(feed) == [(POSITIONS, "flush")]


def test_unsettled_frames_join_no_sweep() -> None:
    feed = relative()
    assert reasons(frame(feed, 10.0, settled=False)) == ["unsettled"]


def test_metres_count_where_they_are_known() -> None:
    feed, usual = relative(), Feed()
    for each in (feed, usual):
        for dioptre in [*DIOPTRES, *DIOPTRES[-2::-1]]:
            each.frame(dioptre, lens_position=10.0 * dioptre)
    assert feed.flush().outcome == usual.flush().outcome
    assert SweepStarted(*SIZE, metric=True) in feed.events


def test_the_next_sweep_id_may_be_of_the_other_kind() -> None:
    feed = relative()
    for step, position in enumerate(POSITIONS[:5]):  # its end is never told
        frame(feed, position, sweep_id=1, sweep_step=step, sweep_size=9)
    feed.sweep(2, size=len(DIOPTRES))
    for step, position in enumerate(POSITIONS):
        frame(feed, position, sweep_id=3, sweep_step=step, sweep_size=len(POSITIONS))
    kinds = [[item.focus_distance is not None for item in sweep.slices] for sweep in feed.sweeps]
    assert kinds == [[False] * 5, [True] * len(DIOPTRES), [False] * len(POSITIONS)]
    assert [sweep.end_reason for sweep in feed.sweeps] == ["sweep_id", "complete", "complete"]
    started = [event for event in feed.events if isinstance(event, SweepStarted)]
    assert [event.metric for event in started] == [False, True, False]
    assert feed.dropped == {}


OUTSIDE = {"lack": (DropReason.OUTSIDE_LENS_MAP, "lens position 10 is not in [50, 150]")}


def within(position: float) -> dict[str, Any]:
    """What a lens map that knows a part of the positions makes of one."""
    if 50.0 <= position <= 150.0:
        return {"focus_distance": 100.0 / position}
    return OUTSIDE


def test_a_sweep_that_begins_without_metres_goes_by_position_to_its_end() -> None:
    feed = relative()
    for position in [*POSITIONS, *POSITIONS[-2::-1]]:
        frame(feed, position, **within(position))
    assert outcome(feed.flush()) == [(POSITIONS, "reversal"), (POSITIONS[::-1], "flush")]


def test_in_a_sweep_that_begins_with_metres_they_are_needed() -> None:
    feed = relative()
    for position in POSITIONS[2:]:
        frame(feed, position, **within(position))
    (sweep,) = feed.flush().sweeps
    assert [item.lens_position for item in sweep.slices] == [55.0, 90.0, 140.0]
    assert all(item.focus_distance is not None for item in sweep.slices)
    assert feed.dropped == {"outside lens map": 2}


@pytest.mark.parametrize("reference", ["first", "middle", "last"])
def test_the_stack_is_in_the_order_of_positions_and_keeps_its_reference(reference: Any) -> None:
    falling = POSITIONS[::-1]
    (sweep,) = frames(relative(), falling).flush().sweeps
    stack = sweep.stack(reference=reference)
    assert not stack.is_metric
    assert [item.lens_position for item in stack.slices] == POSITIONS
    chosen = {"first": falling[0], "middle": falling[3], "last": falling[-1]}[reference]
    assert stack.slices[stack.reference].lens_position == chosen
