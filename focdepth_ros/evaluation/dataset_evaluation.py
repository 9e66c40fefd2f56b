"""Backends on datasets, scene by scene. What fails is written down and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.job import EvaluationJob
from focdepth_ros.evaluation.pictures import write_pictures
from focdepth_ros.evaluation.scene_scoring import SceneResult, SceneTask, Workbench
from focdepth_ros.evaluation.score_file import ScoreFile
from focdepth_ros.evaluation.scores import SceneScore
from focdepth_ros.evaluation.work_sharing import ProcessCrew, share_out
from focdepth_ros.libraries import CLUSTER_LIBRARIES, missing_because


def evaluate_datasets(
    job: EvaluationJob,
    scenes: Mapping[str, Sequence[str]],
    file: ScoreFile,
    *,
    pictures: bool = True,
    workers: int | None = None,
    address: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[SceneScore]:
    """Score every scene with every backend that the file has no score of yet.

    Parameters
    ----------
    job : EvaluationJob
    scenes : mapping of str to sequence of str
        By the label of their dataset.
    file : ScoreFile
    pictures : bool
        Whether to write pictures of depths and errors beside the scores.
    workers : int, optional
        Processes that share the scenes, by default this one alone; with an `address` scenes that
        are under way there at a time, by default as many as there are threads. The scenes of one
        that is lost are done again.
    address : str, optional
        Scheduler of the Dask cluster that does the work.
    advance : callable
        Called for every scene.

    Returns
    -------
    list of SceneScore
        All that the file has of these scenes then, in the order of datasets, scenes and backends.

    Raises
    ------
    EvaluationError
        If workers are lost one after the other, or a cluster does not answer.
    FocdepthError
        If a dataset or a backend cannot be had.
    """
    tasks = []
    for dataset, names in scenes.items():
        for scene in names:
            missing = tuple(name for name in job.backends if not file.has(scene, name, dataset))
            if missing:
                tasks.append(SceneTask(dataset, scene, missing, pictures))
            else:
                advance()
    for result in _results(job, tasks, workers, address):
        for score in result.scores:
            file.add(score)
        write_pictures(file.folder, result.pictures)
        advance()
    keys = (
        (dataset, *key) for dataset, names in scenes.items() for key in product(names, job.backends)
    )
    order = {key: number for number, key in enumerate(keys)}
    found = [s for s in file.scores if (s.dataset, s.scene, s.backend) in order]
    return sorted(found, key=lambda s: order[s.dataset, s.scene, s.backend])


def _results(
    job: EvaluationJob, tasks: Sequence[SceneTask], workers: int | None, address: str | None
) -> Iterator[SceneResult]:
    if not tasks:
        return
    if address is not None:
        missing = missing_because(CLUSTER_LIBRARIES, "cluster")
        if missing is not None:
            raise EvaluationError(f"--address {address}: {missing}")
        from focdepth_ros.evaluation.cluster import ClusterCrew

        with ClusterCrew(address, job, workers) as cluster:
            yield from share_out(tasks, cluster)
    elif workers is not None and workers > 1 and len(tasks) > 1:
        with ProcessCrew(job, min(workers, len(tasks))) as processes:
            yield from share_out(tasks, processes)
    else:
        yield from map(Workbench(job).do, tasks)
