"""A backend that fails when it is told to."""

from __future__ import annotations

from focdepth_ros.backends.argmax import ArgmaxBackend, ArgmaxConfig
from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.stack import Slice


class Moody(Backend):
    """Answers like `argmax`, unless it is told at which step to raise what."""

    name = "moody"
    summary = "fails when asked to"
    config_class = ArgmaxConfig

    def __init__(self, fails: dict[str, Exception] | None = None) -> None:
        self.fails = fails or {}

    def fail_at(self, step: str) -> None:
        if step in self.fails:
            raise self.fails[step]

    def start(self, spec: SweepSpec) -> Accumulator:
        self.fail_at("start")
        return _MoodyAccumulator(self, ArgmaxBackend().start(spec))


class _MoodyAccumulator(Accumulator):
    def __init__(self, backend: Moody, inner: Accumulator) -> None:
        self._backend = backend
        self._inner = inner

    def add(self, item: Slice) -> None:
        # Stamps count up: it fails half way.
        if item.stamp == 4:
            self._backend.fail_at("add")
        self._inner.add(item)

    def finish(self) -> DepthEstimate:
        self._backend.fail_at("finish")
        return self._inner.finish()
