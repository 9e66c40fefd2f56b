"""Images and focus states find each other by stamp."""

from __future__ import annotations

import numpy as np
import pytest

from focdepth_ros.sweep_parts.frame_matcher import Frame, FrameMatcher, StampedImage
from focdepth_ros.sweep_parts.types import DropReason, FocusSample

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


class Matching:
    """A matcher of which only the stamps matter, at one time."""

    def __init__(self, window: int = 4) -> None:
        self.dropped: list[tuple[DropReason, str]] = []
        self.matcher = FrameMatcher(window, self._note)

    def _note(self, reason: DropReason, detail: str) -> None:
        self.dropped.append((reason, detail))

    def image(self, stamp: int, now: float = 0.0) -> Frame | None:
        pixels = np.zeros((2, 3), np.uint8)
        return self.matcher.add_image(StampedImage(stamp, pixels, (2, 3), "mono8"), now)

    def focus(self, stamp: int, now: float = 0.0) -> Frame | None:
        return self.matcher.add_focus(FocusSample(stamp, 1.0), now)

    def frame(self, stamp: int) -> Frame:
        assert self.image(stamp) is None
        frame = self.focus(stamp)
        assert frame is not None
        return frame

    @property
    def reasons(self) -> list[DropReason]:
        return [reason for reason, _ in self.dropped]


def test_either_may_come_first() -> None:
    matching = Matching()
    assert matching.image(1) is None
    first = matching.focus(1)
    assert matching.focus(2) is None
    second = matching.image(2)
    assert first is not None
    assert second is not None
    assert (first.image.stamp, first.focus.stamp, first.time_went_back) == (1, 1, False)
    assert (second.image.stamp, second.focus.stamp, second.time_went_back) == (2, 2, False)
    assert matching.dropped == []


def test_one_stream_may_lag_by_as_much_as_the_window() -> None:
    matching = Matching(window=4)
    assert [matching.image(stamp) for stamp in range(4)] == [None] * 4
    assert all(matching.focus(stamp) is not None for stamp in range(4))
    assert matching.dropped == []


@pytest.mark.parametrize("kind", ["image", "focus"])
def test_first_to_come_is_let_go_when_the_window_is_full(kind: str) -> None:
    matching = Matching(window=4)
    for stamp in range(10):
        getattr(matching, kind)(stamp)
    waiting = matching.matcher.images_waiting, matching.matcher.focus_states_waiting
    assert waiting == ((4, 0) if kind == "image" else (0, 4))
    missing = DropReason.NO_FOCUS_STATE if kind == "image" else DropReason.NO_IMAGE
    assert matching.reasons == [missing] * 6
    assert matching.dropped[0][1] == f"{missing} of stamp 0.000000000 s came within 4 messages"


def test_what_a_newer_frame_has_overtaken_is_let_go() -> None:
    matching = Matching()
    matching.image(1)
    matching.focus(2)
    matching.image(4)
    matching.frame(3)
    assert matching.reasons == [DropReason.NO_FOCUS_STATE, DropReason.NO_IMAGE]
    assert matching.focus(4) is not None


def test_waiting_for_too_long() -> None:
    matching = Matching()
    matching.image(1, now=1.0)
    matching.focus(2, now=2.0)
    matching.matcher.expire(before=1.0)
    assert matching.dropped == []
    matching.matcher.expire(before=1.5)
    assert matching.reasons == [DropReason.NO_FOCUS_STATE]
    matching.matcher.expire(before=2.5)
    assert matching.reasons == [DropReason.NO_FOCUS_STATE, DropReason.NO_IMAGE]


def test_repeated_stamps_while_waiting_and_after() -> None:
    matching = Matching()
    matching.image(1)
    matching.image(1)
    frame = matching.focus(1)
    assert frame is not None
    matching.image(1)
    matching.focus(1)
    matching.focus(2)
    matching.focus(2)
    repeated, stale = DropReason.REPEATED_STAMP, DropReason.STALE_FOCUS_STATE
    assert matching.reasons == [repeated, repeated, stale, stale]


def test_late_messages_are_named_with_stamp_and_lateness() -> None:
    matching = Matching()
    matching.frame(5 * SECOND)
    matching.image(5 * SECOND - 20 * MILLISECOND)
    matching.focus(4 * SECOND)
    assert matching.reasons == [DropReason.OUT_OF_ORDER, DropReason.STALE_FOCUS_STATE]
    assert "4.980000000 s" in matching.dropped[0][1]
    assert "20.0 ms" in matching.dropped[0][1]
    assert matching.frame(5 * SECOND + 1).time_went_back is False


@pytest.mark.parametrize(
    ("stamp", "sweep_start"),
    [(4 * SECOND - 1, None), (0, None), (-SECOND, None), (5 * SECOND - 10, 5 * SECOND - 10)],
)
def test_time_that_went_back(stamp: int, sweep_start: int | None) -> None:
    matching = Matching()
    matching.frame(5 * SECOND)
    matching.matcher.sweep_start = sweep_start
    matching.image(5 * SECOND + 1)
    assert matching.frame(stamp).time_went_back is True
    assert matching.reasons == [DropReason.NO_FOCUS_STATE]
    assert matching.frame(stamp + 1).time_went_back is False


def test_time_went_back_between_the_two_streams() -> None:
    matching = Matching()
    matching.frame(5 * SECOND)
    assert [matching.image(1), matching.image(2)] == [None, None]
    first, second = matching.focus(1), matching.focus(2)
    assert first is not None
    assert first.time_went_back
    assert second is not None
    assert not second.time_went_back
    assert matching.dropped == []


def test_flush_forgets_what_time_it_was() -> None:
    matching = Matching()
    matching.frame(5 * SECOND)
    matching.image(6 * SECOND)
    matching.matcher.flush()
    assert matching.reasons == [DropReason.NO_FOCUS_STATE]
    assert matching.frame(1).time_went_back is False
