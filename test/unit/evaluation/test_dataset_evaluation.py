"""Backends on a dataset, scores on disk, and what of it goes on after a failure."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deadly_dataset import DeadlyChoice

from focdepth_ros.backends.base import SweepSpec
from focdepth_ros.backends.graph_cut import GraphCutBackend
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.datasets.stack_folders import StackFolders
from focdepth_ros.errors import BackendError, EvaluationError
from focdepth_ros.evaluation.dataset_evaluation import evaluate_datasets
from focdepth_ros.evaluation.job import DatasetChoice, EvaluationJob
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.evaluation.scene_scoring import SceneTask, scored_sample
from focdepth_ros.evaluation.score_file import SCORES, ScoreFile
from focdepth_ros.evaluation.scores import FIGURES, SceneScore, score_estimate
from focdepth_ros.evaluation.summary import overview, summarise
from focdepth_ros.evaluation.work_sharing import ProcessCrew, share_out
from focdepth_ros.pipeline import DepthPipeline, SweepRun
from focdepth_ros.stack import FocalStack
from focdepth_ros.stack_folder.reading import load_ground_truth, load_stack

SCENES = ("a/far", "a/near", "b")
LABEL = "stack_folders"


def job(root: Path, **changes: object) -> EvaluationJob:
    plain = EvaluationJob((DatasetChoice(LABEL, str(root)),), {"argmax": {}}, align="none")
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def evaluate(
    job: EvaluationJob, scenes: Sequence[str], file: ScoreFile, **options: Any
) -> list[SceneScore]:
    return evaluate_datasets(job, {LABEL: scenes}, file, **options)


def score_file(folder: Path, *, resume: bool = False, **settings: object) -> ScoreFile:
    return ScoreFile(folder, {"dataset": "stack_folders", **settings}, resume=resume)


def test_scores_are_those_of_the_backend_itself(stack_folders: Path, tmp_path: Path) -> None:
    scores = evaluate(job(stack_folders), SCENES, score_file(tmp_path))
    assert [score.scene for score in scores] == list(SCENES)
    for score in scores:
        answer = create_backend("argmax").estimate(load_stack(stack_folders / score.scene))
        truth = load_ground_truth(stack_folders / score.scene)
        assert truth is not None
        expected = depth_metrics(answer.depth, truth)
        assert {name: score.figures[name] for name in expected} == pytest.approx(
            expected, abs=1e-12
        )
        assert (score.slices, score.height, score.width) == (4, 48, 64)
        assert score.seconds >= score.finish_seconds > 0.0
        assert not score.error
    files = {path.name for path in (tmp_path / "pictures").rglob("*.jpg")}
    assert files == {"image.jpg", "truth.jpg", "argmax-depth.jpg", "argmax-error.jpg"}


def test_what_fails_is_named_and_the_rest_goes_on(stack_folders: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(stack_folders, tmp_path / "stacks"))
    broken = next((root / "a/near").glob("*.png"))
    broken.write_bytes(b"no picture")
    scores = evaluate(job(root), SCENES, score_file(tmp_path / "out"))
    errors = {score.scene: score.error for score in scores}
    assert broken.name in errors["a/near"]
    assert errors["a/far"] == errors["b"] == ""
    (summary,) = summarise(scores)
    assert (summary.scenes, summary.failed) == (2, 1)


def test_the_answer_of_another_backend_is_no_score(
    stack_folders: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise BackendError("no more")

    monkeypatch.setattr(GraphCutBackend, "start", fail)
    failing = job(stack_folders, backends={"graph_cut": {}, "argmax": {}})
    scores = evaluate(failing, SCENES[:1], score_file(tmp_path), pictures=False)
    assert "'graph_cut' gave no answer, 'argmax' did" in scores[0].error
    assert "no more" in scores[0].error
    assert not scores[1].error


def test_an_evaluation_goes_on_where_it_ended(stack_folders: Path, tmp_path: Path) -> None:
    whole = evaluate(job(stack_folders), SCENES, score_file(tmp_path), pictures=False)
    lines = (tmp_path / SCORES).read_text().splitlines(keepends=True)
    # As if it had been killed while it wrote the last one.
    (tmp_path / SCORES).write_text("".join(lines[:2]) + lines[2][:40])
    file = score_file(tmp_path, resume=True)
    assert [score.scene for score in file.scores] == ["a/far", "a/near"]
    steps: list[int] = []
    again = evaluate(
        job(stack_folders), SCENES, file, pictures=False, advance=lambda: steps.append(1)
    )
    assert len(steps) == len(SCENES)
    # Not measured again: even the seconds are the same.
    assert [score.seconds for score in again[:2]] == [score.seconds for score in whole[:2]]
    assert again[2].seconds != whole[2].seconds
    np.testing.assert_equal(again[2].figures, whole[2].figures)
    assert len((tmp_path / SCORES).read_text().splitlines()) == 3


def test_scores_of_something_else_are_kept(tmp_path: Path) -> None:
    score_file(tmp_path, split="all").add(SceneScore("a", "argmax"))
    with pytest.raises(EvaluationError, match="go on with it by --resume"):
        score_file(tmp_path, split="all")
    with pytest.raises(EvaluationError, match="has scores with split 'all', now it is 'test'"):
        score_file(tmp_path, resume=True, split="test")
    assert score_file(tmp_path, resume=True, split="all").has("a", "argmax")
    (tmp_path / SCORES).write_text('{"scene": 1}\n{"scene": 2}\n')
    with pytest.raises(EvaluationError, match="line 1: is no score"):
        score_file(tmp_path, resume=True, split="all")


def test_what_failed_is_tried_again(stack_folders: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(stack_folders, tmp_path / "stacks"))
    broken = next((root / "a/near").glob("*.png"))
    whole = broken.read_bytes()
    broken.write_bytes(b"no picture")
    before = evaluate(job(root), SCENES, score_file(tmp_path / "out"), pictures=False)
    broken.write_bytes(whole)
    file = score_file(tmp_path / "out", resume=True)
    after = {score.scene: score for score in evaluate(job(root), SCENES, file, pictures=False)}
    for score in before:
        assert bool(score.error) == (score.scene == "a/near")
        assert not after[score.scene].error
        again = after[score.scene].seconds != score.seconds
        assert again == (score.scene == "a/near")


def test_scores_survive_being_written_down() -> None:
    score = SceneScore("s", "b", {"mae": 1.5, "ause": math.nan}, (0.5, math.nan), 1.0, 0.5, 3)
    again = SceneScore.from_dict(json.loads(json.dumps(score.to_dict())))
    assert dataclasses.replace(again, figures={}, curve=()) == dataclasses.replace(
        score, figures={}, curve=()
    )
    np.testing.assert_equal((again.figures, again.curve), (score.figures, score.curve))


def test_workers_give_the_same_scores(stack_folders: Path, tmp_path: Path) -> None:
    alone = evaluate(job(stack_folders), SCENES, score_file(tmp_path / "1"), pictures=False)
    shared = evaluate(
        job(stack_folders), SCENES, score_file(tmp_path / "2"), pictures=False, workers=2
    )
    np.testing.assert_equal(
        [(s.scene, s.figures) for s in shared], [(s.scene, s.figures) for s in alone]
    )


def test_the_scene_of_a_lost_worker_is_done_again(stack_folders: Path, tmp_path: Path) -> None:
    fuse = tmp_path / "fuse"
    fuse.touch()
    deadly = DeadlyChoice(LABEL, str(stack_folders), deadly="a/near", fuse=str(fuse))
    scores = evaluate(
        job(stack_folders, datasets=(deadly,)), SCENES, score_file(tmp_path), workers=2
    )
    assert not fuse.exists()
    assert [(s.scene, s.error) for s in scores] == [(scene, "") for scene in SCENES]
    assert len((tmp_path / SCORES).read_text().splitlines()) == 3


def test_a_scene_that_kills_its_workers_is_left_out(stack_folders: Path, tmp_path: Path) -> None:
    deadly = DeadlyChoice(LABEL, str(stack_folders), deadly="a/near")
    scores = evaluate(
        job(stack_folders, datasets=(deadly,)), SCENES, score_file(tmp_path), workers=2
    )
    errors = {score.scene: score.error for score in scores}
    assert "was lost, and once more when it worked on nothing else" in errors["a/near"]
    assert errors["a/far"] == errors["b"] == ""


def test_workers_that_are_all_lost_end_it(
    stack_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("focdepth_ros.evaluation.work_sharing._MOST_LOSSES", 2)
    deadly = DeadlyChoice(LABEL, str(stack_folders), deadly="all")
    tasks = [SceneTask(LABEL, scene, ("argmax",)) for scene in SCENES]
    with (
        ProcessCrew(job(stack_folders, datasets=(deadly,)), 1) as crew,
        pytest.raises(EvaluationError, match="2 times one after the other"),
    ):
        list(share_out(tasks, crew))


def test_a_reader_that_stumbles_costs_one_scene(
    stack_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = StackFolders._load

    def stumble(self: StackFolders, scene: str) -> LabelledStack:
        if scene == "b":
            raise KeyError("depth")
        return load(self, scene)

    monkeypatch.setattr(StackFolders, "_load", stumble)
    scores = evaluate(job(stack_folders), SCENES, score_file(tmp_path), pictures=False)
    assert [score.error for score in scores] == ["", "", "KeyError: 'depth'"]


def test_a_relative_truth_is_fitted(stack_folders: Path) -> None:
    stack = load_stack(stack_folders / "b")
    truth = load_ground_truth(stack_folders / "b")
    assert truth is not None
    estimate = create_backend("argmax").estimate(stack)

    def score(depth: np.ndarray, *, is_metric: bool) -> SceneScore:
        sample = LabelledStack("b", stack, depth, is_metric=is_metric)
        return score_estimate(sample, "argmax", estimate, seconds=1.0, finish_seconds=0.5)

    # In another unit and with another zero of the inverse depth: the order and shape are left.
    other = (1.0 / (3.0 / truth + 2.0)).astype(np.float32)
    fitted = score(other, is_metric=False)
    assert fitted.aligned
    assert fitted.figures["abs_rel"] < 0.2 < score(other, is_metric=True).figures["abs_rel"]
    assert not score(truth, is_metric=True).aligned


def test_without_a_truth_there_is_no_score(stack_folders: Path) -> None:
    stack = load_stack(stack_folders / "b")
    estimate = create_backend("argmax").estimate(stack)
    with pytest.raises(EvaluationError, match="depth is not known"):
        score_estimate(
            LabelledStack("b", stack), "argmax", estimate, seconds=1.0, finish_seconds=0.5
        )


def score(scene: str, backend: str, value: float, dataset: str = "") -> SceneScore:
    figures = dict.fromkeys(FIGURES, value)
    return SceneScore(scene, backend, figures, (value, value), value, value, 3, dataset=dataset)


def test_means_are_of_the_scenes_that_all_answered() -> None:
    scores = [
        score("1", "x", 1.0),
        score("2", "x", 2.0),
        score("3", "x", 30.0),
        score("1", "y", 3.0),
        score("2", "y", 5.0),
        SceneScore("3", "y", error="out of memory"),
    ]
    x, y = summarise(scores)
    assert (x.scenes, x.failed, y.scenes, y.failed) == (2, 0, 2, 1)
    assert (x.figures["mae"], y.figures["mae"]) == (1.5, 4.0)
    assert x.curve == (1.5, 1.5)


def test_who_answers_nothing_takes_nothing_from_the_others() -> None:
    scores = [
        score("1", "x", 1.0, "one"),
        score("1", "y", 4.0, "one"),
        SceneScore("1", "z", error="no lens", dataset="one"),
        score("2", "x", 3.0, "two"),
        score("2", "y", 6.0, "two"),
        SceneScore("2", "z", error="no lens", dataset="two"),
    ]
    for rows, expected in ((scores, (2.0, 5.0)), (scores[:3], (1.0, 4.0))):
        x, y, z = summarise(rows)
        assert (x.figures["mae"], y.figures["mae"]) == expected
        assert (z.scenes, z.failed) == (0, len(rows) // 3)
        assert math.isnan(z.figures["mae"])
    means = overview(scores)
    assert [item.scenes for item in means.by_dataset["one"]] == [1, 1, 0]
    assert [item.figures["mae"] for item in means.over_datasets[:2]] == [2.0, 5.0]


def test_slices_go_in_the_order_of_exposure(stack_folders: Path) -> None:
    taken: list[int] = []

    class Recording(DepthPipeline):
        def start(self, spec: SweepSpec) -> SweepRun:
            run = super().start(spec)
            add = run.add
            run.add = lambda item: (taken.append(item.stamp), add(item))[1]  # type: ignore[method-assign]
            return run

    sample = job(stack_folders).open_dataset(LABEL).load("b")
    slices = [
        dataclasses.replace(item, stamp=100 - number)
        for number, item in enumerate(sample.stack.slices)
    ]
    stack = FocalStack(slices, reference=sample.stack.reference)
    pipeline = Recording(create_backend("argmax"), min_confidence=0.0)
    scored_sample(dataclasses.replace(sample, stack=stack), "argmax", pipeline)
    assert taken == [97, 98, 99, 100]


def test_means_over_datasets_count_each_dataset_once() -> None:
    scores = [
        score("1", "x", 1.0, "large"),
        score("2", "x", 2.0, "large"),
        score("3", "x", 3.0, "large"),
        score("1", "x", 10.0, "small"),
        score("1", "x", 500.0, "half"),  # the other backend has no answer in it
        score("1", "y", 3.0, "large"),
        SceneScore("2", "y", error="no", dataset="large"),
        score("3", "y", 5.0, "large"),
        score("1", "y", 8.0, "small"),
        SceneScore("1", "y", error="no", dataset="half"),
    ]
    means = overview(scores)
    x, y = means.over_datasets
    assert (x.figures["mae"], y.figures["mae"]) == ((2.0 + 10.0) / 2, (4.0 + 8.0) / 2)
    assert (x.curve, x.seconds) == ((6.0, 6.0), 6.0)
    assert (x.scenes, x.failed, y.scenes, y.failed) == (3, 0, 3, 2)
    x, y = means.over_scenes
    assert (x.figures["mae"], y.figures["mae"]) == ((1.0 + 3.0 + 10.0) / 3, (3.0 + 5.0 + 8.0) / 3)
    assert [item.figures["mae"] for item in means.by_dataset["small"]] == [10.0, 8.0]
    assert math.isnan(means.by_dataset["half"][0].figures["mae"])
