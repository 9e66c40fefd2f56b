"""Lens positions become focus samples of the right images, and nothing is guessed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from focdepth_ros.lens.lens_map import DIOPTRES, LensMap, read_lens_map
from focdepth_ros.lens.positions import (
    FramePositions,
    PositionHistory,
    PositionMatcher,
    sample_at_position,
)
from focdepth_ros.sweep_parts.types import DropReason, FocusSample

MAP = LensMap((0.0, 100.0), (0.0, 4.0))
MS = 1_000_000  # ns


def positions(samples: list[FocusSample]) -> list[tuple[int, float, bool]]:
    return [(s.stamp // MS, s.lens_position, s.settled) for s in samples]


class TestSample:
    @pytest.mark.parametrize(
        ("position", "distance"), [(50.0, 0.5), (100.0, 0.25), (0.0, math.inf)]
    )
    def test_of_a_known_position(self, position: float, distance: float) -> None:
        sample = sample_at_position(7, position, True, MAP)
        assert sample == FocusSample(7, distance, position, True)

    @pytest.mark.parametrize(
        ("position", "lens_map", "reason", "words"),
        [
            (math.nan, MAP, DropReason.UNKNOWN_POSITION, "gave no number"),
            (101.0, MAP, DropReason.OUTSIDE_LENS_MAP, "101 raw is not in [0, 100]"),
            (math.inf, MAP, DropReason.OUTSIDE_LENS_MAP, "inf"),
            (5.0, None, DropReason.OUTSIDE_LENS_MAP, "no lens map"),
        ],
    )
    def test_of_one_that_is_not(
        self, position: float, lens_map: LensMap | None, reason: DropReason, words: str
    ) -> None:
        sample = sample_at_position(7, position, True, lens_map)
        assert math.isnan(sample.focus_distance)
        assert sample.lack is not None
        assert sample.lack[0] == reason
        assert words.replace("\\", "") in sample.lack[1]

    def test_shipped_map_of_dioptres(self) -> None:
        shipped = Path(__file__).parents[3] / "config" / "lens" / "dioptres.yaml"
        assert read_lens_map(shipped) == DIOPTRES
        assert sample_at_position(0, 2.5, True, DIOPTRES).focus_distance == pytest.approx(0.4)


class TestHistory:
    def test_what_was_held(self) -> None:
        history = PositionHistory()
        for time, position in ((10, 1.0), (20, 1.0), (30, 2.0), (40, math.nan), (50, math.nan)):
            assert history.add(time, position)
        held = [history.at(time) for time in (9, 10, 29, 35, 60)]
        assert held[0] is None
        found = [(item.position, item.since) for item in held[1:] if item is not None]
        assert found[:3] == [(1.0, 10), (1.0, 10), (2.0, 30)]
        assert math.isnan(found[3][0])
        assert found[3][1] == 40

    def test_noise_is_no_change_and_drift_is(self) -> None:
        history = PositionHistory(tolerance=0.5)
        for time, position in enumerate((5.0, 5.3, 4.8, 5.5, 5.6)):
            history.add(time, position)
        held = [history.at(3), history.at(4)]
        assert [item.since for item in held if item is not None] == [0, 4]

    def test_late_ones_are_refused_and_old_ones_begin_anew(self) -> None:
        history = PositionHistory()
        history.add(5_000 * MS, 1.0)
        assert not history.add(4_999 * MS, 2.0)
        assert history.add(1_000 * MS, 3.0)
        assert history.at(999 * MS) is None
        held = history.at(6_000 * MS)
        assert held is not None
        assert held.position == 3.0

    def test_memory_is_bounded(self) -> None:
        history = PositionHistory()
        for time in range(10_000):
            history.add(time, float(time))
        assert len(history._changes) <= 256


class TestPositionsWithoutStamps:
    def test_hold_from_their_arrival_on(self) -> None:
        matcher = PositionMatcher(MAP, settle_time=0.1)
        assert matcher.add_image(1 * MS, now=0) == []  # nothing is known yet
        matcher.add_position(50.0, 0, now=100 * MS)
        found = [matcher.add_image(t * MS, now=t * MS) for t in (150, 200)]
        matcher.add_position(50.0, 0, now=210 * MS)  # told once more: no change
        found.append(matcher.add_image(220 * MS, now=220 * MS))
        matcher.add_position(60.0, 0, now=230 * MS)
        found.append(matcher.add_image(240 * MS, now=240 * MS))
        assert [positions(samples) for samples in found] == [
            [(150, 50.0, False)],
            [(200, 50.0, True)],
            [(220, 50.0, True)],
            [(240, 60.0, False)],
        ]


class TestPositionsWithStamps:
    def matcher(self, settle_time: float = 0.0) -> PositionMatcher:
        return PositionMatcher(MAP, settle_time=settle_time, patience=0.1, capacity=4)

    def test_image_gets_that_of_its_stamp(self) -> None:
        matcher = self.matcher()
        matcher.add_position(10.0, 1_000 * MS, now=0)
        assert matcher.add_image(1_020 * MS, now=0) == []
        # One that came before the image was exposed may still be on its way.
        assert matcher.add_position(20.0, 1_010 * MS, now=1 * MS) == []
        samples = matcher.add_position(30.0, 1_030 * MS, now=2 * MS)
        assert positions(samples) == [(1_020, 20.0, True)]

    def test_image_does_not_wait_for_ever(self) -> None:
        matcher = self.matcher()
        matcher.add_position(10.0, 1_000 * MS, now=0)
        matcher.add_image(1_020 * MS, now=5 * MS)
        assert matcher.poll(now=104 * MS) == []
        assert positions(matcher.poll(now=105 * MS)) == [(1_020, 10.0, True)]

    def test_settled_by_stamps_not_by_arrival(self) -> None:
        matcher = self.matcher(settle_time=0.05)
        matcher.add_position(10.0, 1_000 * MS, now=0)
        for stamp in (1_049, 1_050):
            matcher.add_image(stamp * MS, now=0)
        samples = matcher.add_position(11.0, 1_060 * MS, now=0)
        assert positions(samples) == [(1_049, 10.0, False), (1_050, 10.0, True)]

    def test_images_before_the_first_position_wait_for_it(self) -> None:
        matcher = self.matcher()
        matcher.add_image(1_001 * MS, now=0)
        samples = matcher.add_position(10.0, 1_001 * MS, now=1)
        assert positions(samples) == [(1_001, 10.0, True)]

    def test_memory_is_bounded(self) -> None:
        matcher = self.matcher()
        matcher.add_position(10.0, 1 * MS, now=0)
        for stamp in range(2, 1000):
            matcher.add_image(stamp * MS, now=0)
        assert len(matcher.poll(now=10**9)) == 4


class TestPositionsOfFrames:
    def test_settled_once_unchanged_for_long_enough(self) -> None:
        frames = FramePositions(MAP, settle_time=0.05)
        told = [(0, 10.0), (33, 10.0), (66, 10.0), (99, 20.0), (132, 20.0), (165, 20.0)]
        samples = [frames.sample(t * MS, p, moving=False) for t, p in told]
        assert [s.settled for s in samples if s is not None] == [
            False, False, True, False, False, True,
        ]  # fmt: skip

    def test_a_moving_lens_is_not_settled_wherever_it_is(self) -> None:
        frames = FramePositions(MAP, settle_time=0.0)
        samples = [frames.sample(t, 10.0, moving=m) for t, m in ((0, False), (1, True), (2, False))]
        assert [s.settled for s in samples if s is not None] == [True, False, True]

    def test_late_ones_are_left_out(self) -> None:
        frames = FramePositions(MAP, settle_time=0.0)
        assert frames.sample(100 * MS, 10.0, moving=False) is not None
        assert frames.sample(99 * MS, 10.0, moving=False) is None
