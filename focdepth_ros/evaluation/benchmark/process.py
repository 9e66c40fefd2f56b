"""One backend in a process of its own, where nothing else changes its times and memory."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import BackendError, FocdepthError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.scores import SceneScore, score_estimate, score_without_depth
from focdepth_ros.evaluation.timed_sweep import SweepTimes, timed_sweep, use_threads
from focdepth_ros.pipeline import DepthPipeline

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"
_END_SECONDS = 2.0


class LostProcessError(BackendError):
    """The process of a backend is gone."""


@dataclass(frozen=True)
class Contender:
    """A backend that is to be measured.

    Parameters
    ----------
    name : str
        By which it answers.
    make_pipeline : callable
        Makes its pipeline in the other process, where every pixel is to be answered; goes there
        by pickle.
    """

    name: str
    make_pipeline: Callable[[], DepthPipeline]


@dataclass(frozen=True)
class MeasuredSweep:
    """What one sweep took.

    Parameters
    ----------
    times : SweepTimes
    memory : float
        Bytes of main memory at most, beyond those of the process before the backend was made.
    gpu_memory : float
        Bytes that torch has taken of the GPU at most so far; NaN where it has not used one.
    """

    times: SweepTimes
    memory: float
    gpu_memory: float


class BackendProcess:
    """The process of a contender, as seen from the one that asks.

    Parameters
    ----------
    contender : Contender
    threads : int, optional
        See `use_threads`; by default as many as these libraries take by themselves.
    """

    def __init__(self, contender: Contender, threads: int | None = None) -> None:
        self._name = contender.name
        # A forked one would begin with the memory, threads and locks of this one.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, contender, threads), daemon=True
        )
        self._process.start()
        theirs.close()

    def take(self, sample: LabelledStack) -> None:
        """Give it the stack that the next sweeps are of."""
        self._ask("take", sample)

    def make(self) -> float:
        """Make the backend, after the first `take`.

        Returns
        -------
        float
            Seconds, imports included.

        Raises
        ------
        BackendError
            If that fails; the message is that of the error.
        """
        return float(self._ask("make"))

    def sweep(self) -> MeasuredSweep:
        """Measure one sweep.

        Raises
        ------
        BackendError
            If the backend has no answer; the message says why.
        """
        answer = self._ask("sweep")
        assert isinstance(answer, MeasuredSweep)
        return answer

    def scores(self) -> tuple[SceneScore, SceneScore]:
        """Of the answer to the last sweep: all pixels, and those sure enough by default."""
        every, sure = self._ask("scores")
        return every, sure

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.terminate()
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            self._connection.send((method, arguments))
            is_answer, value = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(_END_SECONDS)
            raise LostProcessError(
                f"the process of '{self._name}' ended with status {self._process.exitcode}, "
                "perhaps for want of memory"
            ) from error
        if not is_answer:
            raise BackendError(value)
        return value


def _serve(connection: Connection, contender: Contender, threads: int | None) -> None:
    """What the other process does: answer until nobody asks any more."""
    # Ctrl-C is for the process that asks; it ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    measurer = _Measurer(contender, threads)
    with contextlib.suppress(EOFError, OSError):
        while True:
            method, arguments = connection.recv()
            answer: tuple[bool, Any]
            try:
                answer = True, getattr(measurer, method)(*arguments)
            except FocdepthError as error:
                answer = False, str(error)
            except Exception as error:  # whatever it is, the others are measured
                answer = False, f"{type(error).__name__}: {error}"
            del arguments
            connection.send(answer)


class _Measurer:
    """The methods of `BackendProcess`, where they are carried out."""

    _sample: LabelledStack
    _pipeline: DepthPipeline
    _estimate: DepthEstimate
    _times: SweepTimes
    _memory_before: float

    def __init__(self, contender: Contender, threads: int | None) -> None:
        self._contender = contender
        self._threads = threads

    def take(self, sample: LabelledStack) -> None:
        self._sample = sample

    def make(self) -> float:
        gc.collect()
        self._memory_before = _memory("VmRSS")
        started = time.perf_counter()
        self._pipeline = self._contender.make_pipeline()
        seconds = time.perf_counter() - started
        if self._threads is not None:
            use_threads(self._threads)
        return seconds

    def sweep(self) -> MeasuredSweep:
        gc.collect()
        with contextlib.suppress(OSError):  # a kernel that cannot tells that of all sweeps so far
            _CLEAR.write_text(_FORGET_PEAK)
        self._estimate, self._times = timed_sweep(
            self._pipeline, self._contender.name, self._sample.stack
        )
        memory = max(_memory("VmHWM") - self._memory_before, 0.0)
        return MeasuredSweep(self._times, memory, _gpu_memory())

    def scores(self) -> tuple[SceneScore, SceneScore]:
        estimate = self._estimate
        unsure = estimate.confidence < DEFAULT_MIN_CONFIDENCE
        depth = np.where(unsure, np.float32(np.nan), estimate.depth)
        return self._score(estimate), self._score(replace(estimate, depth=depth))

    def _score(self, estimate: DepthEstimate) -> SceneScore:
        sample = self._sample
        # Without a truth there is still something to tell.
        score = score_estimate if sample.valid_mask.any() else score_without_depth
        return score(
            sample,
            self._contender.name,
            estimate,
            seconds=self._times.total,
            finish_seconds=self._times.finish,
        )


def _memory(kind: str) -> float:
    """Bytes of this process by the kernel; NaN where it does not tell."""
    # The maximum of getrusage is inherited from whoever started the process.
    try:
        found = re.search(rf"^{kind}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return float("nan")
    return 1024.0 * int(found.group(1)) if found else float("nan")


def _gpu_memory() -> float:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return float("nan")
    return float(torch.cuda.max_memory_reserved())
