"""Answers and truths that come in one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jinja2")

from focdepth_ros.errors import EvaluationError, MessageError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.live_evaluation import LiveAnswer, LiveEvaluation
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.evaluation.score_file import ScoreFile
from focdepth_ros.stack import FloatImage

SECOND = 10**9
SIZE = (24, 32)


def depth_like(seed: int, size: tuple[int, int] = SIZE) -> FloatImage:
    return np.random.default_rng(seed).uniform(0.5, 3.0, size).astype(np.float32)


def answer(number: int, stamp: float, **fields: Any) -> LiveAnswer:
    estimate = DepthEstimate(
        depth=depth_like(number),
        confidence=np.full(SIZE, 0.5, np.float32),
        slice_index=np.zeros(SIZE, np.float32),
        backend=fields.pop("backend", "argmax"),
        metric=True,
    )
    plain: dict[str, Any] = {
        "scene": f"sweep_{number:04d}",
        "stamp": round(stamp * SECOND),
        "received": 0,
        "estimate": estimate,
        "slices": 8,
        "seconds": 0.2,
        "finish_seconds": 0.1,
    }
    return LiveAnswer(**{**plain, **fields})


def evaluation(folder: Path, **options: Any) -> LiveEvaluation:
    plain: dict[str, Any] = {
        "tolerance": 0.5,
        "truths_kept": 3,
        "pictures": False,
        "not_written": pytest.fail,
    }
    return LiveEvaluation(ScoreFile(folder, {}, resume=False), "/truth", **{**plain, **options})


def test_the_nearest_truth_is_waited_for(tmp_path: Path) -> None:
    live = evaluation(tmp_path)
    live.add_truth(SECOND, 0, lambda: depth_like(90))
    live.add_answer(answer(1, 1.2))
    live.settle(now=1)
    assert live.scores == []  # one at 1.3 s may still come
    live.add_truth(round(1.3 * SECOND), 1, lambda: depth_like(91))
    live.settle(now=2)
    (score,) = live.scores
    expected = depth_metrics(depth_like(1), depth_like(91))
    assert {name: score.figures[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert (score.backend, score.slices, score.height, score.width) == ("argmax", 8, *SIZE)
    assert (score.seconds, score.finish_seconds) == (0.2, 0.1)


@pytest.mark.parametrize("same_grid", [False, True])
def test_a_truth_of_another_frame_is_used_only_where_its_grid_is_that_of_the_images(
    tmp_path: Path, same_grid: bool
) -> None:
    live = evaluation(tmp_path, same_grid=same_grid)
    for number, frame in enumerate(("camera", "tof"), start=1):
        live.add_truth(number * SECOND, 0, lambda: depth_like(90), frame)
        live.add_answer(answer(number, number, frame_id="camera"))
    live.settle()
    own, other = live.scores
    assert not own.error
    if same_grid:
        assert not other.error
    else:
        assert "the ground truth is in the frame 'tof', the depth in 'camera'" in other.error


def test_what_is_not_decided_in_time_is_decided_at_the_end(tmp_path: Path) -> None:
    live = evaluation(tmp_path)
    live.add_truth(SECOND, 0, lambda: depth_like(90))
    live.add_answer(answer(1, 1.2))
    live.add_answer(answer(2, 3.0))
    report = live.finish("title", {"dataset": "x"})
    good, bad = live.scores
    assert not good.error
    assert bad.error.startswith(
        "no ground truth on /truth within 0.5 s of its reference slice at 3"
    )
    assert "no ground truth on /truth" in report.read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} >= {"scenes.csv", "summary.json"}
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["backends"][0]["failed"] == 1


def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    live = evaluation(tmp_path)
    live.add_answer(answer(1, 1.0))
    live.settle(now=19 * SECOND)
    assert live.scores == []
    live.settle(now=21 * SECOND)
    assert "no ground truth came on /truth" in live.scores[0].error


def test_truths_that_were_let_go_are_told(tmp_path: Path) -> None:
    live = evaluation(tmp_path)
    for second in range(1, 6):
        live.add_truth(second * SECOND, 0, lambda: depth_like(90))
    live.add_answer(answer(1, 1.0))
    live.settle()
    assert "2 older ones were let go, raise truths_kept" in live.scores[0].error


def test_a_fallback_is_no_score_of_the_backend(tmp_path: Path) -> None:
    live = evaluation(tmp_path)
    for second in (1, 2):
        live.add_truth(second * SECOND, 0, lambda: depth_like(90))
    fell_back = {"backend": "graph_cut", "fallback_reason": "backend 'argmax' failed: lost"}
    live.add_answer(answer(1, 1.0, **fell_back))
    live.settle()
    assert live.scores == []  # not yet known what was asked for
    live.add_answer(answer(2, 2.0))
    live.settle()
    failed, good = live.scores
    assert (failed.scene, failed.backend, good.backend) == ("sweep_0001", "argmax", "argmax")
    assert failed.error == "this answer is that of 'graph_cut': backend 'argmax' failed: lost"


def test_another_backend_than_was_asked_for(tmp_path: Path) -> None:
    live = evaluation(tmp_path, backend="graph_cut")
    live.add_truth(SECOND, 0, lambda: depth_like(90))
    live.add_answer(answer(1, 1.0))
    live.settle()
    assert live.scores[0].backend == "graph_cut"
    assert live.scores[0].error == ("this answer is that of 'argmax': 'graph_cut' was asked for")


def test_truths_of_no_use(tmp_path: Path) -> None:
    def damaged() -> FloatImage:
        raise MessageError("depth on /truth is rgb8")

    live = evaluation(tmp_path)
    live.add_truth(SECOND, 0, damaged)
    live.add_truth(2 * SECOND, 0, lambda: depth_like(90, (12, 16)))
    live.add_truth(3 * SECOND, 0, lambda: np.full(SIZE, np.nan, np.float32))
    for second in (1, 2, 3):
        live.add_answer(answer(second, second))
    live.settle()
    assert [score.error.partition(";")[0] for score in live.scores] == [
        "depth on /truth is rgb8",
        "sweep_0002: depth is of shape (12, 16), the slices are of (24, 32)",
        "its depth is not known",
    ]


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no sweep was answered"):
        evaluation(tmp_path).finish("title", {})


def test_only_failures_are_a_report_too(tmp_path: Path) -> None:
    live = evaluation(tmp_path)
    live.leave_out("sweep_0001", "it was not answered")
    page = live.finish("title", {}).read_text(encoding="utf-8")
    assert "sweep_0001 · unknown" in page
    assert "it was not answered" in page


def test_a_full_disk_costs_nothing_but_what_is_not_on_it(tmp_path: Path) -> None:
    failures: list[OSError] = []
    live = evaluation(tmp_path, not_written=failures.append, pictures=True)
    scores, aside = tmp_path / "scores.jsonl", tmp_path / "aside"
    for number in (1, 2, 3):
        if number == 2:  # so that nothing can be written there
            scores.rename(aside)
            scores.mkdir()
            (tmp_path / "pictures").rename(tmp_path / "pictures_aside")
            (tmp_path / "pictures").touch()
        if number == 3:
            scores.rmdir()
            aside.rename(scores)
        live.add_truth(number * SECOND, 0, lambda: depth_like(90))
        live.add_answer(answer(number, number))
        live.settle()
    assert len(failures) == 3  # score and pictures of the second, pictures of the third
    lines = scores.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["scene"] for line in lines] == [f"sweep_000{n}" for n in (1, 2, 3)]


def test_a_backend_of_any_name_writes_within_the_folder(tmp_path: Path) -> None:
    name = "../../../outside"
    live = evaluation(tmp_path / "a" / "b" / "out", pictures=True)
    live.add_truth(SECOND, 0, lambda: depth_like(90))
    live.add_answer(answer(1, 1.0, backend=name))
    live.settle()
    report = live.finish("Title", {})
    assert live.scores[0].error == ""
    written = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*.jpg")}
    assert written == {("a", "b", "out")}
    assert report.read_text(encoding="utf-8").count("data:image/jpeg") == 3
