"""What a click does, without a browser: stopping, errors, another field of view."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio")

import gradio as gr

from focdepth_ros.backends.argmax import ArgmaxBackend
from focdepth_ros.backends.base import Accumulator, SweepSpec
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.stack import Slice
from focdepth_ros.web import answer, scenes
from focdepth_ros.web.handlers import Handlers
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.page import BUILT_IN, UPLOADED, Parts, lay_out
from focdepth_ros.web.scenes import SCENES
from focdepth_ros.web.visits import Visits

SIZE = (64, 48)
TITLE = next(iter(SCENES))


class Page:
    """A page of the server, with a name for each visitor."""

    def __init__(self, folder: Path) -> None:
        limits = WebLimits()
        with gr.Blocks():
            self.parts: Parts = lay_out(limits)
        self.closing = threading.Event()
        self.visits = Visits(folder, limits)
        self.handlers = Handlers(self.parts, self.visits, limits, SIZE, self.closing)

    def ask(
        self,
        name: str,
        on_words: Callable[[str], None] = lambda words: None,
        *,
        source: str = BUILT_IN,
        backend: str = "argmax",
        distances: str = "",
    ) -> dict[Any, Any]:
        """Press Estimate depth; `on_words` is called with what the bar says."""

        def progress(share: float, desc: str) -> None:
            on_words(desc)

        updates: dict[Any, Any] = self.handlers.estimate(
            source, TITLE, False, distances, False, backend, "none", 0.15, 60.0,
            visitor(name), progress,  # type: ignore[arg-type]
        )  # fmt: skip
        return updates

    def stop(self, name: str) -> tuple[Any, ...]:
        return tuple(self.handlers.stop(visitor(name)))

    def upload(self, name: str, paths: list[Path]) -> tuple[str, str]:
        shown, status = self.handlers.upload([str(path) for path in paths], visitor(name))
        return shown, status


def visitor(name: str) -> Any:
    return SimpleNamespace(session_hash=name)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


def can_ask_again(page: Page, updates: dict[Any, Any]) -> bool:
    run, stop = updates[page.parts.run], updates[page.parts.stop]
    return bool(run["interactive"] and not stop["interactive"])


@pytest.mark.parametrize("when", ["Rendering the scene", "Slice 2 of 10", "Drawing"])
def test_a_stopped_run_ends_there_and_the_next_visitor_is_answered(
    when: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    if when.startswith("Rendering"):  # of a scene that was not asked for before
        monkeypatch.setattr(scenes, "_kept", scenes.OrderedDict())
    told: list[str] = []

    def stop_then(words: str) -> None:
        told.append(words)
        if words == when:
            page.stop("a")

    updates = page.ask("a", stop_then)
    assert "Stopped." in updates[page.parts.status]
    assert page.visits.of("a").answer is None
    assert told[-1] == when
    assert told.count(when) == 1
    assert not [*page.visits.of("a").folder.glob("answer_*")]
    assert can_ask_again(page, updates)
    assert "<dl" in page.ask("b")[page.parts.status]
    assert "<dl" in page.ask("a")[page.parts.status]


def test_a_stop_leaves_the_answer_before(page: Page) -> None:
    page.ask("a")
    kept = page.visits.of("a").answer
    status, run, stop = page.stop("a")
    assert "Stopped. The answer before stays." in status
    assert "<dl" in status
    assert run["interactive"]
    assert not stop["interactive"]
    updates = page.ask("a", lambda words: page.stop("a") if words == "Slice 1 of 10" else None)
    assert "Stopped. The answer before stays." in updates[page.parts.status]
    assert page.visits.of("a").answer is kept


class _Slow(ArgmaxBackend):
    """Works in steps of its own once the slices are there."""

    steps = 4
    finished = 0

    def start(self, spec: SweepSpec) -> Accumulator:
        backend, inner = self, super().start(spec)

        class InSteps(Accumulator):
            def add(self, item: Slice) -> None:
                inner.add(item)

            def finish(self) -> DepthEstimate:
                for number in range(4):
                    assert backend.on_step is not None
                    backend.on_step(f"epoch {number}")
                backend.finished += 1
                return inner.finish()

        return InSteps()


def test_a_backend_is_stopped_between_its_own_steps_and_no_other_answers(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = _Slow()
    monkeypatch.setattr(answer, "_backend", lambda name: slow)
    told: list[str] = []

    def stop_in_epoch(words: str) -> None:
        told.append(words)
        if words == "epoch 1":
            page.stop("a")

    assert "Stopped." in page.ask("a", stop_in_epoch)[page.parts.status]
    assert told[-1] == "epoch 1"
    assert slow.finished == 0
    assert "<dl" in page.ask("a")[page.parts.status]
    assert slow.finished == 1


def test_a_closed_page_ends_its_work(page: Page) -> None:
    told: list[str] = []

    def leave(words: str) -> None:
        told.append(words)
        if words == "Slice 3 of 10":
            page.visits.leave("a")

    page.ask("a", leave)
    assert told[-1] == "Slice 3 of 10"


def test_the_end_of_the_server_is_told(page: Page) -> None:
    updates = page.ask("a", lambda words: page.closing.set() if "Slice 3" in words else None)
    assert "The server is ending; open the page again later." in updates[page.parts.status]


def test_the_next_waits_for_the_step_that_a_stopped_run_is_in(page: Page) -> None:
    inside, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def first(words: str) -> None:
        order.append(f"a {words}")
        if words == "Slice 2 of 10":
            inside.set()
            assert go_on.wait(60.0)

    worker = threading.Thread(target=page.ask, args=("a", first))
    worker.start()
    assert inside.wait(60.0)
    page.stop("a")
    other = threading.Thread(target=page.ask, args=("b", lambda words: order.append(f"b {words}")))
    other.start()
    other.join(0.3)
    go_on.set()
    worker.join(60.0)
    other.join(60.0)
    last_of_a = max(number for number, words in enumerate(order) if words.startswith("a "))
    assert all(words.startswith("b ") for words in order[last_of_a + 1 :])
    assert order[last_of_a] == "a Slice 2 of 10"
    assert order[-1] == "b Drawing"


def test_what_is_wrong_stands_where_the_answer_would(page: Page, pictures: list[Path]) -> None:
    updates = page.ask("a", source=UPLOADED)
    assert "No images were uploaded yet; give some" in updates[page.parts.status]
    assert can_ask_again(page, updates)
    page.upload("a", pictures)
    updates = page.ask("a", source=UPLOADED, distances="0.4, 0.6")
    assert "2 focus distances for 4 images" in updates[page.parts.status]
    assert can_ask_again(page, updates)


def test_what_nobody_thought_of_goes_to_the_log(
    page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("secret path /home/somebody")

    monkeypatch.setattr(answer, "_backend", fail)
    updates = page.ask("a")
    assert "Something went wrong inside" in updates[page.parts.status]
    assert "secret" not in updates[page.parts.status]
    assert "secret path" in caplog.text
    assert can_ask_again(page, updates)


def test_an_upload_tells_what_is_left_out(page: Page, pictures: list[Path]) -> None:
    notes = [pictures[0].parent / name for name in ("intrinsic.yaml", "notes<b>.txt")]
    for path in notes:
        path.write_text("fx: 500\n")
    shown, status = page.upload("a", [*pictures, *notes])
    assert "4 images were taken, without focus distances." in shown
    assert "Left out, since not part of the stack: intrinsic.yaml, notes&lt;b&gt;.txt." in shown
    assert status == ""
    shown, _ = page.upload("a", notes)
    assert "is no image; give" in shown


def test_another_field_of_view_moves_the_points_and_nothing_else(
    page: Page, pictures: list[Path]
) -> None:
    page.upload("a", pictures)
    first = page.ask("a", source=UPLOADED, distances="0.4, 0.6, 1.2, 4")
    assert "Assumed field of view: 60° across" in first[page.parts.cloud]
    narrow = page.visits.of("a").answer
    key = page.visits.of("a").key
    assert narrow is not None
    updates = page.handlers.look(90.0, visitor("a"))
    folder = page.visits.of("a").folder
    assert [path.name for path in folder.glob("answer_*")] == [f"answer_{page.visits.of('a').key}"]
    wide = page.visits.of("a").answer
    assert wide is not None
    assert "Assumed field of view: 90° across" in updates[page.parts.cloud]
    assert "sees 90 degrees across" in updates[page.parts.status]
    assert page.visits.of("a").key != key
    assert wide.estimate is narrow.estimate
    ratio = wide.cloud.half_width / narrow.cloud.half_width
    assert ratio == pytest.approx(3.0**0.5, rel=1e-3)  # tan 45° / tan 30°


def test_a_known_camera_keeps_its_field_of_view(page: Page) -> None:
    page.ask("a")
    before = page.visits.of("a").answer
    assert page.parts.cloud not in page.handlers.look(90.0, visitor("a"))
    assert page.visits.of("a").answer is before
    assert before is not None
    assert not replace(before).view_assumed


def test_images_from_far_to_near_are_turned_round(page: Page, pictures: list[Path]) -> None:
    page.upload("a", pictures)
    for far_first in (False, True):
        page.handlers.estimate(
            UPLOADED, TITLE, False, "", far_first, "argmax", "none", 0.15, 60.0,
            visitor("a"), lambda share, desc: None,
        )  # fmt: skip
        found = page.visits.of("a").answer
        assert found is not None
        nearest = found.stack.slices[0].image
        if not far_first:
            first = nearest
    assert (found.stack.slices[-1].image == first).all()
    assert not (nearest == first).all()
