"""Evaluation by the workers of a Dask cluster: a real one, on this computer's loopback."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import run
from deadly_dataset import DeadlyChoice

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.dataset_evaluation import evaluate_datasets
from focdepth_ros.evaluation.job import DatasetChoice, EvaluationJob
from focdepth_ros.evaluation.score_file import SCORES, ScoreFile
from focdepth_ros.evaluation.scores import SceneScore

distributed = pytest.importorskip("distributed")

SCENES = ("a/far", "a/near", "b")
LABEL = "stack_folders"


def new_cluster(workers: int) -> Any:
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with new_cluster(2) as made:
        yield made


def evaluate(
    choice: DatasetChoice,
    folder: Path,
    address: str | None,
    advance: Callable[[], None] = lambda: None,
) -> list[SceneScore]:
    job = EvaluationJob((choice,), {"argmax": {}}, align="none")
    file = ScoreFile(folder, {}, resume=False)
    return evaluate_datasets(job, {LABEL: SCENES}, file, address=address, advance=advance)


def test_scores_and_pictures_are_those_of_this_computer(
    cluster: Any, stack_folders: Path, tmp_path: Path
) -> None:
    choice = DatasetChoice(LABEL, str(stack_folders))
    here = evaluate(choice, tmp_path / "here", None)
    there = evaluate(choice, tmp_path / "there", cluster.scheduler_address)
    np.testing.assert_equal(
        [(s.dataset, s.scene, s.figures, s.curve) for s in there],
        [(s.dataset, s.scene, s.figures, s.curve) for s in here],
    )
    files = {path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.jpg")}
    assert len(files) == 3 * 4
    for file in files:
        assert (tmp_path / "there" / file).read_bytes() == (tmp_path / "here" / file).read_bytes()


def test_the_scene_of_a_lost_worker_is_done_again(
    cluster: Any, stack_folders: Path, tmp_path: Path
) -> None:
    fuse = tmp_path / "fuse"
    fuse.touch()
    deadly = DeadlyChoice(LABEL, str(stack_folders), deadly="a/near", fuse=str(fuse))
    scores = evaluate(deadly, tmp_path / "out", cluster.scheduler_address)
    assert not fuse.exists()
    assert [(s.scene, s.error) for s in scores] == [(scene, "") for scene in SCENES]
    lines = (tmp_path / "out" / SCORES).read_text().splitlines()
    assert sorted(json.loads(line)["scene"] for line in lines) == sorted(SCENES)


def test_the_command_line(
    cluster: Any, stack_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("-d", LABEL, "-p", stack_folders, "-b", "argmax", "-o", tmp_path, "--no-pictures")
    cluster_of = ("--address", cluster.scheduler_address, "--workers", 1)
    assert run("evaluate", *arguments, *cluster_of) == 0
    assert "argmax" in capsys.readouterr().out
    assert len((tmp_path / SCORES).read_text().splitlines()) == 3


def test_a_worker_without_the_data_is_named(cluster: Any, tmp_path: Path) -> None:
    choice = DatasetChoice(LABEL, str(tmp_path / "elsewhere"))
    with pytest.raises(EvaluationError, match=r"the worker tcp://127.0.0.1:\d+ has no .*elsewhere"):
        evaluate(choice, tmp_path / "out", cluster.scheduler_address)


def test_a_worker_that_lacks_scenes_ends_it(
    cluster: Any, stack_folders: Path, tmp_path: Path
) -> None:
    choice = DatasetChoice(LABEL, str(stack_folders / "a"))
    with pytest.raises(EvaluationError, match=r"on the worker .*: .*has no scene '"):
        evaluate(choice, tmp_path, cluster.scheduler_address)


# The last one with this cluster: its workers are gone then, and take their time to come again.
def test_a_scene_that_kills_its_workers_is_left_out(
    cluster: Any, stack_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)  # quicker than Dask's own 3
    deadly = DeadlyChoice(LABEL, str(stack_folders), deadly="a/near")
    scores = evaluate(deadly, tmp_path, cluster.scheduler_address)
    errors = {score.scene: score.error for score in scores}
    assert "was lost, and once more when it worked on nothing else" in errors["a/near"]
    assert errors["a/far"] == errors["b"] == ""


def test_no_answer(stack_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("focdepth_ros.evaluation.cluster._CONNECT_S", 0.5)
    choice = DatasetChoice(LABEL, str(stack_folders))
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EvaluationError, match=f"{address}: no Dask scheduler answers there"):
            evaluate(choice, tmp_path / "1", address)
    with pytest.raises(EvaluationError, match="here: no Dask .* like tcp://host:8786"):
        evaluate(choice, tmp_path / "2", "here")


def test_no_workers_and_no_scheduler_any_more(
    stack_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("focdepth_ros.evaluation.cluster._CONNECT_S", 5.0)
    choice = DatasetChoice(LABEL, str(stack_folders))
    with new_cluster(0) as cluster:
        with monkeypatch.context() as patch:
            patch.setattr("focdepth_ros.evaluation.cluster._NO_WORKER_S", 0.1)
            with pytest.raises(EvaluationError, match="has no workers; start some: dask worker"):
                evaluate(choice, tmp_path / "1", cluster.scheduler_address)
        cluster.scale(1)
        with pytest.raises(EvaluationError, match="the scheduler is lost; go on with --resume"):
            evaluate(choice, tmp_path / "2", cluster.scheduler_address, cluster.close)
    assert len((tmp_path / "2" / SCORES).read_text().splitlines()) == 1
