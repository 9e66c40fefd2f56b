"""Tables and curves of the report: which figures, in what units, how many digits, what is best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from focdepth_ros.evaluation.fusion_scores import FUSION_FIGURES
from focdepth_ros.evaluation.scores import SceneScore
from focdepth_ros.evaluation.sparsification import KEPT_SHARES
from focdepth_ros.evaluation.summary import BackendSummary, Overview

# Of these figures the highest is the best, of all others the lowest.
_HIGHER_IS_BETTER = frozenset(
    {"delta1", "delta2", "delta3", "coverage"}.union(FUSION_FIGURES).difference({"niqe"})
)
_UNITS = {"mae": "m", "mse": "m²", "rmse": "m", "psnr": "dB", "mutual_information": "bit"}
_LABELS = {"q_abf": "Q^AB/F", "mutual_information": "MI", "scd": "SCD"}
_TIMES = {"seconds": "time per stack", "finish_seconds": "time after the last slice"}
# Of every scene; the others are in the CSV file.
_OF_SCENES = ("abs_rel", "rmse", "delta1", "coverage", "ause", "psnr")
_TWO_DIGITS = ("psnr", "niqe", "mutual_information", "bumpiness")

#: Of backends side by side.
COLOURS = ("#2f7fc1", "#d1495b", "#2a9d5c", "#9467c4", "#c77d0a", "#6b7a90")
_WIDTH, _HEIGHT, _MARGIN = 520.0, 240.0, 46.0  # of the curves, px


@dataclass(frozen=True)
class Cell:
    """A number as it is shown, and whether it is the best of its kind."""

    text: str
    is_best: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table: what it is of, and its cells."""

    name: str
    cells: list[Cell]
    unit: str = ""
    arrow: str = ""


def measures_table(
    summaries: Sequence[BackendSummary],
    shown: Sequence[str],
    *,
    with_counts: bool = True,
    with_times: bool = True,
) -> list[Row]:
    """A row per measure, a column per backend: it fits on a phone."""
    rows = []
    if with_counts:
        rows.append(Row("scenes", [Cell(str(item.scenes)) for item in summaries]))
        if any(item.failed for item in summaries):
            rows.append(Row("failed", [Cell(str(item.failed)) for item in summaries]))
    for name in (*shown, *(_TIMES if with_times else ())):
        values = [_value(item, name) for item in summaries]
        rows.append(Row(_label(name), _cells(name, values), _unit(name), _arrow(name)))
    return rows


def comparison(name: str, means: Overview) -> dict[str, Any]:
    """One measure of all datasets: a row per dataset, a column per backend."""
    groups = [
        *means.by_dataset.items(),
        ("mean over datasets", means.over_datasets),
        ("mean over scenes", means.over_scenes),
    ]
    if name in _TIMES:  # medians, there is no mean over scenes
        groups = [group for group in groups if group[0] != "mean over scenes"]
    rows = [Row(label, _cells(name, [_value(s, name) for s in rows])) for label, rows in groups]
    return {
        "name": _label(name),
        "unit": _unit(name),
        "arrow": _arrow(name),
        "rows": rows,
        "last": len(means.by_dataset),
    }


def of_scenes(shown: Sequence[str]) -> tuple[str, ...]:
    """Those of the measures that the table of single scenes has, and the time."""
    return (*(name for name in _OF_SCENES if name in shown), "seconds")


def scene_table(names: Sequence[str]) -> list[Row]:
    """Heads of the columns of `scene_rows`."""
    return [Row(_label(name), [], _unit(name)) for name in names]


def scene_rows(group: Sequence[SceneScore], names: Sequence[str]) -> list[Row]:
    """A row per backend of the scores of a scene."""
    columns = [_cells(name, [_score(score, name) for score in group]) for name in names]
    return [Row(score.backend, [column[i] for column in columns]) for i, score in enumerate(group)]


def figure_rows(figures: Mapping[str, float]) -> list[Row]:
    """A row per measure of one estimate, each with its value; `figures` by name."""
    return [
        Row(_label(name), [Cell(number(value, name))], _unit(name), _arrow(name))
        for name, value in figures.items()
    ]


def curve_chart(curves: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What the SVG of the sparsification curves needs; `curves` by backend."""
    highest = max((v for curve in curves.values() for v in curve if not math.isnan(v)), default=0.0)
    top = round_up(highest) if highest > 0.0 else 1.0

    def x(left_out: float) -> float:
        return round(_MARGIN + left_out * (_WIDTH - 2.0 * _MARGIN), 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _MARGIN - value / top * (_HEIGHT - 2.0 * _MARGIN), 1)

    lines = []
    for number, (name, curve) in enumerate(curves.items()):
        if all(map(math.isnan, curve)):
            continue
        points = [
            f"{x(1.0 - share)},{y(value)}"
            for share, value in zip(KEPT_SHARES, curve, strict=False)
            if not math.isnan(value)
        ]
        colour = COLOURS[number % len(COLOURS)]
        lines.append({"name": name, "points": " ".join(points), "colour": colour})
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "margin": _MARGIN,
        "x_ticks": [(x(share), f"{100.0 * share:.0f} %") for share in _shares(4)],
        "y_ticks": [(y(share * top), f"{share * top:.3g}") for share in _shares(4)],
        "lines": lines,
    }


def distance(metres: float) -> str:
    """A distance as it is shown."""
    return f"{metres:.2f} m" if metres < 10.0 else f"{metres:.1f} m"


def number(value: float, name: str = "") -> str:
    """A number as it is shown: four decimals, and more only for what would be 0 then."""
    if math.isnan(value):
        return "–"
    if name in _TIMES:
        return f"{value:.3f}" if value < 10.0 else f"{value:.1f}"
    if name in _TWO_DIGITS or abs(value) >= 10.0:
        return f"{value:.2f}"
    if 0.0 < abs(value) < 1e-3:
        return f"{value:.{1 - math.floor(math.log10(abs(value)))}f}"
    return f"{value:.4f}"


def _cells(name: str, values: Sequence[float]) -> list[Cell]:
    best = _best(name, values)
    return [Cell(number(value, name), value == best) for value in values]


def _best(name: str, values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    if len(set(known)) < 2:  # none is better than another
        return math.nan
    choose: Callable[[list[float]], float] = max if name in _HIGHER_IS_BETTER else min
    return choose(known)


def _value(summary: BackendSummary, name: str) -> float:
    return float(getattr(summary, name)) if name in _TIMES else summary.figures.get(name, math.nan)


def _score(score: SceneScore, name: str) -> float:
    return score.seconds if name == "seconds" else score.figures.get(name, math.nan)


def _label(name: str) -> str:
    return _TIMES.get(name, _LABELS.get(name, name))


def _unit(name: str) -> str:
    return "s" if name in _TIMES else _UNITS.get(name, "")


def _arrow(name: str) -> str:
    return "↑" if name in _HIGHER_IS_BETTER else "↓"


def _shares(steps: int) -> list[float]:
    return [step / steps for step in range(steps + 1)]


def round_up(value: float) -> float:
    """The next number with one digit, so that ticks are round."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 4.0, 6.0, 8.0, 10.0) if value <= step * power)
