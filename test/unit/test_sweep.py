"""The sweep assembler, as a node drives it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sweep_feed import DIOPTRES, FAR_TO_NEAR, NEAR_TO_FAR, PERIOD, SHARP, SIZE, Feed, reasons

from focdepth_ros.errors import MessageError
from focdepth_ros.stack import ImageArray
from focdepth_ros.sweep import (
    FocusSample,
    FrameDropped,
    SliceAdded,
    SweepDropped,
    SweepFinished,
    SweepStarted,
)

both_directions = pytest.mark.parametrize("steps", [NEAR_TO_FAR, FAR_TO_NEAR])


class TestStreaming:
    @pytest.mark.parametrize("focus_first", [False, True])
    def test_slice_is_announced_with_the_second_half_of_its_frame(self, focus_first: bool) -> None:
        feed = Feed()
        events = feed.frame(2.0, focus_first=focus_first, lens_position=7.0)
        assert events[0] == SweepStarted(*SIZE)
        assert len(events) == 2
        assert isinstance(events[1], SliceAdded)
        added = events[1].slice
        assert added.image is SHARP
        assert (added.focus_distance, added.stamp, added.lens_position) == (0.5, PERIOD, 7.0)
        assert [type(e) for e in feed.frame(1.75)] == [SliceAdded]

    def test_unknown_lens_position_is_none(self) -> None:
        feed = Feed().frames(DIOPTRES).flush()
        assert all(s.lens_position is None for s in feed.sweeps[0].slices)

    @both_directions
    def test_slices_announced_are_those_of_the_sweep(self, steps: list[float]) -> None:
        feed = Feed().frames(steps).flush()
        added = [e.slice for e in feed.events if isinstance(e, SliceAdded)]
        assert added == list(feed.sweeps[0].slices)
        assert feed.outcome == [(steps, "flush")]

    def test_image_is_decoded_only_when_its_frame_is_usable(self) -> None:
        calls: list[int] = []

        def decode() -> ImageArray:
            calls.append(1)
            return SHARP

        feed = Feed()
        feed.frame(2.0, decode, settled=False)
        feed.frame(2.0, decode, focus_distance=math.nan)
        assert calls == []
        feed.frame(2.0, decode)
        assert calls == [1]


class TestBadFrames:
    def test_unsettled(self) -> None:
        feed = Feed()
        for dioptre in DIOPTRES:
            feed.frame(dioptre, settled=False)
            feed.frame(dioptre)
        assert feed.flush().outcome == [(DIOPTRES, "flush")]
        assert feed.dropped == {"unsettled": 9}

    @pytest.mark.parametrize("distance", [math.nan, 0.0, -0.0, -1.5, -math.inf, 1e-320])
    def test_bad_distance_is_named(self, distance: float) -> None:
        feed = Feed().frames(DIOPTRES[:4])
        (event,) = feed.frame(1.0, focus_distance=distance)
        assert isinstance(event, FrameDropped)
        assert event.reason == "bad focus distance"
        assert str(distance) in event.detail
        feed.frames(DIOPTRES[4:]).flush()
        assert feed.outcome == [(DIOPTRES, "flush")]

    def test_infinity_is_a_distance(self) -> None:
        feed = Feed().frames(DIOPTRES).flush()
        assert feed.sweeps[0].slices[-1].focus_distance == math.inf

    def test_image_that_cannot_be_decoded(self) -> None:
        def decode() -> ImageArray:
            raise MessageError("data has 5 bytes, 3x4 mono8 needs 12")

        feed = Feed().frames(DIOPTRES[:4])
        (event,) = feed.frame(1.0, decode)
        assert isinstance(event, FrameDropped)
        assert event.reason == "bad image"
        assert "5 bytes" in event.detail
        assert feed.frames(DIOPTRES[4:]).flush().outcome == [(DIOPTRES, "flush")]

    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((12, 17, 3), np.uint8),
            np.zeros((0, 0), np.uint8),
            np.zeros((12, 16, 4), np.uint8),
            np.zeros((12, 16), np.float32),
        ],
    )
    def test_image_that_is_not_what_was_announced(self, image: ImageArray) -> None:
        feed = Feed()
        assert reasons(feed.frame(1.0, image)) == ["bad image"]
        assert feed.assembler.images_held == 0

    def test_foreign_error_of_a_decoder_leaves_the_assembler_usable(self) -> None:
        def decode() -> ImageArray:
            raise ZeroDivisionError

        feed = Feed().frames(DIOPTRES[:4])
        with pytest.raises(ZeroDivisionError):
            feed.frame(1.0, decode)
        assert feed.frames(DIOPTRES[4:]).flush().outcome == [(DIOPTRES, "flush")]

    def test_image_of_one_pixel(self) -> None:
        feed = Feed()
        for dioptre in (2.0, 1.0, 1.0, 0.5):
            feed.frame(dioptre, np.zeros((1, 1), np.uint8), size=(1, 1))
        assert len(feed.flush().sweeps[0].slices) == 3


class TestFormatChange:
    def test_size(self) -> None:
        feed = Feed().frames(DIOPTRES[:4])
        events = feed.frame(1.0, SHARP[:6], size=(6, 16))
        assert [type(e) for e in events] == [SweepFinished, SweepStarted, SliceAdded]
        assert events[1] == SweepStarted(6, 16)
        assert feed.outcome == [(DIOPTRES[:4], "format_change")]

    def test_encoding(self) -> None:
        feed = Feed().frames(DIOPTRES[:4])
        feed.frame(1.0, encoding="bgr8")
        assert feed.outcome == [(DIOPTRES[:4], "format_change")]

    def test_colour_to_mono_without_an_encoding(self) -> None:
        feed = Feed()
        for dioptre in DIOPTRES[:4]:
            feed.frame(dioptre, encoding="")
        feed.frame(1.0, SHARP[..., 0], encoding="")
        assert feed.outcome == [(DIOPTRES[:4], "format_change")]

    def test_too_early(self) -> None:
        feed = Feed().frames(DIOPTRES[:2])
        events = feed.frame(1.0, encoding="bgr8")
        assert [type(e) for e in events] == [SweepDropped, SweepStarted, SliceAdded]
        assert feed.dropped == {"too few slices": 1}

    def test_rest_of_the_sweep_is_not_late(self) -> None:
        feed = Feed()
        for step, dioptre in enumerate(DIOPTRES):
            encoding = "rgb8" if step < 4 else "bgr8"
            feed.frame(dioptre, encoding=encoding, sweep_id=5, sweep_step=step, sweep_size=9)
        assert feed.outcome == [(DIOPTRES[:4], "format_change"), (DIOPTRES[4:], "complete")]


class TestTimeout:
    def test_enough_slices_are_finished_early(self) -> None:
        feed = Feed().frames(DIOPTRES[:3])
        assert feed.wait(0.9) == []
        (event,) = feed.wait(0.2)
        assert isinstance(event, SweepFinished)
        assert feed.outcome == [(DIOPTRES[:3], "timeout")]
        assert feed.wait(5.0) == []

    def test_too_few_are_dropped_and_counted(self) -> None:
        feed = Feed().frames(DIOPTRES[:2])
        (event,) = feed.wait(1.1)
        assert isinstance(event, SweepDropped)
        assert event.reason == "too few slices"
        assert "2 focus distances" in event.detail
        assert "min_slices" in event.detail
        assert event.slices == 2
        assert feed.dropped == {"too few slices": 1}

    def test_frame_that_comes_too_late_begins_a_new_sweep_without_a_poll(self) -> None:
        feed = Feed().frames(DIOPTRES[:4])
        feed.now += 1.5
        feed.frames(DIOPTRES[4:])
        assert feed.flush().outcome == [(DIOPTRES[:4], "timeout"), (DIOPTRES[4:], "flush")]

    def test_camera_that_stops_sweeping_but_goes_on_streaming(self) -> None:
        feed = Feed().frames([*DIOPTRES[:5], *[DIOPTRES[4]] * 40])
        assert feed.outcome == [(DIOPTRES[:5], "timeout")]

    def test_frames_that_are_of_no_use_do_not_keep_the_sweep_open(self) -> None:
        feed = Feed().frames(DIOPTRES[:5])
        for _ in range(40):
            feed.frame(0.5, settled=False)
        assert feed.outcome == [(DIOPTRES[:5], "timeout")]

    def test_frame_without_partner_is_let_go(self) -> None:
        feed = Feed()
        assembler = feed.assembler
        assembler.add_image(1, SHARP, size=SIZE, now=0.0)
        assembler.add_focus(FocusSample(2, 1.0), now=0.0)
        assert assembler.poll(now=0.9) == []
        assert reasons(assembler.poll(now=1.1)) == ["no focus state", "no image"]
        assert assembler.images_held == 0


class TestMaxSlices:
    def test_ends_the_sweep(self) -> None:
        feed = Feed(max_slices=4).frames(DIOPTRES)
        assert feed.outcome == [(DIOPTRES[:4], "max_slices"), (DIOPTRES[4:8], "max_slices")]

    def test_rest_of_a_sweep_by_id_is_late(self) -> None:
        feed = Feed(max_slices=4)
        feed.sweep(5)
        feed.sweep(6)
        assert feed.outcome == [(DIOPTRES[:4], "max_slices")] * 2
        assert feed.dropped == {"sweep already finished": 10}


class TestTime:
    def test_bag_loop_finishes_the_open_sweep_and_goes_on(self) -> None:
        feed = Feed().frames(DIOPTRES * 4)
        feed.frames(DIOPTRES[:5])
        feed.stamp = 0
        feed.frames(DIOPTRES * 2).flush()
        expected = [(DIOPTRES, "reversal")] * 4 + [(DIOPTRES[:5], "time_jump")]
        assert feed.outcome == [*expected, (DIOPTRES, "reversal"), (DIOPTRES, "flush")]
        assert feed.dropped == {}

    @pytest.mark.parametrize("size", [0, 9])
    def test_bag_of_a_single_sweep_in_a_loop(self, size: int) -> None:
        feed = Feed()
        for _ in range(3):
            feed.stamp = 0
            feed.sweep(5, size=size)
        feed.flush()
        assert [dioptres for dioptres, _ in feed.outcome] == [DIOPTRES] * 3
        assert feed.dropped == {}

    def test_late_frames_are_late_in_a_loop_too(self) -> None:
        feed = Feed().frames(DIOPTRES * 4)
        feed.stamp = 0
        feed.frames(DIOPTRES[:2])
        events = feed.assembler.add_image(PERIOD, SHARP, size=SIZE, now=feed.now)
        assert reasons(events) == ["out of order"]

    def test_bag_loop_drops_an_open_sweep_that_is_too_short(self) -> None:
        feed = Feed().frames(DIOPTRES * 4)
        feed.frames(DIOPTRES[:2])
        feed.stamp = 0
        feed.frames(DIOPTRES).flush()
        assert feed.dropped == {"too few slices": 1}
        assert feed.outcome == [(DIOPTRES, "reversal")] * 4 + [(DIOPTRES, "flush")]

    def test_window_in_a_loop(self) -> None:
        feed = Feed(split="window", count=9).frames(DIOPTRES)
        feed.stamp = 0
        feed.frames(DIOPTRES)
        assert feed.outcome == [(DIOPTRES, "window")] * 2

    def test_one_message_with_a_wrong_stamp_does_no_harm(self) -> None:
        feed = Feed().frames(DIOPTRES * 5)
        feed.frames(DIOPTRES[:4])
        assembler = feed.assembler
        feed.events += assembler.add_image(0, SHARP, size=SIZE, encoding="rgb8", now=feed.now)
        feed.events += assembler.add_focus(FocusSample(1, 1.0), now=feed.now)
        feed.frames(DIOPTRES[4:]).flush()
        assert feed.outcome == [(DIOPTRES, "reversal")] * 5 + [(DIOPTRES, "flush")]
        assert feed.dropped == {"no focus state": 1, "no image": 1}

    def test_stamp_far_in_the_future_does_not_stop_everything(self) -> None:
        feed = Feed().frames(DIOPTRES[:4])
        real = feed.stamp
        feed.stamp = 2**62
        feed.frame(1.0)
        feed.stamp = real
        feed.frames(DIOPTRES).flush()
        assert feed.outcome[-1] == (DIOPTRES, "flush")

    def test_frame_that_comes_late_is_dropped(self) -> None:
        feed = Feed().frames(DIOPTRES[:4])
        late = 2 * PERIOD + PERIOD // 2
        events = feed.assembler.add_focus(FocusSample(late, 1.0), now=feed.now)
        events += feed.assembler.add_image(late, SHARP, size=SIZE, now=feed.now)
        assert reasons(events) == ["stale focus state", "out of order"]
        assert feed.frames(DIOPTRES[4:]).flush().outcome == [(DIOPTRES, "flush")]

    def test_frame_of_the_sweep_before_that_comes_late_is_dropped(self) -> None:
        feed = Feed()
        feed.sweep(5, size=9)
        feed.sweep(6, DIOPTRES[:4])
        events = feed.assembler.add_image(8 * PERIOD, SHARP, size=SIZE, now=feed.now)
        assert reasons(events) == ["out of order"]

    def test_frames_that_come_twice(self) -> None:
        feed = Feed()
        for dioptre in DIOPTRES:
            feed.frame(dioptre)
            feed.stamp -= PERIOD
            feed.frame(dioptre)
        assert feed.flush().outcome == [(DIOPTRES, "flush")]
        assert feed.dropped == {"repeated stamp": 9, "stale focus state": 9}


class TestFlush:
    def test_everything_starts_afresh(self) -> None:
        feed = Feed().frames(DIOPTRES).flush()
        feed.assembler.add_image(10**12, SHARP, size=SIZE, now=feed.now)
        assert reasons(feed.assembler.flush()) == ["no focus state"]
        feed.stamp = 0
        feed.frames(DIOPTRES).flush()
        assert feed.outcome == [(DIOPTRES, "flush")] * 2
        assert feed.assembler.flush() == []
