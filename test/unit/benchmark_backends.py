"""Backends for benchmarks, that take their time, fail or end their process.

A benchmark makes them in other processes, which import this module.
"""

from __future__ import annotations

import os
import time

from focdepth_ros.backends.argmax import ArgmaxBackend, ArgmaxConfig
from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.errors import BackendUnavailableError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import Slice

ADD_SECONDS, FINISH_SECONDS = 0.03, 0.08
FILLED_BYTES = 64_000_000


class SlowBackend(Backend):
    """Answers like `argmax`, later, and uses some memory."""

    name = "slow"
    summary = "takes its time"
    config_class = ArgmaxConfig

    def __init__(self, config: ArgmaxConfig | None = None) -> None:
        self.taken: list[Slice] = []

    def start(self, spec: SweepSpec) -> Accumulator:
        return _SlowAccumulator(self, ArgmaxBackend().start(spec))


class _SlowAccumulator(Accumulator):
    def __init__(self, backend: SlowBackend, inner: Accumulator) -> None:
        self._backend = backend
        self._inner = inner

    def add(self, item: Slice) -> None:
        self._backend.taken.append(item)
        time.sleep(ADD_SECONDS)
        self._inner.add(item)

    def finish(self) -> DepthEstimate:
        time.sleep(FINISH_SECONDS)
        filled = bytearray(os.urandom(1)) * FILLED_BYTES
        estimate = self._inner.finish()
        del filled
        object.__setattr__(estimate, "backend", self._backend.name)
        return estimate


class DyingBackend(SlowBackend):
    """Takes its process with it."""

    name = "dying"

    def start(self, spec: SweepSpec) -> Accumulator:
        os._exit(3)


class FailingBackend(SlowBackend):
    """Has no answer."""

    name = "failing"

    def start(self, spec: SweepSpec) -> Accumulator:
        raise MemoryError("no room")


def make_argmax() -> DepthPipeline:
    return DepthPipeline(ArgmaxBackend(), min_confidence=0.0)


def make_slow() -> DepthPipeline:
    return DepthPipeline(SlowBackend(), min_confidence=0.0)


def make_dying() -> DepthPipeline:
    return DepthPipeline(DyingBackend(), min_confidence=0.0)


def make_failing() -> DepthPipeline:
    return DepthPipeline(FailingBackend(), min_confidence=0.0)


def make_unavailable() -> DepthPipeline:
    raise BackendUnavailableError("backend 'unavailable' cannot be used here: no such device")
