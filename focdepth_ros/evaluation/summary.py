"""Means of scores, as a table, CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from focdepth_ros.evaluation.scores import FIGURES, SceneScore

SCENES_CSV, SUMMARY_JSON = "scenes.csv", "summary.json"


@dataclass(frozen=True)
class BackendSummary:
    """Means of a backend over the scenes that every backend answered.

    Parameters
    ----------
    backend : str
    scenes : int
        That the means are of.
    failed : int
        Scenes that it did not answer.
    figures : dict of str to float
        See `scores.FIGURES`.
    curve : tuple of float
        See `SceneScore`.
    seconds, finish_seconds : float
        Medians, which a slow first scene does not change.
    """

    backend: str
    scenes: int
    failed: int
    figures: dict[str, float]
    curve: tuple[float, ...]
    seconds: float
    finish_seconds: float


def summarise(scores: Iterable[SceneScore]) -> list[BackendSummary]:
    """One summary per backend, in the order in which they come.

    Only scenes count that all backends answered: means over different scenes say nothing about
    the backends.
    """
    by_backend = _by_backend(scores)
    shared = _answered_by_all(by_backend)
    return [_summary(name, rows, shared) for name, rows in by_backend.items()]


def shared_scenes(scores: Iterable[SceneScore]) -> set[str]:
    """Names of the scenes that all backends answered, of which the means are."""
    return _answered_by_all(_by_backend(scores))


def _by_backend(scores: Iterable[SceneScore]) -> dict[str, list[SceneScore]]:
    found: dict[str, list[SceneScore]] = {}
    for score in scores:
        found.setdefault(score.backend, []).append(score)
    return found


def _answered_by_all(by_backend: Mapping[str, Sequence[SceneScore]]) -> set[str]:
    answered = [{s.scene for s in rows if not s.error} for rows in by_backend.values()]
    return set.intersection(*answered) if answered else set()


def _summary(backend: str, rows: Sequence[SceneScore], shared: set[str]) -> BackendSummary:
    kept = [score for score in rows if not score.error and score.scene in shared]
    return BackendSummary(
        backend=backend,
        scenes=len(kept),
        failed=sum(bool(score.error) for score in rows),
        figures={name: _mean([score.figures[name] for score in kept]) for name in FIGURES},
        curve=tuple(_mean(values) for values in zip(*(s.curve for s in kept), strict=True)),
        seconds=_median([score.seconds for score in kept]),
        finish_seconds=_median([score.finish_seconds for score in kept]),
    )


def write_csv(path: Path, scores: Iterable[SceneScore]) -> None:
    """A row per scene and backend."""
    plain = ("seconds", "finish_seconds", "slices", "height", "width", "error")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("scene", "backend", *FIGURES, *plain))
        for score in scores:
            figures = (score.figures.get(name, float("nan")) for name in FIGURES)
            values = (getattr(score, name) for name in plain)
            writer.writerow((score.scene, score.backend, *figures, *values))


def write_json(path: Path, summaries: Iterable[BackendSummary], about: Mapping[str, Any]) -> None:
    """What was evaluated, and the summaries; NaN as null."""
    rows = [
        {
            "backend": item.backend,
            "scenes": item.scenes,
            "failed": item.failed,
            **{name: plain(value) for name, value in item.figures.items()},
            "sparsification_abs_rel": [plain(value) for value in item.curve],
            "median_seconds": plain(item.seconds),
            "median_finish_seconds": plain(item.finish_seconds),
        }
        for item in summaries
    ]
    text = json.dumps({**about, "backends": rows}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def plain(value: float) -> float | None:
    """The value, or None, which JSON has, for NaN and infinity."""
    return value if np.isfinite(value) else None
