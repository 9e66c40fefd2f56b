"""Backends that break, for tests of what happens then."""

from __future__ import annotations

from dataclasses import dataclass

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
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


class _FailingAccumulator(Accumulator):
    def add(self, item: Slice) -> None:
        pass

    def finish(self) -> DepthEstimate:
        raise ZeroDivisionError("division by zero")
