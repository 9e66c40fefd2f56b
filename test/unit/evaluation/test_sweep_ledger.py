"""Which sweeps are named as not answered, and which frames as left out."""

from __future__ import annotations

from focdepth_ros.evaluation.sweep_ledger import SweepLedger


def test_nothing_is_missing() -> None:
    ledger = SweepLedger()
    ledger.begin(0)
    assert [ledger.enter(n, {}) for n in (1, 2, 3)] == [1, 2, 3]
    assert list(ledger.unanswered(3)) == []
    assert ledger.left_out() == ""


def test_gaps_are_named_with_their_reason() -> None:
    ledger = SweepLedger()
    ledger.begin(0)
    ledger.enter(2, {"no depth": 1})
    ledger.enter(5, {"no depth": 1, "sweep outrun": 1})
    ledger.enter(7, {"no depth": 1, "sweep outrun": 1})
    missing = dict(ledger.unanswered(8))
    assert list(missing) == [1, 3, 4, 6, 8]
    assert "by depth_node: no depth (1)" in missing[1]
    assert "by depth_node: sweep outrun (1)" in missing[3]
    assert missing[6] == "its answer was not received"
    assert "diagnostics say why" in missing[8]
    assert ledger.left_out() == ""  # they are named already


def test_nothing_was_answered() -> None:
    ledger = SweepLedger()
    ledger.begin(0)
    assert [number for number, _ in ledger.unanswered(2)] == [1, 2]
    assert ledger.left_out() == ""


def test_what_was_before_does_not_count() -> None:
    ledger = SweepLedger()
    ledger.begin(10)
    ledger.begin(12)  # only the first time
    ledger.enter(11, {"no image": 5})
    ledger.enter(13, {"no image": 6})
    assert [number for number, _ in ledger.unanswered(13)] == [12]
    assert ledger.left_out() == "no image (1)"


def test_an_answer_may_come_before_the_diagnostics() -> None:
    ledger = SweepLedger()
    ledger.enter(4, {})
    ledger.begin(9)
    assert list(ledger.unanswered(4)) == []


def test_frames_left_out() -> None:
    ledger = SweepLedger()
    ledger.begin(0)
    first = {"no focus state": 2, "unsettled": 3, "too few slices": 1, "unknown encoding": 1}
    ledger.enter(1, first)
    warned = {"fell back": 1, "backend warning": 1, "alignment warning": 1}
    ledger.enter(2, {**first, "unsettled": 9, "no image": 4, **warned})
    assert ledger.left_out() == "unknown encoding (1), no image (4)"


def test_a_node_that_is_started_anew_counts_on() -> None:
    ledger = SweepLedger()
    ledger.begin(0)
    assert [ledger.enter(n, {}) for n in (1, 2, 1, 2)] == [1, 2, 3, 4]
    assert list(ledger.unanswered(2)) == []
