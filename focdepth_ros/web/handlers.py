"""What happens on the page: each click, from what is set to what is shown."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from html import escape
from pathlib import Path
from threading import Event, Lock
from typing import Any

import gradio as gr

from focdepth_ros.errors import FocdepthError
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray
from focdepth_ros.stack_folder.reading import StackFolder
from focdepth_ros.web import snippets
from focdepth_ros.web.answer import Answer, Progress, Question, work_out
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.page import BUILT_IN, TOGGLE_DARK, UPLOADED, Parts
from focdepth_ros.web.scenes import render_scene
from focdepth_ros.web.uploads import parse_distances, receive, without_folder
from focdepth_ros.web.visits import Stopped, Visit, Visits

_log = logging.getLogger(__name__)

# Shares of the bar: until the images are there, and until the depth is.
_READ, _RENDERED, _WORKED = 0.15, 0.6, 0.9

Updates = dict[Any, Any]


def told(work: Callable[..., Any]) -> Callable[..., Any]:
    """Errors become sentences on the page."""

    @functools.wraps(work)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return work(*args, **kwargs)
        except Exception as error:
            text = _sentence(error)
        # The page shows messages as HTML, and they quote names that others chose.
        raise gr.Error(
            escape(text), title="That did not work", duration=None, print_exception=False
        )

    return wrapper


def _sentence(error: Exception) -> str:
    """An error as a visitor reads it; those that nobody thought of go to the log, too."""
    if isinstance(error, FocdepthError):
        return str(error)
    _log.error("a visitor's click failed", exc_info=error)
    return "something went wrong inside; whoever runs this page finds it in the log"


class Handlers:
    """The functions behind the components of one page.

    Parameters
    ----------
    parts : Parts
    visits : Visits
    limits : WebLimits
    scene_size : (int, int)
        Width and height of the built-in scenes in pixels.
    closing : Event
        Set when the server ends: what is being worked out is given up.
    """

    def __init__(
        self,
        parts: Parts,
        visits: Visits,
        limits: WebLimits,
        scene_size: tuple[int, int],
        closing: Event,
    ) -> None:
        self._parts = parts
        self._visits = visits
        self._limits = limits
        self._scene_size = scene_size
        self._closing = closing
        # What was stopped may be in its last step yet when the queue goes on.
        self._working = Lock()

    def connect(self) -> None:
        """Tie the functions to the components of the `gr.Blocks` that is open."""
        parts = self._parts
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        latest = {"trigger_mode": "always_last", **hidden}
        parts.mode.click(None, js=TOGGLE_DARK, api_visibility="private")
        groups = [parts.scene_group, parts.upload_group]
        parts.source.change(self.choose_source, parts.source, groups, **hidden)
        parts.files.change(
            self.upload, parts.files, [parts.upload_status, parts.status],
            show_progress_on=parts.upload_status, api_visibility="private",
        )  # fmt: skip
        asked = [
            parts.source, parts.scene, parts.hand_held, parts.distances, parts.far_first,
            parts.backend, parts.alignment, parts.min_confidence, parts.field_of_view,
        ]  # fmt: skip
        buttons = [parts.run, parts.stop]
        downloads = [*parts.downloads.values()]
        shown = [
            parts.status, parts.introduction, parts.results, parts.sharp, parts.slice_picture,
            parts.slice_slider, parts.slice_caption, parts.refocused, parts.refocus_slider,
            parts.refocus_caption, parts.depth, parts.depth_bar, parts.confidence, parts.cloud,
            parts.reading, *downloads, *buttons,
        ]  # fmt: skip
        pressed = parts.run.click(_busy, None, [parts.status, *buttons], queue=False, **hidden)
        working = pressed.then(
            self.estimate, asked, shown, show_progress_on=parts.status, concurrency_limit=1,
            concurrency_id="estimate", api_visibility="private",
        )  # fmt: skip
        working.failure(_idle, None, buttons, queue=False, **hidden)  # the queue is full
        parts.stop.click(
            self.stop, None, [parts.status, *buttons], cancels=working, queue=False, **hidden
        )
        parts.field_of_view.change(
            self.look, parts.field_of_view, [parts.status, parts.cloud, *downloads], **latest
        )
        parts.slice_slider.input(
            self.show_slice, parts.slice_slider, [parts.slice_picture, parts.slice_caption],
            **latest,
        )  # fmt: skip
        refocused = [parts.refocused, parts.refocus_caption]
        parts.refocus_slider.input(self.refocus, parts.refocus_slider, refocused, **latest)
        parts.refocused.select(
            self.focus_here, None, [parts.refocus_slider, *refocused, parts.reading], **hidden
        )
        read = [parts.reading, parts.sharp, parts.depth]
        for picture in (parts.sharp, parts.depth, parts.confidence, parts.slice_picture):
            picture.select(self.read, None, read, **hidden)

    @told
    def choose_source(self, source: str) -> tuple[Any, Any]:
        """Show the settings of simulated scenes or of uploads."""
        return gr.update(visible=source == BUILT_IN), gr.update(visible=source == UPLOADED)

    @told
    def upload(self, files: list[str] | None, request: gr.Request) -> tuple[str, str]:
        """Check an upload at once, so that nobody waits for a bad one."""
        visit = self._visit(request)
        visit.upload = None
        # What was wrong with the upload before is no longer said.
        status = "" if visit.answer is None else snippets.summary(visit.answer)
        if not files:
            return snippets.nothing_uploaded(), status
        try:
            visit.upload = receive(
                [Path(file) for file in files], _upload_folder(visit), self._limits
            )
        except FocdepthError as error:
            return snippets.problem(str(error)), status
        return snippets.upload_summary(visit.upload), status

    def estimate(
        self,
        source: str,
        scene: str,
        hand_held: bool,
        distances: str | None,
        far_first: bool,
        backend: str,
        alignment: str,
        min_confidence: float,
        field_of_view: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, how Gradio knows that it is wanted
    ) -> Updates:
        """Work out the stack that is chosen; what is wrong stands where the answer would."""
        visit = self._visit(request)
        stopped, key = visit.begin(), visit.new_key()
        question = Question(backend, alignment, float(min_confidence), float(field_of_view))

        def advance(share: float, words: str) -> None:
            if stopped.is_set() or self._closing.is_set():
                raise Stopped
            progress(share, desc=words)

        def worked(share: float, words: str, start: float) -> None:
            advance(start + share * (_WORKED - start), words)

        try:
            with self._working:
                if source == BUILT_IN:
                    stack, truth = self._rendered(scene, hand_held, advance)
                    title, start = f"“{scene}”{', hand-held' if hand_held else ''}", _RENDERED
                else:
                    advance(0.0, "Reading the images")
                    stack, truth = self._uploaded(visit, distances or "", far_first=far_first)
                    title, start = "the uploaded images", _READ
                answer = work_out(
                    stack, truth, question, functools.partial(worked, start=start), title=title
                )
                advance(_WORKED, "Drawing")
                updates = self._shown(answer, visit, key)
                if stopped.is_set():
                    raise Stopped
                visit.show(answer, key)
        except Stopped:
            visit.drop(key)
            text = snippets.stopped(visit.answer)
            if self._closing.is_set():
                text = snippets.problem("the server is ending; open the page again later")
            updates = {self._parts.status: text}
        except Exception as error:
            updates = {self._parts.status: snippets.problem(_sentence(error))}
        return {**updates, **dict(zip((self._parts.run, self._parts.stop), _idle(), strict=True))}

    @told
    def stop(self, request: gr.Request) -> tuple[Any, ...]:
        """Give up what is being worked out for this visitor, or waits for that."""
        visit = self._visit(request)
        visit.stop()
        return snippets.stopped(visit.answer), *_idle()

    @told
    def look(self, degrees: float, request: gr.Request) -> Updates:
        """Show the points as a camera of another field of view would see them."""
        visit = self._visit(request)
        if visit.answer is None or not visit.answer.view_assumed:
            return {self._parts.status: gr.skip()}
        answer, key = visit.answer.seen_across(float(degrees)), visit.new_key()
        updates = {
            self._parts.status: snippets.summary(answer),
            self._parts.cloud: snippets.cloud(answer, key),
            **self._files(answer, visit.files_of(key)),
        }
        visit.show(answer, key)
        return updates

    @told
    def show_slice(self, number: float, request: gr.Request) -> tuple[ImageArray, str]:
        """The slice of a number, counted from 1."""
        answer = self._visit(request).answered()
        index = min(max(int(number) - 1, 0), len(answer.stack) - 1)
        picture = answer.on_screen(answer.slice_picture(index))
        return picture, snippets.slice_caption(answer.stack, index)

    @told
    def refocus(self, number: float, request: gr.Request) -> tuple[ImageArray, str]:
        """The scene focused at a place in the stack, counted from 1."""
        return _refocused(self._visit(request).answered(), float(number) - 1.0)

    @told
    def focus_here(self, request: gr.Request, event: gr.SelectData) -> tuple[Any, ...]:
        """Focus where the refocused picture is clicked."""
        answer = self._visit(request).answered()
        x, y = _pixel(event, answer)
        found = answer.read(x, y)
        line = snippets.reading(answer, x, y, found)
        if found.depth != found.depth:
            return gr.skip(), gr.skip(), gr.skip(), line
        place = found.slice_index
        return round(place + 1.0, 1), *_refocused(answer, place), line

    @told
    def read(self, request: gr.Request, event: gr.SelectData) -> tuple[Any, ...]:
        """Depth and confidence where a picture is clicked."""
        answer = self._visit(request).answered()
        at = _pixel(event, answer)
        line = snippets.reading(answer, *at, answer.read(*at))
        pictures = (answer.sharp, answer.depth_picture())
        return line, *(answer.on_screen(picture, at) for picture in pictures)

    def _visit(self, request: gr.Request) -> Visit:
        return self._visits.of(str(request.session_hash))

    def _rendered(
        self, scene: str, hand_held: bool, advance: Progress
    ) -> tuple[FocalStack, FloatImage | None]:
        """A built-in scene and its true depth."""
        words = "Rendering the scene"
        advance(0.0, words)
        width, height = self._scene_size
        return render_scene(
            scene, hand_held=hand_held, width=width, height=height,
            progress=lambda share: advance(_RENDERED * share, words),
        )  # fmt: skip

    def _uploaded(
        self, visit: Visit, text: str, *, far_first: bool
    ) -> tuple[FocalStack, FloatImage | None]:
        """The uploaded stack with the distances of the text field, and its ground truth."""
        if visit.upload is None:
            raise FocdepthError("no images were uploaded yet; give some, or take a simulated scene")
        folder, size = _upload_folder(visit), self._limits.max_side
        try:
            opened = StackFolder.open(folder, focus_distances=parse_distances(text))
            if far_first and opened.focus_distances is None:
                opened = opened.reversed()
            return opened.load(max_size=size), opened.ground_truth(max_size=size)
        except FocdepthError as error:
            raise FocdepthError(without_folder(str(error), folder)) from error

    def _shown(self, answer: Answer, visit: Visit, key: str) -> Updates:
        parts = self._parts
        middle = len(answer.stack) // 2
        refocused: tuple[ImageArray | None, str]
        try:
            refocused = _refocused(answer, float(middle))
        except FocdepthError as error:
            refocused = None, snippets.note(str(error))
        numbers = {"minimum": 1, "maximum": len(answer.stack), "value": middle + 1}
        return {
            parts.status: snippets.summary(answer),
            parts.introduction: gr.update(visible=False),
            parts.results: gr.update(visible=True),
            parts.sharp: answer.on_screen(answer.sharp),
            parts.slice_picture: answer.on_screen(answer.slice_picture(middle)),
            parts.slice_slider: gr.update(**numbers),
            parts.slice_caption: snippets.slice_caption(answer.stack, middle),
            parts.refocused: refocused[0],
            parts.refocus_slider: gr.update(**numbers),
            parts.refocus_caption: refocused[1],
            parts.depth: answer.on_screen(answer.depth_picture()),
            parts.depth_bar: snippets.depth_bar(answer),
            parts.confidence: answer.on_screen(answer.confidence_picture()),
            parts.cloud: snippets.cloud(answer, key),
            parts.reading: snippets.invitation(),
            **self._files(answer, visit.files_of(key)),
        }

    def _files(self, answer: Answer, folder: Path) -> Updates:
        """What can be downloaded."""
        files = answer.write_files(folder)
        return {
            button: gr.update(
                value=str(files[name]) if name in files else None, interactive=name in files
            )
            for name, button in self._parts.downloads.items()
        }


def _busy() -> tuple[Any, ...]:
    """Status and buttons while a stack is worked out; the progress is drawn over the status."""
    return "", gr.update(interactive=False), gr.update(interactive=True)


def _idle() -> tuple[Any, Any]:
    """The buttons while nothing is worked out."""
    return gr.update(interactive=True), gr.update(interactive=False)


def _upload_folder(visit: Visit) -> Path:
    return visit.folder / "upload"


def _refocused(answer: Answer, place: float) -> tuple[ImageArray, str]:
    place = min(max(place, 0.0), len(answer.stack) - 1.0)
    picture = answer.on_screen(answer.refocuser.picture(place))
    return picture, snippets.refocus_caption(answer, place)


def _pixel(event: gr.SelectData, answer: Answer) -> tuple[int, int]:
    """Column and row of the pixel of the stack that was clicked."""
    x, y = event.index
    return int(x) // answer.enlargement, int(y) // answer.enlargement
