from __future__ import annotations

import pytest

from focdepth_ros.ros.node_support.health import Level, NodeHealth


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def lines() -> list[tuple[Level, str]]:
    return []


@pytest.fixture
def health(watch: Watch, lines: list[tuple[Level, str]]) -> NodeHealth:
    return NodeHealth(
        lambda level, text: lines.append((level, text)), log_period=10.0, hold=5.0, clock=watch
    )


def test_all_is_well(health: NodeHealth) -> None:
    health.count("images")
    health.count("images", 2)
    health.set_value("latency", "3 ms")
    report = health.report("working")
    assert (report.level, report.message) == (Level.OK, "working")
    assert report.values == {"images": "3", "latency": "3 ms"}


def test_problems_are_logged_once_per_period_and_reason(
    health: NodeHealth, watch: Watch, lines: list[tuple[Level, str]]
) -> None:
    for number in range(50):
        health.problem("bad image", f"number {number}")
        health.problem("lost", f"number {number}", Level.ERROR)
        watch.now += 0.1
    assert lines == [(Level.WARN, "bad image: number 0"), (Level.ERROR, "lost: number 0")]
    watch.now += 6.0
    health.problem("bad image", "number 50")
    assert lines[2:] == [(Level.WARN, "bad image: number 50 (49 more before, not logged)")]
    assert health.problem_counts() == {"bad image": 51, "lost": 50}


def test_problems_stay_in_the_report_for_a_while(health: NodeHealth, watch: Watch) -> None:
    health.problem("bad image", "first")
    watch.now += 4.0
    health.problem("bad image", "second")
    watch.now += 4.0
    report = health.report("working")
    assert (report.level, report.message) == (Level.WARN, "bad image: second")
    watch.now += 2.0
    report = health.report("working")
    assert (report.level, report.message) == (Level.OK, "working")
    assert report.values == {"bad image": "2"}


def test_problems_of_level_ok_are_only_counted(
    health: NodeHealth, lines: list[tuple[Level, str]]
) -> None:
    health.problem("duplicate", "as usual", Level.OK)
    assert lines == []
    report = health.report("working")
    assert (report.level, report.message) == (Level.OK, "working")
    assert report.values == {"duplicate": "1"}


def test_conditions_last_until_they_are_cleared(
    health: NodeHealth, watch: Watch, lines: list[tuple[Level, str]]
) -> None:
    for _ in range(3):
        health.condition("camera", "no calibration")
        watch.now += 100.0
    health.condition("camera", "wrong calibration")
    assert health.report("working").message == "wrong calibration"
    health.condition("camera", None)
    health.condition("camera", None)
    assert health.report("working").message == "working"
    assert lines == [
        (Level.WARN, "no calibration"),
        (Level.WARN, "wrong calibration"),
        (Level.OK, "no longer so: wrong calibration"),
    ]


def test_the_worst_comes_first(health: NodeHealth) -> None:
    health.condition("camera", "no calibration")
    health.problem("failed", "badly", Level.ERROR)
    report = health.report("working")
    assert (report.level, report.message) == (Level.ERROR, "failed: badly; no calibration")
