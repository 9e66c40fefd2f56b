"""Backends on a dataset, scene by scene. What fails is written down and the rest goes on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.errors import EvaluationError, FocdepthError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.job import EvaluationJob
from focdepth_ros.evaluation.pictures import write_pictures
from focdepth_ros.evaluation.score_file import ScoreFile
from focdepth_ros.evaluation.scores import SceneScore, score_estimate
from focdepth_ros.evaluation.timed_sweep import timed_sweep, use_threads
from focdepth_ros.pipeline import DepthPipeline

_MOST_LOSSES = 3  # of workers without a scene done in between


def evaluate_dataset(
    job: EvaluationJob,
    scenes: Sequence[str],
    file: ScoreFile,
    *,
    pictures: bool = True,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> list[SceneScore]:
    """Score every scene with every backend that the file has no score of yet.

    Parameters
    ----------
    job : EvaluationJob
    scenes : sequence of str
        Of its dataset.
    file : ScoreFile
    pictures : bool
        Whether to write pictures of depths and errors beside the scores.
    workers : int
        Processes that share the scenes. The scenes of one that is lost are done again.
    advance : callable
        Called for every scene.

    Returns
    -------
    list of SceneScore
        All that the file has of these scenes then, in the order of scenes and backends.

    Raises
    ------
    EvaluationError
        If workers are lost one after the other.
    FocdepthError
        If the dataset or a backend cannot be had.
    """
    waiting = {
        scene: names
        for scene in scenes
        if (names := tuple(name for name in job.backends if not file.has(scene, name)))
    }
    for _ in range(len(scenes) - len(waiting)):
        advance()
    folder = file.folder if pictures else None
    if workers > 1 and len(waiting) > 1:
        scored = _scored_by_workers(job, waiting, folder, workers)
    else:
        scored = _scored_here(job, waiting, folder)
    for scores in scored:
        for score in scores:
            file.add(score)
        advance()
    order = {key: i for i, key in enumerate((s, b) for s in scenes for b in job.backends)}
    found = [score for score in file.scores if (score.scene, score.backend) in order]
    return sorted(found, key=lambda score: order[score.scene, score.backend])


def scored_scene(
    dataset: Dataset,
    scene: str,
    pipelines: Mapping[str, DepthPipeline],
    pictures: Path | None = None,
) -> list[SceneScore]:
    """Scores of one scene, by pipeline; `pictures`, if given, is the folder for pictures."""
    try:
        sample = dataset.load(scene)
    except FocdepthError as error:
        return [SceneScore(scene, name, error=str(error)) for name in pipelines]
    scores = []
    answers: dict[str, DepthEstimate] = {}
    for name, pipeline in pipelines.items():
        try:
            score, answers[name] = scored_sample(sample, name, pipeline)
        except FocdepthError as error:
            score = SceneScore(scene, name, error=str(error))
        scores.append(score)
    if pictures is not None:
        write_pictures(pictures, sample, answers)
    return scores


def scored_sample(
    sample: LabelledStack, name: str, pipeline: DepthPipeline
) -> tuple[SceneScore, DepthEstimate]:
    """Score and answer of one pipeline on a stack.

    Raises
    ------
    FocdepthError
        If there is no answer, or only that of another backend, or no truth to compare it with.
    """
    estimate, times = timed_sweep(pipeline, name, sample.stack)
    score = score_estimate(sample, name, estimate, seconds=times.total, finish_seconds=times.finish)
    return score, estimate


def _scored_here(
    job: EvaluationJob, waiting: Mapping[str, tuple[str, ...]], pictures: Path | None
) -> Iterator[list[SceneScore]]:
    if not waiting:
        return
    dataset, pipelines = job.open_dataset(), job.make_pipelines()
    for scene, names in waiting.items():
        yield scored_scene(dataset, scene, {name: pipelines[name] for name in names}, pictures)


def _scored_by_workers(
    job: EvaluationJob, waiting: Mapping[str, tuple[str, ...]], pictures: Path | None, workers: int
) -> Iterator[list[SceneScore]]:
    left = dict(waiting)
    losses = 0
    while left:
        with ProcessPoolExecutor(
            min(workers, len(left)),
            # Forked ones would inherit threads and locks of torch and OpenCV.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(job, workers),
        ) as pool:
            tasks = {
                pool.submit(_scored_in_worker, scene, names, pictures): scene
                for scene, names in left.items()
            }
            try:
                for task in as_completed(tasks):
                    scores = task.result()
                    del left[tasks[task]]
                    losses = 0
                    yield scores
            except BrokenProcessPool as error:
                losses += 1
                if losses == _MOST_LOSSES:
                    raise EvaluationError(
                        f"{losses} workers were lost one after the other, perhaps for want of "
                        f"memory, with {len(left)} scenes to go; go on with fewer --workers and "
                        "--resume"
                    ) from error


_worker: tuple[Dataset, dict[str, DepthPipeline]]


def _start_worker(job: EvaluationJob, workers: int) -> None:
    global _worker
    _worker = job.open_dataset(), job.make_pipelines()
    # As many threads as are there for each: more only get into each other's way.
    use_threads(max(multiprocessing.cpu_count() // workers, 1))


def _scored_in_worker(
    scene: str, names: tuple[str, ...], pictures: Path | None
) -> list[SceneScore]:
    dataset, pipelines = _worker
    return scored_scene(dataset, scene, {name: pipelines[name] for name in names}, pictures)
