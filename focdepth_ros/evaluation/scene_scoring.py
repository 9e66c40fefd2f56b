"""What is done for one scene, in whatever process: read it, ask the backends, measure."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import cpu_count

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.errors import DatasetError, FocdepthError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.fusion_scores import need_fusion_libraries
from focdepth_ros.evaluation.job import EvaluationJob
from focdepth_ros.evaluation.pictures import make_pictures
from focdepth_ros.evaluation.scores import SceneScore, score_estimate
from focdepth_ros.evaluation.timed_sweep import timed_sweep, use_threads
from focdepth_ros.pipeline import DepthPipeline


@dataclass(frozen=True)
class SceneTask:
    """A scene to be scored.

    Parameters
    ----------
    dataset : str
        Its label in the job.
    scene : str
    backends : tuple of str
    pictures : bool
        Whether pictures of it are wanted, too.
    """

    dataset: str
    scene: str
    backends: tuple[str, ...]
    pictures: bool = True


@dataclass(frozen=True)
class SceneResult:
    """What came of a scene.

    Parameters
    ----------
    scores : list of SceneScore
        By backend.
    pictures : dict of str to bytes
        JPEG files by their path below the folder of the results. Who began the evaluation writes
        them: nobody else need reach that folder.
    """

    scores: list[SceneScore]
    pictures: dict[str, bytes] = field(default_factory=dict)


class Workbench:
    """The backends of a job, and its datasets, which are opened when they are first needed.

    Raises
    ------
    BackendUnavailableError, OptionError
    EvaluationError
        If all-in-focus images are to be measured and the libraries for it are not here.
    """

    def __init__(self, job: EvaluationJob) -> None:
        if job.aif:
            need_fusion_libraries()
        self.job = job
        self._pipelines = job.make_pipelines()
        self._datasets: dict[str, Dataset] = {}

    def do(self, task: SceneTask) -> SceneResult:
        """Score a scene.

        Raises
        ------
        DatasetError
            If its dataset cannot be had here. What is wrong with the scene alone is in the scores.
        """
        if task.dataset not in self._datasets:
            self._datasets[task.dataset] = self.job.open_dataset(task.dataset)
        dataset = self._datasets[task.dataset]
        if task.scene not in dataset.scenes:
            raise DatasetError(f"{dataset.root}: has no scene '{task.scene}' any more")
        pipelines = {name: self._pipelines[name] for name in task.backends}
        return scored_scene(dataset, task, pipelines, aif=self.job.aif)


def scored_scene(
    dataset: Dataset,
    task: SceneTask,
    pipelines: Mapping[str, DepthPipeline],
    *,
    aif: bool = False,
) -> SceneResult:
    """Scores and pictures of one scene, by pipeline. Whatever fails is an error in the scores."""
    try:
        sample = dataset.load(task.scene)
    except Exception as error:  # a reader may stumble over a broken file in any way
        return failed_scene(task, _reason(error), tuple(pipelines))
    scores = []
    answers: dict[str, DepthEstimate] = {}
    for name, pipeline in pipelines.items():
        try:
            score, answers[name] = scored_sample(sample, name, pipeline, aif=aif)
        except Exception as error:
            score = SceneScore(task.scene, name, error=_reason(error))
        scores.append(replace(score, dataset=task.dataset))
    pictures = make_pictures(sample, answers, task.dataset, aif=aif) if task.pictures else {}
    return SceneResult(scores, pictures)


def failed_scene(
    task: SceneTask, error: str, backends: tuple[str, ...] | None = None
) -> SceneResult:
    """That nothing came of a scene, and why."""
    names = task.backends if backends is None else backends
    return SceneResult(
        [SceneScore(task.scene, name, error=error, dataset=task.dataset) for name in names]
    )


def scored_sample(
    sample: LabelledStack, name: str, pipeline: DepthPipeline, *, aif: bool = False
) -> tuple[SceneScore, DepthEstimate]:
    """Score and answer of one pipeline on a stack.

    Raises
    ------
    FocdepthError
        If there is no answer, or only that of another backend, or no truth to compare it with;
        `aif` (`score_estimate`) needs none.
    """
    estimate, times = timed_sweep(pipeline, name, sample.stack)
    score = score_estimate(
        sample, name, estimate, seconds=times.total, finish_seconds=times.finish, aif=aif
    )
    return score, estimate


# Pipelines are not for two threads at a time, and a worker of a cluster may have several.
_bench = threading.local()


def score_in_worker(job: EvaluationJob, task: SceneTask, sharing: int) -> SceneResult:
    """As `Workbench.do`, in a process of its own that keeps what it has opened.

    Parameters
    ----------
    job : EvaluationJob
    task : SceneTask
    sharing : int
        How many of its kind share this computer.
    """
    bench: Workbench | None = getattr(_bench, "bench", None)
    if bench is None or bench.job != job:
        bench = _bench.bench = Workbench(job)
        # As many threads as are there for each: more only get into each other's way.
        use_threads(max((cpu_count() or 1) // sharing, 1))
    return bench.do(task)


def _reason(error: Exception) -> str:
    if isinstance(error, FocdepthError):
        return str(error)
    return f"{type(error).__name__}: {error}"
