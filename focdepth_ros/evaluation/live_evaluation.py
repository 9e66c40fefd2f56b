"""Scores of answers and ground truths that come in one by one, by the rules of bags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focdepth_ros.datasets.bag_sweeps import LEFT_OUT
from focdepth_ros.errors import EvaluationError, FocdepthError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.pictures import make_scene_pictures, write_pictures
from focdepth_ros.evaluation.results import write_results
from focdepth_ros.evaluation.score_file import ScoreFile
from focdepth_ros.evaluation.scores import SceneScore, score_depth
from focdepth_ros.stack import FloatImage
from focdepth_ros.sweep_parts.nearest_truth import nearest_in_time
from focdepth_ros.sweep_parts.types import seconds

_NANOSECONDS = 10**9  # per second
# Seconds for which a truth is waited for that may be nearer than those that are there.
_PATIENCE = 20.0
_UNKNOWN_BACKEND = "unknown"


@dataclass(frozen=True, eq=False)
class LiveAnswer:
    """The answer to a sweep as it came over topics.

    Parameters
    ----------
    scene : str
        Name of the sweep.
    stamp, received : int
        Stamp of its reference slice, and when the answer came, in nanoseconds.
    estimate : DepthEstimate
        With the all-in-focus image, if the report is to show what the scene looks like.
    slices : int
    seconds, finish_seconds : float
        See `SceneScore`.
    fallback_reason : str
        Why another backend answered than was asked; empty: none did.
    frame_id : str
        Of the depth.
    """

    scene: str
    stamp: int
    received: int
    estimate: DepthEstimate
    slices: int
    seconds: float
    finish_seconds: float
    fallback_reason: str = ""
    frame_id: str = ""


@dataclass(frozen=True, eq=False)
class _Truth:
    stamp: int
    received: int
    decode: Callable[[], FloatImage]
    frame_id: str


class LiveEvaluation:
    """Pairs answers with truths, and scores them as `focdepth evaluate` does.

    Parameters
    ----------
    file : ScoreFile
        Where the scores go as they are made.
    topic : str
        Of the truths, for messages.
    tolerance : float
        Seconds between the reference slice and a truth of it, at most.
    truths_kept : int
        As many of the last truths can still be paired.
    backend : str
        That was asked for; empty: that of the first answer that is no fallback.
    same_grid : bool
        Whether truths are on the pixel grid of the images, whatever their frame is called.
    pictures : bool
        Whether to write pictures for the report.
    not_written : callable
        Called when scores or pictures cannot be written, as when the disk is full; it goes on.
    """

    def __init__(
        self,
        file: ScoreFile,
        topic: str,
        *,
        tolerance: float,
        truths_kept: int,
        backend: str = "",
        same_grid: bool = False,
        pictures: bool = True,
        not_written: Callable[[OSError], None],
    ) -> None:
        self._file = file
        self._topic = topic
        self._tolerance = tolerance
        self._truths_kept = truths_kept
        self._truths: dict[int, _Truth] = {}  # by stamp, in the order in which they came
        self._last_truth: _Truth | None = None
        self._let_go = 0
        self._backend = backend
        self._same_grid = same_grid
        self._pictures = pictures
        self._not_written = not_written
        self._waiting: list[LiveAnswer] = []
        self._nameless: list[tuple[str, str]] = []

    @property
    def scores(self) -> list[SceneScore]:
        """All so far, in the order in which they were made."""
        return self._file.scores

    def add_truth(
        self, stamp: int, received: int, decode: Callable[[], FloatImage], frame_id: str = ""
    ) -> None:
        """Take in a ground truth; `decode` gives metres, or raises a `FocdepthError`."""
        self._last_truth = _Truth(stamp, received, decode, frame_id)
        self._truths.pop(stamp, None)  # of a bag that is played in a loop
        self._truths[stamp] = self._last_truth
        if len(self._truths) > self._truths_kept:
            del self._truths[next(iter(self._truths))]
            self._let_go += 1

    def add_answer(self, answer: LiveAnswer) -> None:
        """Take in an answer; it is scored once the truth that is nearest to it is known."""
        if not answer.fallback_reason and not self._backend:
            self._name(answer.estimate.backend)
        self._waiting.append(answer)

    def leave_out(self, scene: str, why: str) -> None:
        """Name what cannot be scored."""
        if self._backend:
            self._add(SceneScore(scene, self._backend, error=why))
        else:
            self._nameless.append((scene, why))

    def settle(self, now: int | None = None) -> None:
        """Score the answers whose truth is known at this time in nanoseconds; None: all."""
        for answer in list(self._waiting):
            truth = self._truth_of(answer)
            # Truths come in the order of their stamps: after a newer one none comes that is nearer.
            last = self._last_truth
            is_known = truth is not None and last is not None and last.stamp >= answer.stamp
            is_overdue = now is None or now - answer.received > _PATIENCE * _NANOSECONDS
            if is_known or is_overdue:
                self._waiting.remove(answer)
                self._score(answer, truth)

    def finish(self, title: str, about: Mapping[str, Any]) -> Path:
        """Score what is left, and write the report.

        Raises
        ------
        EvaluationError
            If there is nothing to report.
        OSError
            If it cannot be written.
        """
        self.settle()
        if not self._backend:
            self._name(_UNKNOWN_BACKEND)
        if not self.scores:
            raise EvaluationError("no sweep was answered, so there is nothing to report")
        scores = sorted(self.scores, key=lambda score: (score.scene == LEFT_OUT, score.scene))
        self._file.catch_up()
        about = {**about, "backends": self._backend, "scenes": len(scores)}
        return write_results(self._file.folder, title, about, scores)

    def _name(self, backend: str) -> None:
        self._backend = backend
        for scene, why in self._nameless:
            self.leave_out(scene, why)
        self._nameless.clear()

    def _truth_of(self, answer: LiveAnswer) -> _Truth | None:
        times = ((truth.stamp, truth.received) for truth in self._truths.values())
        wanted = (answer.stamp, answer.received)
        nearest = nearest_in_time(times, wanted, tolerance=self._tolerance)
        return None if nearest is None else self._truths[nearest[0]]

    def _score(self, answer: LiveAnswer, truth: _Truth | None) -> None:
        try:
            self._add(self._scored(answer, truth))
        except FocdepthError as error:
            self.leave_out(answer.scene, str(error))

    def _add(self, score: SceneScore) -> None:
        try:
            self._file.add(score)
        except OSError as error:
            self._not_written(error)

    def _scored(self, answer: LiveAnswer, truth: _Truth | None) -> SceneScore:
        estimate = answer.estimate
        if answer.fallback_reason or estimate.backend != self._backend:
            why = answer.fallback_reason or f"'{self._backend}' was asked for"
            raise EvaluationError(f"this answer is that of '{estimate.backend}': {why}")
        if truth is None:
            raise EvaluationError(self._lack_of_truth(answer))
        is_other = bool(truth.frame_id and answer.frame_id and truth.frame_id != answer.frame_id)
        if is_other and not self._same_grid:
            raise EvaluationError(
                f"the ground truth is in the frame '{truth.frame_id}', the depth in "
                f"'{answer.frame_id}', and only `focdepth bag eval` registers them; set same_grid "
                "if the ground truth is on the pixel grid of the images"
            )
        depth = truth.decode()
        if depth.shape != estimate.depth.shape:
            raise EvaluationError(
                f"{answer.scene}: depth is of shape {depth.shape}, the slices are of "
                f"{estimate.depth.shape}; they must be of one size"
            )
        score = score_depth(
            estimate,
            depth,
            scene=answer.scene,
            backend=self._backend,
            slices=answer.slices,
            seconds=answer.seconds,
            finish_seconds=answer.finish_seconds,
        )
        if self._pictures:
            folder, picture = self._file.folder, estimate.all_in_focus
            answers = {self._backend: estimate}
            pictures = make_scene_pictures(answer.scene, picture, depth, answers)
            try:
                write_pictures(folder, pictures)
            except OSError as error:
                self._not_written(error)
        return score

    def _lack_of_truth(self, answer: LiveAnswer) -> str:
        if self._last_truth is None:
            return f"no ground truth came on {self._topic}; record it, or name its topic"
        lack = (
            f"no ground truth on {self._topic} within {self._tolerance:g} s of its reference "
            f"slice at {seconds(answer.stamp)}"
        )
        if self._let_go:
            lack += f"; {self._let_go} older ones were let go, raise truths_kept to keep them"
        return lack
