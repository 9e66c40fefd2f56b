"""Sweeps whose slices come one by one."""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_sweeps import SIZE

from focdepth_ros.backends.base import Backend, SweepSpec
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.stack import Slice

SPEC = SweepSpec(height=SIZE[0], width=SIZE[1])


def stream(backend: Backend, slices: Sequence[Slice], spec: SweepSpec = SPEC) -> DepthEstimate:
    accumulator = backend.start(spec)
    for item in slices:
        accumulator.add(item)
    return accumulator.finish()
