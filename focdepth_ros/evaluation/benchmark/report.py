"""A benchmark as lines for a terminal, Markdown, JSON and an HTML page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.evaluation.benchmark.process import MeasuredSweep
from focdepth_ros.evaluation.benchmark.rows import TIMES, BenchmarkRow, benchmark_rows
from focdepth_ros.evaluation.benchmark.run import Benchmark
from focdepth_ros.evaluation.benchmark.scatter import Dot, scatter_chart
from focdepth_ros.evaluation.report import FITTED, page_template
from focdepth_ros.evaluation.summary import plain

MARKDOWN, JSON, HTML = "benchmark.md", "benchmark.json", "benchmark.html"

_NAMES = 2  # columns of a table that are no numbers
_MEGABYTE = 1e6
_MILLI = 1e3


@dataclass(frozen=True)
class _Column:
    """A column of numbers, of which the lowest is the best unless it is said otherwise."""

    title: str
    value: Callable[[BenchmarkRow], float]
    text: Callable[[float], str]
    lowest_is_best: bool = True


def terminal_lines(benchmark: Benchmark) -> list[str]:
    """The tables, with columns of equal width."""
    lines: list[str] = []
    for header, *rows in _tables_of_text(benchmark):
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for cells in (header, *rows):
            padded = [
                f"{cell:<{width}}" if number < _NAMES else f"{cell:>{width}}"
                for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            lines.append("  ".join(padded))
        lines.append("")
    return lines[:-1]


def markdown(benchmark: Benchmark, about: Mapping[str, str]) -> str:
    """The tables, what their columns are, what it was measured on, and what was left out."""
    parts = []
    for header, *rows in _tables_of_text(benchmark):
        dashes = ["---:" if number >= _NAMES else "---" for number in range(len(header))]
        lines = ("| " + " | ".join(cells) + " |" for cells in (header, dashes, *rows))
        parts.append("\n".join(lines))
    parts += [_legend(benchmark), "\n".join(f"- {name}: {value}" for name, value in about.items())]
    if benchmark.left_out:
        parts += ["Not measured:", "\n".join(f"- {line}" for line in benchmark.left_out)]
    return "\n\n".join(parts) + "\n"


def write_benchmark(folder: Path, benchmark: Benchmark, about: Mapping[str, str]) -> None:
    """Write Markdown, JSON and the HTML page.

    Parameters
    ----------
    folder : Path
        Made if need be.
    benchmark : Benchmark
        As far as it has come.
    about : mapping of str to str
        What was measured, and on which machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKDOWN).write_text(markdown(benchmark, about), encoding="utf-8")
    values = json.dumps(_json_values(benchmark, about), indent=1, allow_nan=False)
    (folder / JSON).write_text(values + "\n", encoding="utf-8")
    (folder / HTML).write_text(_page(benchmark, about), encoding="utf-8")


def _tables(benchmark: Benchmark) -> list[list[_Column]]:
    """The columns of accuracy, and those of time and memory, in which there is something."""
    accuracy = [
        _Column("abs_rel", lambda row: row.every.figures["abs_rel"], _error),
        _Column("rmse [m]", lambda row: row.every.figures["rmse"], _error),
        _Column("answered", lambda row: row.sure.figures["coverage"], _percent, False),
        _Column("abs_rel there", lambda row: row.sure.figures["abs_rel"], _error),
        _Column("rmse there [m]", lambda row: row.sure.figures["rmse"], _error),
        _Column("ause", lambda row: row.every.figures["ause"], _error),
    ]
    cost = [
        _Column("frame [ms]", lambda row: row.times["frame"].median, _milliseconds),
        _Column("finish [ms]", lambda row: row.times["finish"].median, _milliseconds),
        _Column("latency [ms]", lambda row: row.times["latency"].median, _milliseconds),
        _Column("p95 [ms]", lambda row: row.times["latency"].p95, _milliseconds),
        _Column("×", lambda row: row.ratios["latency"], _three_digits),
        _Column("all [s]", lambda row: row.times["total"].median, _three_digits),
        _Column("start [s]", lambda row: row.start, _three_digits),
        _Column("first [s]", lambda row: row.first_sweep, _three_digits),
        _Column("memory [MB]", lambda row: row.memory / _MEGABYTE, _whole),
        _Column("GPU [MB]", lambda row: row.gpu_memory / _MEGABYTE, _whole),
    ]
    rows = benchmark_rows(benchmark)
    tables = (
        [column for column in columns if any(not math.isnan(column.value(row)) for row in rows)]
        for columns in (accuracy, cost)
    )
    return [columns for columns in tables if columns]


def _tables_of_text(benchmark: Benchmark) -> list[list[list[str]]]:
    """Each with a header and rows."""
    return [
        [
            ["size", "backend", *(column.title for column in columns)],
            *(
                [row.size, row.backend, *(_shown(column, row) for column in columns)]
                for row in benchmark_rows(benchmark)
            ),
        ]
        for columns in _tables(benchmark)
    ]


def _shown(column: _Column, row: BenchmarkRow) -> str:
    return _number(column.value(row), column.text)


def _legend(benchmark: Benchmark) -> str:
    rows = benchmark_rows(benchmark)
    stacks = _counted([row.every.scenes for row in rows], "stack")
    sweeps = _counted([row.sweeps for row in rows], "sweep")
    return (
        f"Means over {stacks}: abs_rel, rmse and ause of all pixels; answered: the share that has "
        f"a confidence of {DEFAULT_MIN_CONFIDENCE:g} or more, and the errors there. Medians of "
        f"{sweeps}: a frame; from there on to the answer (finish); from the arrival of the last "
        f"frame to the answer, {benchmark.frame_rate:g} of them coming in a second (latency), its "
        f"95th percentile, and as a multiple of that of {benchmark.reference} (×); a sweep in all. "
        "Before these: to load the backend (start), and the first sweep. Memory: the most beyond "
        "that of the process without the backend." + _truth_note(benchmark)
    )


def _truth_note(benchmark: Benchmark) -> str:
    """Of which stacks the errors are, where that is not all of them, or not in metres."""
    scores = [result.every for result in benchmark.results if not result.every.error]
    known = [score for score in scores if not math.isnan(score.figures["abs_rel"])]
    stacks, measured, fitted = (
        len({(score.dataset, score.scene) for score in group})
        for group in (scores, known, [score for score in known if score.aligned])
    )
    note = ""
    if measured < stacks:
        note += f" Errors are of the {measured} of {stacks} stacks that have a ground truth."
    if fitted:
        note += (
            f" Of {fitted} of {measured} stacks, which have no focus distances, scale and shift "
            "were fitted to the ground truth first."
        )
    return note


def _counted(counts: Sequence[int], what: str) -> str:
    least, most = min(counts, default=0), max(counts, default=0)
    number = f"{least}" if least == most else f"{least} to {most}"
    return f"{number} {what}{'s' * (most != 1)}"


def _page(benchmark: Benchmark, about: Mapping[str, str]) -> str:
    rows = benchmark_rows(benchmark)
    columns = _tables(benchmark)
    sizes = {}
    for size in dict.fromkeys(row.size for row in rows):
        of_size = [row for row in rows if row.size == size]
        sizes[size] = {
            "charts": _charts(of_size),
            "tables": [_html_table(table, of_size) for table in columns],
        }
    stacks = [
        {
            "name": result.every.scene,
            "size": f"{result.every.slices} of {result.every.width}×{result.every.height}",
            "backend": result.every.backend,
            "cells": [
                _number(result.every.figures["abs_rel"], _error),
                _number(result.every.figures["rmse"], _error),
                _number(result.sure.figures["coverage"], _percent),
                _number(result.sure.figures["abs_rel"], _error),
                ", ".join(
                    _milliseconds(sweep.times.latency(benchmark.frame_rate))
                    for sweep in result.sweeps
                ),
            ],
            "notes": "; ".join(
                [*result.every.warnings, *([FITTED] if result.every.aligned else [])]
            ),
        }
        for result in benchmark.results
        if not result.every.error
    ]
    page: str = page_template("benchmark.html.j2").render(
        title="focdepth benchmark",
        about=about,
        left_out=benchmark.left_out,
        sizes=sizes,
        legend=_legend(benchmark),
        stacks=stacks,
    )
    return page


def _charts(rows: Sequence[BenchmarkRow]) -> list[dict[str, Any]]:
    """Error against time and against memory, where there is something to compare."""
    costs: list[tuple[str, Callable[[BenchmarkRow], float]]] = [
        ("latency [ms]", lambda row: _MILLI * row.times["latency"].median),
        ("memory [MB]", lambda row: row.memory / _MEGABYTE),
        ("GPU memory [MB]", lambda row: row.gpu_memory / _MEGABYTE),
    ]
    charts = (
        scatter_chart(
            label,
            "abs_rel of all pixels",
            [Dot(row.backend, cost(row), row.every.figures["abs_rel"]) for row in rows],
        )
        for label, cost in costs
    )
    return [chart for chart in charts if chart is not None]


def _html_table(columns: Sequence[_Column], rows: Sequence[BenchmarkRow]) -> dict[str, Any]:
    best = [_best(column, rows) for column in columns]
    return {
        "titles": [column.title for column in columns],
        "rows": {
            row.backend: [
                (_shown(column, row), column.value(row) == value)
                for column, value in zip(columns, best, strict=True)
            ]
            for row in rows
        },
    }


def _json_values(benchmark: Benchmark, about: Mapping[str, str]) -> dict[str, Any]:
    return {
        "about": dict(about),
        "frame_rate": benchmark.frame_rate,
        "reference": benchmark.reference,
        "left_out": benchmark.left_out,
        "rows": [_row_values(row) for row in benchmark_rows(benchmark)],
        "stacks": [
            {
                "size": result.size,
                "all_pixels": result.every.to_dict(),
                "sure_pixels": result.sure.to_dict(),
                "sweeps": [_sweep_values(sweep) for sweep in result.sweeps],
            }
            for result in benchmark.results
        ],
    }


def _row_values(row: BenchmarkRow) -> dict[str, Any]:
    return {
        "size": row.size,
        "backend": row.backend,
        "stacks": row.every.scenes,
        "failed": row.every.failed,
        "sweeps": row.sweeps,
        "all_pixels": {name: plain(value) for name, value in row.every.figures.items()},
        "sure_pixels": {name: plain(value) for name, value in row.sure.figures.items()},
        **{
            f"{name}_seconds": {key: plain(v) for key, v in asdict(row.times[name]).items()}
            for name in TIMES
        },
        "ratios": {name: plain(value) for name, value in row.ratios.items()},
        "memory_bytes": plain(row.memory),
        "gpu_memory_bytes": plain(row.gpu_memory),
        "start_seconds": plain(row.start),
        "first_sweep_seconds": plain(row.first_sweep),
    }


def _sweep_values(sweep: MeasuredSweep) -> dict[str, Any]:
    return {
        "frame_seconds": list(sweep.times.adds),
        "finish_seconds": sweep.times.finish,
        "memory_bytes": plain(sweep.memory),
        "gpu_memory_bytes": plain(sweep.gpu_memory),
    }


def _best(column: _Column, rows: Sequence[BenchmarkRow]) -> float:
    known = [value for row in rows if not math.isnan(value := column.value(row))]
    if len(known) < 2:
        return math.nan
    return min(known) if column.lowest_is_best else max(known)


def _number(value: float, text: Callable[[float], str]) -> str:
    return "–" if math.isnan(value) else text(value)


def _error(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0995 else f"{value:.4f}"


def _percent(value: float) -> str:
    return f"{100.0 * value:.1f} %"


def _milliseconds(seconds: float) -> str:
    return _three_digits(_MILLI * seconds)


def _three_digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.9995 else f"{value:.3f}"


def _whole(value: float) -> str:
    return f"{value:.0f}"
