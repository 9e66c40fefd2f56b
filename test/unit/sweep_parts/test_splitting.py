"""Where one sweep ends and the next begins, and which of two duplicates stays."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from sweep_feed import BLURRED, DIOPTRES, FAR_TO_NEAR, NEAR_TO_FAR, PERIOD, SHARP, Feed, reasons

from focdepth_ros.sweep import FrameDropped, SliceAdded, SweepFinished, SweepStarted
from focdepth_ros.sweep_parts.splitting import focus_turn, sharpness

both_directions = pytest.mark.parametrize("steps", [NEAR_TO_FAR, FAR_TO_NEAR])


class TestSweepId:
    @both_directions
    def test_new_id_ends_the_sweep(self, steps: list[float]) -> None:
        feed = Feed()
        feed.sweep(5, steps)
        feed.sweep(6, steps)
        assert feed.outcome == [(steps, "sweep_id")]
        assert feed.flush().outcome[1] == (steps, "flush")

    def test_last_step_ends_the_sweep_at_once(self) -> None:
        feed = Feed()
        feed.sweep(5, size=9)
        assert feed.outcome == [(DIOPTRES, "complete")]
        assert isinstance(feed.events[-1], SweepFinished)

    def test_dropped_frames_are_just_absent(self) -> None:
        feed = Feed()
        for step in (0, 1, 4, 5, 8):
            feed.frame(DIOPTRES[step], sweep_id=5, sweep_step=step, sweep_size=9)
        assert feed.outcome == [([DIOPTRES[s] for s in (0, 1, 4, 5, 8)], "complete")]

    def test_without_the_last_step_the_next_id_ends_the_sweep(self) -> None:
        feed = Feed()
        for sweep_id in (5, 6):
            for step in range(8):
                feed.frame(DIOPTRES[step], sweep_id=sweep_id, sweep_step=step, sweep_size=9)
        assert feed.outcome == [(DIOPTRES[:8], "sweep_id")]

    def test_id_counts_more_than_reversal(self) -> None:
        shuffled = [1.0, 2.0, 0.5, 1.5, 0.0]
        feed = Feed()
        feed.sweep(5, shuffled, size=5)
        assert feed.outcome == [(shuffled, "complete")]

    def test_ping_pong_with_turning_distance_repeated_by_id(self) -> None:
        feed = Feed()
        feed.sweep(1, NEAR_TO_FAR)
        feed.sweep(2, FAR_TO_NEAR)
        feed.flush()
        assert feed.outcome == [(NEAR_TO_FAR, "sweep_id"), (FAR_TO_NEAR, "flush")]
        assert feed.dropped == {}

    def test_distance_that_comes_back_within_the_sweep_is_dropped(self) -> None:
        feed = Feed()
        feed.sweep(5, [2.0, 1.0, 0.5, 2.0, 0.0], size=5)
        assert feed.outcome == [([2.0, 1.0, 0.5, 0.0], "complete")]
        assert feed.dropped == {"duplicate": 1}

    @pytest.mark.parametrize("last", [1.0, 2.0])
    def test_last_step_ends_the_sweep_even_if_it_is_a_duplicate(self, last: float) -> None:
        feed = Feed()
        feed.sweep(5, [2.0, 1.5, 1.0, last], size=4)
        assert feed.outcome == [([2.0, 1.5, 1.0], "complete")]

    def test_frames_of_a_finished_sweep_do_not_open_another(self) -> None:
        feed = Feed()
        feed.sweep(5, size=9)
        late = feed.frame(1.1, sweep_id=5, sweep_step=4, sweep_size=9)
        assert reasons(late) == ["sweep already finished"]
        feed.sweep(6, DIOPTRES[:4])
        assert reasons(feed.frame(1.1, sweep_id=5)) == ["sweep already finished"]
        assert feed.flush().outcome[1] == (DIOPTRES[:4], "flush")

    def test_frames_after_the_timeout_of_their_sweep_do_not_open_another(self) -> None:
        feed = Feed()
        feed.sweep(5, DIOPTRES[:4])
        feed.wait(1.1)
        feed.sweep(5, DIOPTRES[4:], first_step=4)
        assert feed.flush().outcome == [(DIOPTRES[:4], "timeout")]
        assert feed.dropped == {"sweep already finished": 5}

    def test_driver_that_was_started_anew_may_begin_with_the_same_id(self) -> None:
        feed = Feed()
        for _ in range(3):
            feed.sweep(1, size=9)
            feed.wait(5.0)
        assert feed.outcome == [(DIOPTRES, "complete")] * 3
        assert feed.dropped == {}

    def test_rest_of_a_sweep_that_was_dropped_may_still_become_one(self) -> None:
        feed = Feed()
        feed.sweep(5, DIOPTRES[:2])
        feed.wait(1.1)
        feed.sweep(5, DIOPTRES[2:])
        assert feed.flush().outcome == [(DIOPTRES[2:], "flush")]
        assert feed.dropped == {"too few slices": 1}

    def test_frame_without_id_is_dropped_where_it_is_needed(self) -> None:
        feed = Feed(split="sweep_id")
        (event,) = feed.frame(1.0)
        assert isinstance(event, FrameDropped)
        assert event.reason == "no sweep id"
        assert "split" in event.detail

    def test_auto_splits_a_driver_that_stops_giving_ids_by_reversal(self) -> None:
        feed = Feed()
        feed.sweep(5)
        feed.frames([2.0, 1.0, 0.0, 2.0])
        assert feed.outcome == [(DIOPTRES, "sweep_id"), ([2.0, 1.0, 0.0], "reversal")]


class TestReversal:
    @pytest.mark.parametrize("split", ["auto", "reversal"])
    @both_directions
    def test_saw_tooth(self, steps: list[float], split: str) -> None:
        feed = Feed(split=split).frames(steps * 3)
        assert feed.outcome == [(steps, "reversal")] * 2
        assert feed.flush().outcome[2] == (steps, "flush")
        assert feed.dropped == {}

    @both_directions
    def test_ping_pong_sweeps_share_the_turning_slice(self, steps: list[float]) -> None:
        back = steps[::-1]
        feed = Feed().frames([*steps, *back[1:], *steps[1:]]).flush()
        assert feed.outcome == [(steps, "reversal"), (back, "reversal"), (steps, "flush")]
        first, second, third = feed.sweeps
        assert first.slices[-1] is second.slices[0]
        assert second.slices[-1] is third.slices[0]
        assert feed.dropped == {}

    def test_events_at_the_turn(self) -> None:
        feed = Feed().frames([2.0, 1.5, 1.0])
        events = feed.frame(1.5)
        assert [type(e) for e in events] == [SweepFinished, SweepStarted, SliceAdded, SliceAdded]

    @both_directions
    def test_ping_pong_that_repeats_the_turning_distance(self, steps: list[float]) -> None:
        back = steps[::-1]
        feed = Feed().frames([*steps, *back, *steps]).flush()
        assert [dioptres for dioptres, _ in feed.outcome] == [steps, back, steps]
        assert feed.dropped == {"duplicate": 2}

    def test_ping_pong_beginning_right_before_the_turn(self) -> None:
        feed = Feed().frames([0.25, 0.0, *FAR_TO_NEAR[1:]]).flush()
        assert feed.outcome == [(FAR_TO_NEAR, "flush")]

    def test_saw_tooth_beginning_right_before_the_jump(self) -> None:
        feed = Feed().frames([0.25, 0.0, *NEAR_TO_FAR]).flush()
        assert feed.outcome == [(NEAR_TO_FAR, "flush")]

    def test_ping_pong_with_a_lost_frame_after_the_turn(self) -> None:
        feed = Feed().frames([*NEAR_TO_FAR, *FAR_TO_NEAR[2:]]).flush()
        assert feed.outcome == [
            (NEAR_TO_FAR, "reversal"),
            ([0.0, *FAR_TO_NEAR[2:]], "flush"),
        ]

    def test_saw_tooth_with_lost_frames_around_the_jump(self) -> None:
        feed = Feed().frames([*NEAR_TO_FAR[:-1], *NEAR_TO_FAR[2:]]).flush()
        assert feed.outcome == [(NEAR_TO_FAR[:-1], "reversal"), (NEAR_TO_FAR[2:], "flush")]

    def test_by_reversal_ids_do_not_matter(self) -> None:
        feed = Feed(split="reversal")
        for i, dioptre in enumerate(NEAR_TO_FAR):
            feed.frame(dioptre, sweep_id=i + 1, sweep_step=0, sweep_size=1)
        assert feed.flush().outcome == [(NEAR_TO_FAR, "flush")]


class TestCount:
    @both_directions
    def test_finished_with_the_last_frame(self, steps: list[float]) -> None:
        feed = Feed(split="count", count=9).frames(steps * 2)
        assert feed.outcome == [(steps, "count")] * 2

    def test_any_order_of_distances(self) -> None:
        feed = Feed(split="count", count=4).frames([1.0, 2.0, 0.5, 1.5, 0.0])
        assert feed.outcome == [([1.0, 2.0, 0.5, 1.5], "count")]

    def test_only_distinct_distances_count(self) -> None:
        feed = Feed(split="count", count=4).frames([1.0, 1.0, 2.0, 1.0, 0.5, 1.5])
        assert feed.outcome == [([1.0, 2.0, 0.5, 1.5], "count")]
        assert feed.dropped == {"duplicate": 2}

    def test_more_than_the_camera_has_still_gives_sweeps(self) -> None:
        feed = Feed(split="count", count=20).frames(DIOPTRES * 8)
        assert (DIOPTRES, "timeout") in feed.outcome


class TestWindow:
    def test_one_sweep_per_stride(self) -> None:
        feed = Feed(split="window", count=4, window_stride=2).frames(DIOPTRES)
        assert feed.outcome == [
            (DIOPTRES[0:4], "window"),
            (DIOPTRES[2:6], "window"),
            (DIOPTRES[4:8], "window"),
        ]
        assert feed.flush().outcome[3] == (DIOPTRES[5:9], "flush")

    def test_neighbouring_windows_share_the_slice_objects(self) -> None:
        feed = Feed(split="window", count=4).frames(DIOPTRES)
        first, second = feed.sweeps[:2]
        assert first.slices[1:] == second.slices[:-1]

    def test_events_of_a_window_come_together(self) -> None:
        feed = Feed(split="window", count=3).frames([2.0, 1.5])
        assert feed.events == []
        events = feed.frame(1.0)
        assert [type(e) for e in events] == [SweepStarted, *[SliceAdded] * 3, SweepFinished]

    def test_newest_slice_of_each_distance(self) -> None:
        feed = Feed(split="window", count=9).frames([*NEAR_TO_FAR, *FAR_TO_NEAR[1:]])
        assert len(feed.sweeps) == 9
        assert feed.outcome[-1][0] == FAR_TO_NEAR
        stamps = [s.stamp for s in feed.sweeps[-1].slices]
        assert stamps == [(9 + i) * PERIOD for i in range(9)]
        assert feed.dropped == {}

    def test_sharper_duplicate_of_the_last_is_in_the_next_window(self) -> None:
        feed = Feed(split="window", count=3).frames([2.0, 1.5])
        feed.frame(1.0, BLURRED)
        feed.frame(1.0, SHARP)
        assert len(feed.sweeps) == 1
        feed.frame(0.5)
        assert feed.sweeps[0].slices[-1].image is BLURRED
        assert feed.sweeps[1].slices[1].image is SHARP

    def test_more_than_the_camera_has_still_gives_sweeps(self) -> None:
        feed = Feed(split="window", count=10).frames(DIOPTRES * 3)
        assert len(feed.sweeps) == 8
        assert all(sorted(dioptres) == FAR_TO_NEAR for dioptres, _ in feed.outcome)

    def test_sharper_duplicate_that_no_window_has_room_for_is_counted(self) -> None:
        feed = Feed(split="window", count=3, window_stride=3).frames([2.0, 1.5])
        feed.frame(1.0, BLURRED)
        feed.frames([1.0, 0.75, 0.5, 0.25])
        assert feed.outcome == [([2.0, 1.5, 1.0], "window"), ([0.75, 0.5, 0.25], "window")]
        assert feed.dropped == {"duplicate": 1}

    def test_stride_and_length_count_afresh_after_the_end(self) -> None:
        feed = Feed(split="window", count=4, window_stride=4).frames(DIOPTRES[:6])
        feed.wait(1.1)
        feed.frames([2.0, 1.0, 0.0] * 2)
        assert feed.outcome == [(DIOPTRES[:4], "window"), (DIOPTRES[2:6], "timeout")]

    def test_two_distances_are_no_window_however_often_they_come(self) -> None:
        feed = Feed(split="window", count=4).frames([2.0, 1.0] * 20).flush()
        assert feed.outcome == []
        assert feed.dropped == {"duplicate": 38, "too few slices": 1}

    def test_timeout_finishes_a_window_that_never_was_full(self) -> None:
        feed = Feed(split="window", count=9).frames(DIOPTRES[:5])
        feed.wait(1.1)
        assert feed.outcome == [(DIOPTRES[:5], "timeout")]

    def test_timeout_empties_a_window_that_was_given_out(self) -> None:
        feed = Feed(split="window", count=3).frames(DIOPTRES[:3])
        assert feed.wait(1.1) == []
        assert feed.assembler.images_held == 0

    def test_too_short_at_the_end(self) -> None:
        feed = Feed(split="window", count=9).frames(DIOPTRES[:2]).flush()
        assert feed.dropped == {"too few slices": 1}

    def test_change_of_size_empties_the_window(self) -> None:
        feed = Feed(split="window", count=4).frames(DIOPTRES[:4])
        for dioptre in DIOPTRES[4:8]:
            feed.frame(dioptre, SHARP[:6], size=(6, 16))
        assert feed.outcome == [(DIOPTRES[:4], "window"), (DIOPTRES[4:8], "window")]


class TestDuplicates:
    def test_sharper_one_replaces_at_exactly_the_same_distance(self) -> None:
        feed = Feed()
        feed.frame(2.0)
        feed.frame(1.5, BLURRED)
        events = feed.frame(1.503, SHARP)
        added = events[0]
        assert isinstance(added, SliceAdded)
        assert added.replaces_last
        assert added.slice.image is SHARP
        assert added.slice.focus_distance == 1 / 1.5
        assert added.slice.stamp == 3 * PERIOD
        assert reasons(events[1:]) == ["duplicate"]
        feed.frame(1.0)
        assert feed.flush().sweeps[0].slices[1] is added.slice

    def test_one_that_is_not_sharper_is_dropped(self) -> None:
        feed = Feed().frames([2.0, 1.5])
        assert reasons(feed.frame(1.5, BLURRED)) == ["duplicate"]
        assert reasons(feed.frame(1.5, SHARP)) == ["duplicate"]
        feed.frame(1.0)
        assert all(s.image is SHARP for s in feed.flush().sweeps[0].slices)

    def test_sharpest_of_several(self) -> None:
        medium = np.asarray(cv2.GaussianBlur(SHARP, (0, 0), 1.0), dtype=np.uint8)
        feed = Feed().frames([2.0, 1.5])
        for image in (BLURRED, medium, SHARP, BLURRED):
            feed.frame(1.0, image)
        assert feed.flush().sweeps[0].slices[-1].image is SHARP
        assert feed.dropped == {"duplicate": 3}

    def test_distance_drifting_slowly_is_held_against_the_first(self) -> None:
        feed = Feed(min_dioptre_step=0.1).frames([2.0, 1.9375, 1.875, 1.8125, 1.5]).flush()
        assert feed.outcome == [([2.0, 1.875, 1.5], "flush")]

    def test_infinity_repeats_too(self) -> None:
        feed = Feed().frames([1.0, 0.5, 0.0, 0.0, 0.004]).flush()
        assert feed.outcome == [([1.0, 0.5, 0.0], "flush")]

    def test_step_of_zero_keeps_all_that_differ(self) -> None:
        feed = Feed(min_dioptre_step=0.0).frames([1.0, 1.0, 0.9999, 0.9998]).flush()
        assert feed.outcome[0][0] == pytest.approx([1.0, 0.9999, 0.9998], rel=1e-12)
        assert feed.dropped == {"duplicate": 1}


class TestFocusTurn:
    @pytest.mark.parametrize(
        ("dioptres", "new", "expected"),
        [
            ([], 1.0, None),
            ([1.0], 2.0, None),
            ([1.0, 2.0], 2.1, None),
            ([1.0, 2.0, 3.0, 4.0, 5.0], 4.0, "round"),
            ([1.0, 2.0, 3.0, 4.0, 5.0], 3.0, "round"),
            ([1.0, 2.0, 3.0, 4.0, 5.0], 2.4, "back"),
            ([1.0, 2.0, 3.0, 4.0, 5.0], 1.0, "back"),
            ([1.0, 2.0, 3.0, 4.0, 5.0], 0.0, "back"),
            ([1.0, 2.0], 1.0, "round"),
            ([1.0, 2.0], 0.4, "back"),
            ([0.0, 5e-324], 1.0, None),
            ([0.0, 1e308], 0.0, "round"),
        ],
    )
    def test_either_way(self, dioptres: list[float], new: float, expected: str | None) -> None:
        assert focus_turn(dioptres, new) == expected
        assert focus_turn([-d for d in dioptres], -new) == expected

    @pytest.mark.parametrize("n", [3, 5, 10])
    def test_saw_tooth_of_equal_steps_in_metres(self, n: int) -> None:
        metres = np.linspace(0.1, 10.0, n)
        assert focus_turn([1 / m for m in metres], 1 / metres[0]) == "back"
        assert focus_turn([1 / m for m in metres[::-1]], 1 / metres[-1]) == "back"

    @pytest.mark.parametrize("near", np.linspace(0.2, 1.0, 9))
    @pytest.mark.parametrize("n", [3, 4, 5, 10])
    def test_ping_pong_of_any_steps(self, near: float, n: int) -> None:
        for metres in (np.linspace(near, 4.0, n), 1 / np.linspace(1 / near, 0.25, n)):
            dioptres = [1 / m for m in metres]
            assert focus_turn(dioptres, dioptres[-2]) == "round"
            assert focus_turn(dioptres[::-1], dioptres[1]) == "round"

    @pytest.mark.parametrize("n", [3, 5, 10])
    def test_ping_pong_of_equal_steps_in_dioptres(self, n: int) -> None:
        dioptres = list(np.linspace(0.0, 4.0, n))
        assert focus_turn(dioptres, dioptres[-2]) == "round"


class TestSharpness:
    @pytest.mark.parametrize("shape", [(48, 64), (48, 64, 3), (480, 1280, 3)])
    def test_falls_with_blur(self, shape: tuple[int, ...]) -> None:
        noise = np.random.default_rng(1).integers(0, 255, shape, dtype=np.uint8)
        image = np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.0), dtype=np.uint8)
        blurred = [cv2.GaussianBlur(image, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0)]
        values = [sharpness(np.asarray(each, dtype=np.uint8)) for each in (image, *blurred)]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]

    @pytest.mark.parametrize("shape", [(1, 1), (1, 5, 3), (5, 1), (3, 2000)])
    def test_flat_image_has_none(self, shape: tuple[int, ...]) -> None:
        assert sharpness(np.full(shape, 200, np.uint8)) == 0.0

    def test_step_edge(self) -> None:
        image = np.zeros((4, 6), np.uint8)
        image[:, 3:] = 1
        # The Laplacian is 1 and -1 on either side of the edge, 0 in the other four columns.
        assert math.isclose(sharpness(image), 2 / 6, rel_tol=1e-6)
