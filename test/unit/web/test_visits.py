from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.errors import FocdepthError, OptionError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.web.answer import Answer
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.visits import MOST_WAITING, Visits


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


def test_the_answer_that_was_used_longest_ago_goes_first_and_no_upload(
    visits: Visits, clock: Clock, answer: Answer
) -> None:
    for name in "abc":
        visit = visits.of(name)
        key = visit.new_key()
        visit.files_of(key).mkdir(parents=True)
        (visit.folder / "upload").mkdir()
        visit.show(answer, key)
        clock.seconds += 1.0
    visits.of("a")
    visits.of("d").show(answer, "key")
    for number in range(20):  # who has no answer yet takes none away
        visits.of(f"waiting {number}")
    kept = [visits.of(name).answer is not None for name in "abc"]
    assert kept == [True, False, True]
    names = [sorted(path.name[:6] for path in visits.of(name).folder.iterdir()) for name in "abc"]
    assert names == [["answer", "upload"], ["upload"], ["answer", "upload"]]


def test_visitors_are_so_many_at_most(visits: Visits, clock: Clock) -> None:
    folder, stopped = with_file(visits, "a"), visits.of("a").begin()
    for number in range(100):
        clock.seconds += 0.1
        visits.of(f"another {number}")
    assert len(visits) == 3 + MOST_WAITING
    assert not folder.exists()
    assert stopped.is_set()


def test_nobody_guesses_where_the_files_of_another_are(visits: Visits) -> None:
    names = [visits.of(name).folder.name for name in "ab"]
    assert all(len(name) > 20 for name in names)
    assert names[0] != names[1]


def test_files_that_are_kept_look_new(visits: Visits) -> None:
    file = with_file(visits, "a") / "file"
    os.utime(file, (0.0, 0.0))
    visits.touch()
    assert time.time() - file.stat().st_mtime < 60.0


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
