"""The main path from the slices of a sweep to depth: backend, confidence, fallback.

This is the only place that falls back from one backend to another.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec, spec_of
from focdepth_ros.backends.registry import AUTO, create_backend
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import BackendError, OptionError, StackError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.stack import FocalStack, Slice

_FALLBACKS = ("graph_cut", "argmax")


class DepthPipeline:
    """Turns sweeps into depth, and answers with a simpler backend when the chosen one fails.

    Parameters
    ----------
    backend : Backend, optional
        The best usable one by default.
    min_confidence : float
        Pixels of lower confidence get NaN as their depth; 0 answers every pixel.

    Raises
    ------
    OptionError
        If `min_confidence` is not in [0, 1].
    """

    def __init__(
        self, backend: Backend | None = None, *, min_confidence: float = DEFAULT_MIN_CONFIDENCE
    ) -> None:
        self.backend = create_backend(AUTO) if backend is None else backend
        if not 0.0 <= min_confidence <= 1.0:
            raise OptionError(f"min_confidence {min_confidence} is not in [0, 1]")
        self.min_confidence = min_confidence

    def start(self, spec: SweepSpec) -> SweepRun:
        """Begin a sweep whose slices come one by one."""
        return SweepRun(self.backend, spec, self.min_confidence)

    def estimate(self, stack: FocalStack, *, all_in_focus: bool = True) -> DepthEstimate:
        """Depth of a whole focal stack; pixels below `min_confidence` are NaN."""
        run = self.start(spec_of(stack, all_in_focus=all_in_focus))
        for item in stack.slices:
            run.add(item)
        return run.finish()


class SweepRun:
    """One sweep on its way through the pipeline: `add` per frame, then `finish`."""

    def __init__(self, backend: Backend, spec: SweepSpec, min_confidence: float) -> None:
        self._backend = backend
        self._spec = spec
        self._min_confidence = min_confidence
        self._slices: list[Slice] = []
        self._failure: str | None = None
        self._add_seconds = 0.0
        self._accumulator: Accumulator | None = None
        try:
            self._accumulator = backend.start(spec)
        except Exception as error:  # whatever a backend dies of, the sweep is still answered
            self._fail(error)

    def __len__(self) -> int:
        """Number of distinct slices taken in."""
        return len(self._slices)

    def add(self, item: Slice) -> None:
        """Take in one frame; one at the focus distance of the frame before replaces it.

        Raises
        ------
        SliceError
            If it does not belong to the sweep, which goes on without it.
        """
        repeats = self._spec.check(item, self._slices)
        self._slices[len(self._slices) - repeats :] = [item]
        if self._accumulator is None:
            return
        started = time.perf_counter()
        try:
            self._accumulator.add(item)
        except Exception as error:
            self._fail(error)
        self._add_seconds += time.perf_counter() - started

    def finish(self) -> DepthEstimate:
        """Answer from the frames so far.

        Raises
        ------
        StackError
            If fewer than 2 slices were added.
        BackendError
            If neither the backend nor its fallbacks could answer.
        """
        if len(self._slices) < 2:
            raise StackError(f"a sweep needs at least 2 slices, this one has {len(self._slices)}")
        started = time.perf_counter()
        estimate = self._answer()
        finished = time.perf_counter()
        depth = np.where(
            estimate.confidence >= self._min_confidence, estimate.depth, np.float32(np.nan)
        )
        timings = {
            **estimate.timings,
            "add": self._add_seconds,
            "finish": finished - started,
        }
        warnings = estimate.warnings
        if self._failure is not None:
            warnings = (*warnings, self._failure)
        return replace(estimate, depth=depth, timings=timings, warnings=warnings)

    def _answer(self) -> DepthEstimate:
        if self._accumulator is not None:
            try:
                return self._accumulator.finish()
            except Exception as error:
                self._fail(error)
        failures = [self._failure]
        for name in _FALLBACKS:
            if name == self._backend.name:
                continue
            try:
                return self._answer_with(create_backend(name))
            except Exception as error:
                failures.append(_failure(name, error))
        raise BackendError("no backend could answer: " + "; ".join(map(str, failures)))

    def _answer_with(self, backend: Backend) -> DepthEstimate:
        accumulator = backend.start(self._spec)
        for item in self._slices:
            accumulator.add(item)
        return accumulator.finish()

    def _fail(self, error: Exception) -> None:
        self._accumulator = None
        self._failure = _failure(self._backend.name, error)


def _failure(name: str, error: Exception) -> str:
    return f"backend '{name}' failed: {str(error) or type(error).__name__}"
