"""Backends that break, for tests of what happens then."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.errors import DeviceError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.stack import Slice


@dataclass(frozen=True)
class NoConfig:
    """No options."""


class FailingBackend(Backend):
    """Takes every slice and has no answer."""

    name = "failing"
    summary = "breaks at the end of a sweep"
    config_class = NoConfig

    def __init__(self, config: NoConfig) -> None:
        pass

    def start(self, spec: SweepSpec) -> Accumulator:
        return _FailingAccumulator()


class BrokenBackend(FailingBackend):
    """Does not even start."""

    name = "broken"
    summary = "breaks at once"

    def start(self, spec: SweepSpec) -> Accumulator:
        raise MemoryError("out of memory")


class LostBackend(FailingBackend):
    """Its device is gone."""

    name = "lost"
    summary = "breaks for a while"

    def start(self, spec: SweepSpec) -> Accumulator:
        raise DeviceError("device 'cuda' failed: unspecified launch failure")


class MoodyBackend(FailingBackend):
    """As argmax, but as a file of the test says: ``lost`` breaks, a number stalls for seconds."""

    name = "moody"
    summary = "breaks or stalls on request"

    def start(self, spec: SweepSpec) -> Accumulator:
        if mood() == "lost":
            raise DeviceError("device 'cuda' failed: it has fallen off the bus")
        return _StallingAccumulator(create_backend("argmax").start(spec))


def mood() -> str:
    """What the file named by MOOD says now."""
    return Path(os.environ["MOOD"]).read_text(encoding="utf-8").strip()


class _StallingAccumulator(Accumulator):
    def __init__(self, inner: Accumulator) -> None:
        self._inner = inner

    def add(self, item: Slice) -> None:
        self._inner.add(item)

    def finish(self) -> DepthEstimate:
        said = mood()
        if said.isdecimal():
            time.sleep(int(said))
        return replace(self._inner.finish(), backend="moody")


class _FailingAccumulator(Accumulator):
    def add(self, item: Slice) -> None:
        pass

    def finish(self) -> DepthEstimate:
        raise ZeroDivisionError("division by zero")
