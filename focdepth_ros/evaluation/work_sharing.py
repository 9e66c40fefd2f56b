"""Scenes shared out among processes, here or elsewhere; those of a lost process are done again.

A scene that takes its process with it, by memory or by a crash, must not do so for ever, nor may
those that happened to run beside it be blamed. So a scene whose process was lost comes once more
when all others are done, alone; if it is lost then, too, it is left out and named.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Protocol

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.job import EvaluationJob
from focdepth_ros.evaluation.scene_scoring import (
    SceneResult,
    SceneTask,
    failed_scene,
    score_in_worker,
)
from focdepth_ros.processes import end_with_parent

_MOST_LOSSES = 5  # of the whole crew, without a scene done in between
_PATIENCE_S = 2.0


class Crew(Protocol):
    """Processes that score scenes.

    Attributes
    ----------
    losses : tuple of exception classes
        What a future raises if the process of its scene was lost.
    """

    losses: tuple[type[Exception], ...]

    def size(self) -> int:
        """How many scenes are to be under way at a time, 1 or more."""

    def submit(self, task: SceneTask) -> Future[SceneResult]:
        """Begin with a scene."""

    def check(self) -> None:
        """Called while nothing happens: raise an EvaluationError if nothing ever will."""


def share_out(tasks: Iterable[SceneTask], crew: Crew) -> Iterator[SceneResult]:
    """Results of all scenes, as they come.

    Raises
    ------
    EvaluationError
        If processes are lost one after the other, or there are none any more.
    """
    lost: list[SceneTask] = []
    yield from _results(tasks, crew, lost)
    for task in lost:
        lost_again: list[SceneTask] = []
        yield from _results([task], crew, lost_again)
        if lost_again:
            yield failed_scene(
                task,
                "the process that worked on it was lost, and once more when it worked on nothing "
                "else, perhaps for want of memory",
            )


def _results(
    tasks: Iterable[SceneTask], crew: Crew, lost: list[SceneTask]
) -> Iterator[SceneResult]:
    """Results of the scenes whose process was not `lost`."""
    waiting = deque(tasks)
    running: dict[Future[SceneResult], SceneTask] = {}
    losses = 0
    try:
        while waiting or running:
            while waiting and len(running) < crew.size():
                task = waiting.popleft()
                running[crew.submit(task)] = task
            done, _ = wait(running, _PATIENCE_S, FIRST_COMPLETED)
            if not done:
                crew.check()
            for future in done:
                task = running.pop(future)
                try:
                    yield future.result()
                    losses = 0
                except crew.losses as error:
                    lost.append(task)
                    losses += 1
                    if losses >= _MOST_LOSSES * crew.size():
                        left = len(waiting) + len(running) + len(lost)
                        raise EvaluationError(
                            f"{losses} times one after the other the process of a scene was lost, "
                            f"perhaps for want of memory, with {left} scenes to go; go on with "
                            "fewer --workers and --resume"
                        ) from error
    finally:
        for future in running:
            future.cancel()


class ProcessCrew:
    """Processes of this computer.

    Parameters
    ----------
    job : EvaluationJob
    workers : int
        How many.
    """

    losses: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, job: EvaluationJob, workers: int) -> None:
        self._job = job
        self._workers = workers
        self._pool = self._new_pool()

    def __enter__(self) -> ProcessCrew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def size(self) -> int:
        """See `Crew`."""
        return self._workers

    def submit(self, task: SceneTask) -> Future[SceneResult]:
        """See `Crew`."""
        try:
            return self._pool.submit(score_in_worker, self._job, task, self._workers)
        except BrokenProcessPool:  # the loss of one process breaks all of a pool
            self._pool.shutdown()
            self._pool = self._new_pool()
            return self._pool.submit(score_in_worker, self._job, task, self._workers)

    def check(self) -> None:
        """See `Crew`."""

    def _new_pool(self) -> ProcessPoolExecutor:
        # Forked ones would inherit threads and locks of torch and OpenCV.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=end_with_parent)
