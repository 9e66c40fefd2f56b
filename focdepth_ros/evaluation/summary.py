"""Means of scores, as a table, CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from focdepth_ros.evaluation.fusion_scores import FUSION_FIGURES
from focdepth_ros.evaluation.scores import FIGURES, SceneScore
from focdepth_ros.files.whole_files import whole_file

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
        Those of `measured_figures`.
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


@dataclass(frozen=True)
class Overview:
    """Means of the backends, each over the scenes that every backend answered.

    Parameters
    ----------
    over_scenes : list of BackendSummary
        Every scene counts the same.
    over_datasets : list of BackendSummary
        Means of the means of the datasets (of times: of their medians): every dataset counts the
        same, however many scenes it has.
    by_dataset : dict of str to list of BackendSummary
        Of each dataset alone, by what the results call it.
    """

    over_scenes: list[BackendSummary]
    over_datasets: list[BackendSummary]
    by_dataset: dict[str, list[BackendSummary]]


def measured_figures(scores: Iterable[SceneScore]) -> tuple[str, ...]:
    """Names of `scores.FIGURES`, and of those of all-in-focus images that a score has besides."""
    found = {name for score in scores for name in score.figures}
    return (*FIGURES, *(name for name in FUSION_FIGURES if name in found.difference(FIGURES)))


def overview(scores: Iterable[SceneScore]) -> Overview:
    """All means, of each dataset and over all of them; a dataset of no common scene has none."""
    every = list(scores)
    by_dataset: dict[str, list[SceneScore]] = {}
    for score in every:
        by_dataset.setdefault(score.dataset, []).append(score)
    answering = _answering(every)
    summaries = {label: _summarised(rows, answering) for label, rows in by_dataset.items()}
    over_scenes = summarise(every)
    over_datasets = [
        _mean_of([s for rows in summaries.values() for s in rows if s.backend == item.backend])
        for item in over_scenes
    ]
    return Overview(over_scenes, over_datasets, summaries)


def summarise(scores: Iterable[SceneScore]) -> list[BackendSummary]:
    """One summary per backend, in the order in which they come.

    Only scenes count that all backends answered: means over different scenes say nothing about
    the backends. One that answered none at all takes nothing from the others.
    """
    every = list(scores)
    return _summarised(every, _answering(every))


def shared_scenes(scores: Iterable[SceneScore]) -> set[tuple[str, str]]:
    """Dataset and name of the scenes that all backends answered, of which the means are."""
    every = list(scores)
    return _answered_by_all(_by_backend(every), _answering(every))


def _answering(scores: Iterable[SceneScore]) -> set[str]:
    """Backends that answered anything at all."""
    return {score.backend for score in scores if not score.error}


def _summarised(scores: Sequence[SceneScore], answering: set[str]) -> list[BackendSummary]:
    by_backend = _by_backend(scores)
    shared = _answered_by_all(by_backend, answering)
    names = measured_figures(scores)
    return [_summary(name, rows, shared, names) for name, rows in by_backend.items()]


def _by_backend(scores: Iterable[SceneScore]) -> dict[str, list[SceneScore]]:
    found: dict[str, list[SceneScore]] = {}
    for score in scores:
        found.setdefault(score.backend, []).append(score)
    return found


def _answered_by_all(
    by_backend: Mapping[str, Sequence[SceneScore]], answering: set[str]
) -> set[tuple[str, str]]:
    answered = [
        {_key(score) for score in rows if not score.error}
        for backend, rows in by_backend.items()
        if backend in answering
    ]
    return set.intersection(*answered) if answered else set()


def _key(score: SceneScore) -> tuple[str, str]:
    return score.dataset, score.scene


def _mean_of(summaries: Sequence[BackendSummary]) -> BackendSummary:
    """Mean of the summaries of a backend on several datasets."""
    names = dict.fromkeys(name for item in summaries for name in item.figures)
    known = [item for item in summaries if item.scenes]
    return BackendSummary(
        backend=summaries[0].backend,
        scenes=sum(item.scenes for item in summaries),
        failed=sum(item.failed for item in summaries),
        figures={name: _mean([_figure(item, name) for item in known]) for name in names},
        curve=tuple(_mean(values) for values in zip(*(s.curve for s in known), strict=True)),
        seconds=_mean([item.seconds for item in known]),
        finish_seconds=_mean([item.finish_seconds for item in known]),
    )


def _summary(
    backend: str,
    rows: Sequence[SceneScore],
    shared: set[tuple[str, str]],
    names: Iterable[str],
) -> BackendSummary:
    kept = [score for score in rows if not score.error and _key(score) in shared]
    return BackendSummary(
        backend=backend,
        scenes=len(kept),
        failed=sum(bool(score.error) for score in rows),
        figures={name: _mean([_figure(score, name) for score in kept]) for name in names},
        curve=tuple(_mean(values) for values in zip(*(s.curve for s in kept), strict=True)),
        seconds=_median([score.seconds for score in kept]),
        finish_seconds=_median([score.finish_seconds for score in kept]),
    )


def write_csv(path: Path, scores: Iterable[SceneScore]) -> None:
    """A row per dataset, scene and backend."""
    rows = list(scores)
    names = measured_figures(rows)
    plain = ("seconds", "finish_seconds", "slices", "height", "width", "error")
    with whole_file(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("dataset", "scene", "backend", *names, *plain))
        for score in rows:
            figures = (_figure(score, name) for name in names)
            values = (getattr(score, name) for name in plain)
            writer.writerow((score.dataset, score.scene, score.backend, *figures, *values))


def write_json(
    path: Path,
    means: Overview,
    about: Mapping[str, Any],
    datasets: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write what was evaluated, and all means; NaN as null.

    Parameters
    ----------
    path : Path
    means : Overview
    about : mapping of str to plain values
    datasets : mapping of str to mapping
        What is to be known of each dataset, by what the results call it.
    """
    content = {
        **about,
        "datasets": {
            label: {**facts, "backends": _rows(means.by_dataset.get(label, []))}
            for label, facts in datasets.items()
        },
        "backends": _rows(means.over_scenes),
        "backends_over_datasets": _rows(means.over_datasets),
    }
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=2) + "\n")


def _rows(summaries: Iterable[BackendSummary]) -> list[dict[str, Any]]:
    return [
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


def _figure(of: SceneScore | BackendSummary, name: str) -> float:
    return of.figures.get(name, float("nan"))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def plain(value: float) -> float | None:
    """The value, or None, which JSON has, for NaN and infinity."""
    return value if np.isfinite(value) else None
