"""Which truth belongs to a sweep."""

from __future__ import annotations

from focdepth_ros.sweep_parts.nearest_truth import nearest_in_time

SECOND = 10**9


def test_the_nearest_in_stamp_before_or_after() -> None:
    truths = [(1 * SECOND, 0), (2 * SECOND, 0), (4 * SECOND, 0)]
    assert nearest_in_time(truths, (int(2.9 * SECOND), 0), tolerance=1.0) == truths[1]
    assert nearest_in_time(truths, (int(3.2 * SECOND), 0), tolerance=1.0) == truths[2]


def test_none_that_is_too_far_away() -> None:
    assert nearest_in_time([(SECOND, 0)], (int(1.5 * SECOND), 0), tolerance=0.5) == (SECOND, 0)
    assert nearest_in_time([(SECOND, 0)], (int(1.5 * SECOND) + 1, 0), tolerance=0.5) is None
    assert nearest_in_time([], (0, 0), tolerance=0.5) is None


def test_in_a_loop_the_one_of_the_same_round() -> None:
    truths = [(SECOND, 10), (SECOND, 20), (SECOND, 30)]
    assert nearest_in_time(truths, (SECOND, 22), tolerance=0.5) == (SECOND, 20)
