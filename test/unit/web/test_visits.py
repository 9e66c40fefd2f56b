from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.errors import FocdepthError, OptionError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.web.answer import Answer
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.visits import Visits


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def visits(tmp_path: Path, clock: Clock) -> Visits:
    return Visits(tmp_path, WebLimits(max_visits=3, idle_minutes=10.0), clock)


@pytest.fixture
def answer(small_sweep: SimulatedStack) -> Answer:
    empty = np.zeros(small_sweep.depth.shape, np.float32)
    return Answer(small_sweep.stack, DepthEstimate(empty, empty, empty, "x", True))


def with_file(visits: Visits, name: str) -> Path:
    folder = visits.of(name).folder
    folder.mkdir(exist_ok=True)
    (folder / "file").touch()
    return folder


def test_every_visitor_has_a_folder_of_his_own(visits: Visits) -> None:
    assert visits.of("a") is visits.of("a")
    assert visits.of("a").folder != visits.of("b").folder


def test_what_is_idle_is_removed(visits: Visits, clock: Clock) -> None:
    folder = with_file(visits, "a")
    clock.seconds += 599.0
    visits.of("b")
    assert folder.exists()
    clock.seconds += 2.0
    visits.of("b")
    assert not folder.exists()
    assert len(visits) == 1


def test_what_was_used_longest_ago_goes_first(visits: Visits, clock: Clock) -> None:
    folders = {}
    for name in "abc":
        folders[name] = with_file(visits, name)
        clock.seconds += 1.0
    visits.of("a")
    visits.of("d")
    assert [folders[name].exists() for name in "abc"] == [True, False, True]


def test_a_closed_page_is_forgotten_soon_but_may_come_back(visits: Visits, clock: Clock) -> None:
    folder = with_file(visits, "a")
    visits.leave("a")
    visits.leave("nobody")
    assert folder.exists()
    clock.seconds += 200.0
    visits.of("a")  # a telephone woke up
    clock.seconds += 200.0
    visits.tidy()
    assert folder.exists()
    visits.leave("a")
    clock.seconds += 301.0
    visits.tidy()
    assert not folder.exists()


def test_answers_are_found_by_a_key_that_changes(visits: Visits, answer: Answer) -> None:
    visit = visits.of("a")
    assert visits.with_key("") is None
    with pytest.raises(FocdepthError, match="no longer kept; press Estimate depth again"):
        visit.answered()
    key = visit.new_key()
    visit.show(answer, key)
    visit.files_of(key).mkdir(parents=True)
    assert len(key) > 16
    assert visits.with_key(key) is visit
    other = visit.new_key()
    visit.files_of(other).mkdir()
    visit.show(answer, other)
    assert visits.with_key(key) is None
    assert [path.name for path in visit.folder.iterdir()] == [f"answer_{other}"]
    assert visit.answered() is answer


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_images", 1), ("max_megapixels", 0.0), ("max_upload_mb", float("nan")),
     ("max_unpacked_mb", -1.0), ("max_side", 10), ("idle_minutes", float("inf"))],
)  # fmt: skip
def test_limits_that_cannot_be_are_named(name: str, value: float) -> None:
    with pytest.raises(OptionError, match=f"{name} is {value}"):
        WebLimits(**{name: value})
