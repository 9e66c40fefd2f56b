"""Backends × stacks × image sizes on this machine: accuracy, times and memory.

Each backend has a fresh process for each size. All are asked in turn for one sweep of the same
stack, so that they meet the same state of the machine, which drifts; and ratios are those of
sweeps that followed each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.errors import BackendError, FocdepthError
from focdepth_ros.evaluation.benchmark.process import (
    BackendProcess,
    Contender,
    LostProcessError,
    MeasuredSweep,
)
from focdepth_ros.evaluation.benchmark.stacks import Size, StackSource
from focdepth_ros.evaluation.scores import SceneScore

#: The backend that others are compared with, if it is one of them.
USUAL_REFERENCE = "graph_cut"

_LEAST_SWEEPS = 10  # of a backend in one size, if nothing else is asked for


@dataclass(frozen=True)
class StackResult:
    """What came of one stack in one size with one backend.

    Parameters
    ----------
    size : str
        As it was asked for.
    every, sure : SceneScore
        Of all pixels, and of those above the default confidence. They have the error, if the
        stack could not be answered.
    sweeps : tuple of MeasuredSweep
        Without the first one of the process.
    """

    size: str
    every: SceneScore
    sure: SceneScore
    sweeps: tuple[MeasuredSweep, ...] = ()


@dataclass(frozen=True)
class WarmUp:
    """What comes before the sweeps that count.

    Parameters
    ----------
    start : float
        Seconds to make the backend, imports included.
    sweep : MeasuredSweep
        The first one; only its memory counts.
    """

    start: float
    sweep: MeasuredSweep


@dataclass
class Benchmark:
    """A benchmark, and what was measured of it so far.

    Parameters
    ----------
    contenders : sequence of Contender
    source : StackSource
    sizes : sequence of Size
    repeat : int, optional
        Sweeps of each stack; by default so many that there are at least 10 of a backend.
    frame_rate : float
        Frames per second of the camera whose latency is told.
    threads : int, optional
        See `BackendProcess`.

    Attributes
    ----------
    results : list of StackResult
    left_out : list of str
        What could not be measured, and why.
    warm_ups : dict of (str, str) to WarmUp
        By size and backend.
    """

    contenders: Sequence[Contender]
    source: StackSource
    sizes: Sequence[Size]
    repeat: int | None = None
    frame_rate: float = 30.0
    threads: int | None = None
    results: list[StackResult] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    warm_ups: dict[tuple[str, str], WarmUp] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The backend that the others are compared with."""
        names = [contender.name for contender in self.contenders]
        return USUAL_REFERENCE if USUAL_REFERENCE in names else names[0]

    @property
    def sweeps_per_stack(self) -> int:
        """How many sweeps of each stack are measured."""
        return self.repeat or -(-_LEAST_SWEEPS // len(self.source.names))

    @property
    def steps(self) -> int:
        """How often `run` calls `advance`."""
        return len(self.sizes) * len(self.source.names) * self.sweeps_per_stack

    def run(self, advance: Callable[[], None] = lambda: None) -> None:
        """Measure; what was measured stays when this is interrupted.

        Parameters
        ----------
        advance : callable
            Called for every sweep of all backends.
        """
        for size in self.sizes:
            entrants = [_Entrant(contender, self.threads) for contender in self.contenders]
            try:
                for name in self.source.names:
                    self._measure(name, size, entrants, advance)
            finally:
                for entrant in entrants:
                    entrant.close()

    def _measure(
        self, name: str, size: Size, entrants: Sequence[_Entrant], advance: Callable[[], None]
    ) -> None:
        """Sweeps of one stack, by all backends in turn."""
        try:
            sample = self.source.load(name, size)
        except FocdepthError as error:
            self._leave_out(f"{name}: {error}")
            for _ in range(self.sweeps_per_stack):
                advance()
            return
        for entrant in entrants:
            entrant.begin(sample)
        try:
            for _ in range(self.sweeps_per_stack):
                for entrant in entrants:
                    entrant.sweep()
                advance()
        finally:  # an interruption, too, leaves what there is
            for entrant in entrants:
                self._keep(entrant, size_text(size), name)

    def _keep(self, entrant: _Entrant, size: str, stack: str) -> None:
        result = entrant.result(size, stack)
        if result is None:
            return
        self.results.append(result)
        if entrant.warm_up is not None:
            self.warm_ups[size, entrant.name] = entrant.warm_up
        if result.every.error:
            where = size if entrant.is_refused else f"{size}, {stack}"
            self._leave_out(f"{entrant.name}, {where}: {result.every.error}")

    def _leave_out(self, line: str) -> None:
        if line not in self.left_out:
            self.left_out.append(line)


class _Entrant:
    """A contender in one size: its process, and what came of the stack at hand."""

    def __init__(self, contender: Contender, threads: int | None) -> None:
        self.name = contender.name
        self.warm_up: WarmUp | None = None
        self.is_refused = False  # there is no such backend here, on no stack
        self._contender = contender
        self._threads = threads
        self._process: BackendProcess | None = None
        self._failure = ""
        self._sweeps: list[MeasuredSweep] = []
        self._scores: tuple[SceneScore, SceneScore] | None = None

    def begin(self, sample: LabelledStack) -> None:
        """Take the next stack, with a backend that is made and warm."""
        self._sweeps, self._scores = [], None
        if not self.is_refused:
            self._failure = ""
            self._attempt(lambda: self._prepare(sample))

    def sweep(self) -> None:
        """Measure a sweep, unless the stack has failed; the first one is scored, too."""
        self._attempt(self._measure_sweep)

    def result(self, size: str, stack: str) -> StackResult | None:
        """What came of the stack; None where it has not come to that."""
        if self._failure:
            failed = SceneScore(stack, self.name, error=self._failure)
            return StackResult(size, failed, failed)
        if self._scores is None:
            return None
        return StackResult(size, *self._scores, tuple(self._sweeps))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _attempt(self, step: Callable[[], None]) -> None:
        if self._failure:
            return
        try:
            step()
        except BackendError as error:
            self._failure = str(error)
            if isinstance(error, LostProcessError):
                self.close()  # the next stack has another one

    def _prepare(self, sample: LabelledStack) -> None:
        if self._process is None:
            self._process = BackendProcess(self._contender, self._threads)
            self._process.take(sample)
            try:
                self._start = self._process.make()
            except BackendError:
                self.is_refused = True
                self.close()
                raise
            self.warm_up = None
        else:
            self._process.take(sample)
        if self.warm_up is None:
            self.warm_up = WarmUp(self._start, self._process.sweep())

    def _measure_sweep(self) -> None:
        assert self._process is not None
        self._sweeps.append(self._process.sweep())
        if self._scores is None:
            self._scores = self._process.scores()


def size_text(size: Size) -> str:
    """A size like ``640x480``."""
    return "as they are" if size is None else f"{size[0]}x{size[1]}"
