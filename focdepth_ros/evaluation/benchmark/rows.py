"""The rows of a benchmark's table, from what was measured of every stack."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from focdepth_ros.evaluation.benchmark.process import MeasuredSweep
from focdepth_ros.evaluation.benchmark.run import Benchmark, StackResult, size_text
from focdepth_ros.evaluation.summary import BackendSummary, shared_scenes, summarise

#: Times of a row, seconds.
TIMES = ("frame", "finish", "latency", "total")


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile of measured values; NaN of none."""

    median: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Those of some values."""
        if not values:
            return cls(math.nan, math.nan)
        return cls(float(np.median(values)), float(np.percentile(values, 95)))


@dataclass(frozen=True)
class BenchmarkRow:
    """A backend in one size, over the stacks that all backends answered.

    Parameters
    ----------
    size, backend : str
        The size that the stacks really have; *mixed* if they differ.
    every, sure : BackendSummary
        Means over the stacks, of all pixels and of those above the default confidence.
    sweeps : int
        That were measured.
    times : dict of str to Spread
        Seconds, by `TIMES`: of a frame; from there on to the answer; from the arrival of the
        last frame to the answer (`SweepTimes.latency`); of a sweep in all.
    ratios : dict of str to float
        ``latency`` and ``total`` as multiples of those of the reference: medians over the
        sweeps.
    memory, gpu_memory : float
        Bytes, see `MeasuredSweep`; the most of all sweeps.
    start, first_sweep : float
        Seconds to make the backend, and of its first sweep, which nothing else counts.
    """

    size: str
    backend: str
    every: BackendSummary
    sure: BackendSummary
    sweeps: int
    times: dict[str, Spread]
    ratios: dict[str, float]
    memory: float
    gpu_memory: float
    start: float
    first_sweep: float


def benchmark_rows(benchmark: Benchmark) -> list[BenchmarkRow]:
    """What was measured so far, by size and backend; backends without any answer have no row."""
    rows = []
    for size in dict.fromkeys(map(size_text, benchmark.sizes)):
        of_size = [result for result in benchmark.results if result.size == size]
        by_backend = {
            contender.name: [r for r in of_size if r.every.backend == contender.name]
            for contender in benchmark.contenders
        }
        by_backend = {
            name: results
            for name, results in by_backend.items()
            if not all(result.every.error for result in results)
        }
        rows += _rows_of_size(benchmark, size, by_backend)
    return rows


def _rows_of_size(
    benchmark: Benchmark, size: str, by_backend: Mapping[str, Sequence[StackResult]]
) -> list[BenchmarkRow]:
    every = [result.every for results in by_backend.values() for result in results]
    sure = [result.sure for results in by_backend.values() for result in results]
    shared = shared_scenes(every)
    kept = {
        name: [r for r in results if (r.every.dataset, r.every.scene) in shared]
        for name, results in by_backend.items()
    }
    rows = []
    for of_all, of_sure in zip(summarise(every), summarise(sure), strict=True):
        results = kept[of_all.backend]
        warm_up = benchmark.warm_ups[size, of_all.backend]
        first = warm_up.sweep
        sweeps = [sweep for result in results for sweep in result.sweeps]
        rows.append(
            BenchmarkRow(
                size=_real_size(results, size),
                backend=of_all.backend,
                every=of_all,
                sure=of_sure,
                sweeps=len(sweeps),
                times=_times(sweeps, benchmark.frame_rate),
                ratios=_ratios(results, kept.get(benchmark.reference, ()), benchmark.frame_rate),
                memory=_most([sweep.memory for sweep in (first, *sweeps)]),
                gpu_memory=_most([sweep.gpu_memory for sweep in (first, *sweeps)]),
                start=warm_up.start,
                first_sweep=first.times.total,
            )
        )
    return rows


def _times(sweeps: Sequence[MeasuredSweep], frame_rate: float) -> dict[str, Spread]:
    times = [sweep.times for sweep in sweeps]
    values = {
        "frame": [seconds for item in times for seconds in item.adds],
        "finish": [item.finish for item in times],
        "latency": [item.latency(frame_rate) for item in times],
        "total": [item.total for item in times],
    }
    return {name: Spread.of(values[name]) for name in TIMES}


def _ratios(
    results: Sequence[StackResult], reference: Sequence[StackResult], frame_rate: float
) -> dict[str, float]:
    """Of sweeps of the same stack in the same turn."""
    pairs = [
        (ours.times, theirs.times)
        for one, other in zip(results, reference, strict=bool(reference))
        # An interrupted turn is that of some backends only.
        for ours, theirs in zip(one.sweeps, other.sweeps, strict=False)
    ]
    latency = [ours.latency(frame_rate) / theirs.latency(frame_rate) for ours, theirs in pairs]
    total = [ours.total / theirs.total for ours, theirs in pairs]
    return {"latency": Spread.of(latency).median, "total": Spread.of(total).median}


def _real_size(results: Sequence[StackResult], asked: str) -> str:
    sizes = {f"{result.every.width}x{result.every.height}" for result in results}
    if not sizes:
        return asked
    return sizes.pop() if len(sizes) == 1 else "mixed"


def _most(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return max(known) if known else math.nan
