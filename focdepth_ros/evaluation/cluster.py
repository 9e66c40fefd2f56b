"""Scenes shared out among the workers of a Dask cluster.

Dask brings scenes to workers, notices workers that are lost, and gives their scenes to others.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import CancelledError, Future
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import focdepth_ros
from focdepth_ros.errors import EvaluationError, FocdepthError
from focdepth_ros.evaluation.job import EvaluationJob
from focdepth_ros.evaluation.scene_scoring import SceneResult, SceneTask, score_in_worker

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S = 10.0
_ANSWER_S = 8.0  # less than in which the client gives up
_NO_WORKER_S = 60.0
_PACKAGE = "focdepth_ros"


class ClusterCrew:
    """The workers of a Dask cluster.

    Parameters
    ----------
    address : str
        Of its scheduler, like ``tcp://host:8786``.
    job : EvaluationJob
    workers : int, optional
        Scenes that are under way at a time; by default as many as the workers have threads.

    Raises
    ------
    EvaluationError
        If no scheduler answers there, it has no workers, or one of them lacks this package or the
        data.
    """

    def __init__(self, address: str, job: EvaluationJob, workers: int | None = None) -> None:
        from distributed import KilledWorker

        self.losses: tuple[type[Exception], ...] = (KilledWorker,)
        self.address = address
        self._job = job
        self._workers = workers
        self._client = _connected(address)
        self._deserted_since: float | None = None
        try:
            self._wait_for_workers()
            self._check_environments()
        except BaseException as error:
            self._client.close()
            if isinstance(error, OSError):
                raise self._lost() from error
            raise
        self._tasks = self._client.get_executor(pure=False)

    def __enter__(self) -> ClusterCrew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()  # which gives up what is still under way
        if isinstance(error, (CancelledError, OSError)):
            raise self._lost() from error

    def size(self) -> int:
        """See `Crew`."""
        return self._workers or max(sum(self._threads().values()), 1)

    def submit(self, task: SceneTask) -> Future[SceneResult]:
        """See `Crew`."""
        from distributed.comm import get_address_host

        on_host: Counter[str] = Counter()
        for worker, threads in self._threads().items():
            on_host[get_address_host(worker)] += threads
        sharing = max(on_host.values(), default=1)
        future: Future[SceneResult] = self._tasks.submit(_score, self._job, task, sharing)
        return future

    def check(self) -> None:
        """See `Crew`."""
        if self._threads():
            return
        now = time.monotonic()
        self._deserted_since = self._deserted_since or now
        if now - self._deserted_since > _NO_WORKER_S:
            raise EvaluationError(
                f"{self.address}: has had no worker for {_NO_WORKER_S:.0f} s; start some and go on "
                "with --resume"
            )

    def _threads(self) -> dict[str, int]:
        """Threads of each worker, by its address.

        Raises
        ------
        OSError
            If the scheduler is lost.
        """
        # Not `Client.nthreads`: it waits for ever when the client gives up meanwhile.
        client = self._client
        if client.status != "running":
            raise OSError("not connected")
        try:
            found = dict(client.sync(client.scheduler.ncores, callback_timeout=_ANSWER_S))
        except asyncio.TimeoutError as error:
            raise OSError("no answer") from error
        if found:
            self._deserted_since = None
        return found

    def _lost(self) -> EvaluationError:
        return EvaluationError(
            f"{self.address}: the scheduler is lost; go on with --resume when it is back"
        )

    def _wait_for_workers(self) -> None:
        until = time.monotonic() + _NO_WORKER_S
        while not self._threads():
            if time.monotonic() > until:
                raise EvaluationError(
                    f"{self.address}: has no workers; start some: dask worker {self.address}"
                )
            time.sleep(0.2)

    def _check_environments(self) -> None:
        run = self._client.run
        found = {"its scheduler": self._client.run_on_scheduler(find_spec, _PACKAGE)}
        found |= _by_worker(run(find_spec, _PACKAGE, on_error="return"))
        for who, spec in found.items():
            if spec is None:
                raise EvaluationError(
                    f"{self.address}: {who} has no {_PACKAGE}; install there what is installed here"
                )
        roots = [choice.root for choice in self._job.datasets]
        lacks = run(_lack, focdepth_ros.__version__, roots, on_error="return")
        for who, lack in _by_worker(lacks).items():
            if isinstance(lack, Exception):  # what is sent there cannot be loaded there
                lack = f"has another {_PACKAGE} ({lack}); install there what is installed here"
            if lack is not None:
                raise EvaluationError(f"{self.address}: {who} {lack}")


def _connected(address: str) -> Client:
    from distributed import Client

    try:
        return Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise EvaluationError(
            f"--address {address}: no Dask scheduler answers there: {error}; give the address that "
            "'dask scheduler' prints, like tcp://host:8786"
        ) from error


def _by_worker(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Answers by who gave them, without those of workers that are lost meanwhile."""
    return {
        f"the worker {worker}": answer
        for worker, answer in answers.items()
        if not isinstance(answer, OSError)
    }


# What follows runs on the workers.


def _lack(version: str, roots: Iterable[str]) -> str | None:
    """Why this computer gives no scores like those of the one that asks; None if it does."""
    if focdepth_ros.__version__ != version:
        return (
            f"has {_PACKAGE} {focdepth_ros.__version__}, here it is {version}; install the same "
            "release"
        )
    missing = [root for root in roots if not Path(root).exists()]
    if missing:
        return (
            f"has no {missing[0]}; every worker must find the data at the same path as the "
            "computer that asks, for example on a shared drive"
        )
    return None


def _score(job: EvaluationJob, task: SceneTask, sharing: int) -> SceneResult:
    try:
        return score_in_worker(job, task, sharing)
    except FocdepthError as error:
        raise EvaluationError(f"on the worker {socket.gethostname()}: {error}") from error
