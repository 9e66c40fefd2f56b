"""Batches made ahead by threads or processes, in an order that depends on nothing but numbers.

Batch i of process r is made with a generator seeded from (seed, r, i). So how many workers there
are and which of them is quicker changes nothing, and a run is resumed by knowing i.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

import cv2
import numpy as np
import torch
from torch import Generator

from focdepth_ros.errors import TrainingError
from focdepth_ros.processes import end_with_parent
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.randomness import integer
from focdepth_ros.training.sources.base import TrainingSource


def derived_seed(*numbers: int) -> int:
    """One seed from several numbers; seeds of neighbouring numbers have nothing in common."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


class BatchStream:
    """An endless iterator over batches, to be used as a context.

    Parameters
    ----------
    source : TrainingSource
        Asked by several workers at once.
    slices : (int, int)
        Fewest and most slices of a stack.
    seed : tuple of int
    first : int
        Number of the first batch.
    workers : int
    prefetch : int
        Batches that are made ahead.
    processes : bool
        Workers are processes, each with a copy of the source, in place of threads.
    """

    def __init__(
        self,
        source: TrainingSource,
        *,
        slices: tuple[int, int],
        seed: tuple[int, ...],
        first: int = 0,
        workers: int = 1,
        prefetch: int = 2,
        processes: bool = False,
    ) -> None:
        self._source = source
        self._slices = slices
        self._seed = seed
        self._next = first
        self._pool: Executor
        self._work: Callable[[int], TrainingBatch]
        if processes:
            # Started afresh: torch does not survive a fork with its threads.
            self._pool = ProcessPoolExecutor(
                workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin_process,
                initargs=(source, slices, seed),
            )
            self._work = _make_in_process
        else:
            self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
            self._work = self.make
        self._waiting: deque[Future[TrainingBatch]] = deque()
        for _ in range(prefetch):
            self._request()

    def make(self, index: int) -> TrainingBatch:
        """Batch `index`, made here and now."""
        return _make(self._source, self._slices, self._seed, index)

    def __iter__(self) -> BatchStream:
        return self

    def __next__(self) -> TrainingBatch:
        ready = self._waiting.popleft()
        try:
            self._request()
            return ready.result()
        except BrokenProcessPool as error:
            # The others, which no signal of ours ends, would wait for ever for somebody to listen.
            for process in multiprocessing.active_children():
                process.kill()
            raise TrainingError(
                "a process that makes batches has ended, for want of memory perhaps; use fewer "
                "data.workers or a smaller data.prefetch, and go on with --resume"
            ) from error

    def __enter__(self) -> BatchStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _request(self) -> None:
        self._waiting.append(self._pool.submit(self._work, self._next))
        self._next += 1


def _make(
    source: TrainingSource, slices: tuple[int, int], seed: tuple[int, ...], index: int
) -> TrainingBatch:
    generator = torch.Generator().manual_seed(derived_seed(*seed, index))
    return source.batch(generator, integer(generator, *slices))


_in_process: tuple[TrainingSource, tuple[int, int], tuple[int, ...]] | None = None


def _begin_process(source: TrainingSource, slices: tuple[int, int], seed: tuple[int, ...]) -> None:
    """What a worker that is a process does first."""
    global _in_process
    _in_process = (source, slices, seed)
    # The first process ends the run, and these.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _make_in_process(index: int) -> TrainingBatch:
    assert _in_process is not None
    return _make(*_in_process, index)


class NoiseSource(TrainingSource):
    """Batches of noise of one shape, to try the loop and the memory without any data.

    Parameters
    ----------
    shape : (int, int, int, int)
        Stacks, slices, height and width; the slices that are asked for do not count.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._stacks, self._slices, self._height, self._width = shape

    def batch(self, generator: Generator, slices: int) -> TrainingBatch:
        """A batch of noise; see `TrainingSource`."""
        size = (self._stacks, self._slices, 3, self._height, self._width)
        dioptres = torch.linspace(2.0, 0.25, self._slices).repeat(self._stacks, 1)
        truth = torch.rand((self._stacks, self._height, self._width), generator=generator)
        return TrainingBatch(
            torch.randint(0, 256, size, generator=generator, dtype=torch.uint8),
            dioptres,
            0.25 + 1.75 * truth,
        )
