"""An evaluation as one HTML page that opens without a network: tables, pictures, curves, times."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from focdepth_ros.evaluation.pictures import (
    BACKEND_PICTURES,
    ERROR_LIMIT,
    SCENE_PICTURES,
    picture_path,
)
from focdepth_ros.evaluation.scores import FIGURES, SceneScore
from focdepth_ros.evaluation.sparsification import KEPT_SHARES
from focdepth_ros.evaluation.summary import (
    SCENES_CSV,
    SUMMARY_JSON,
    summarise,
    write_csv,
    write_json,
)

REPORT = "report.html"

# Of these figures the highest is the best, of all others the lowest.
_HIGHER_IS_BETTER = frozenset({"delta1", "delta2", "delta3", "coverage", "psnr", "ssim"})
_COLOURS = ("#1b6ca8", "#d1495b", "#2a9d5c", "#8d5fb2", "#c77d0a", "#4f5d75")
_WIDTH, _HEIGHT, _MARGIN = 520.0, 260.0, 46.0  # of the curves, px


@dataclass(frozen=True)
class _Cell:
    text: str
    is_best: bool = False


def write_results(
    folder: Path,
    title: str,
    about: Mapping[str, Any],
    scores: Sequence[SceneScore],
    *,
    shown: Mapping[str, Any] | None = None,
) -> Path:
    """Write all that an evaluation leaves behind: the page, and its figures as CSV and JSON.

    Parameters
    ----------
    folder, title, scores
        As of `write_report`.
    about : mapping of str to anything
        What was evaluated, as plain values.
    shown : mapping of str to anything, optional
        What the page says of it; `about` by default.

    Returns
    -------
    Path
        Of the page.
    """
    write_csv(folder / SCENES_CSV, scores)
    write_json(folder / SUMMARY_JSON, summarise(scores), about)
    return write_report(folder, title, about if shown is None else shown, scores)


def write_report(
    folder: Path, title: str, about: Mapping[str, Any], scores: Sequence[SceneScore]
) -> Path:
    """Write the page into the folder of the results.

    Parameters
    ----------
    folder : Path
        With the pictures of the scenes, as far as there are any.
    title : str
    about : mapping of str to anything
        What was evaluated; shown as a list.
    scores : sequence of SceneScore

    Returns
    -------
    Path
        Of the page.
    """
    summaries = summarise(scores)
    figures = [name for name in FIGURES if any(_known(s.figures[name]) for s in summaries)]
    best = {name: _best([summary.figures[name] for summary in summaries], name) for name in figures}
    rows = [
        {
            "backend": item.backend,
            "scenes": item.scenes,
            "failed": item.failed,
            "cells": [
                _Cell(_number(item.figures[name]), item.figures[name] == best[name])
                for name in figures
            ],
            "seconds": _number(item.seconds),
            "finish_seconds": _number(item.finish_seconds),
        }
        for item in summaries
    ]
    page = page_template("report.html.j2").render(
        title=title,
        about=about,
        figures=figures,
        rows=rows,
        curves=_curves({item.backend: item.curve for item in summaries}),
        scenes=_scenes(folder, scores, figures),
        left_out=[score for score in scores if score.error],
        error_limit=ERROR_LIMIT,
    )
    path = folder / REPORT
    path.write_text(page, encoding="utf-8")
    return path


def page_template(name: str) -> Template:
    """A template of this folder; what is put into it is escaped."""
    environment = Environment(
        loader=PackageLoader("focdepth_ros", "evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(name)


def _scenes(
    folder: Path, scores: Sequence[SceneScore], figures: Sequence[str]
) -> list[dict[str, Any]]:
    by_scene: dict[str, list[SceneScore]] = {}
    for score in scores:
        if not score.error:
            by_scene.setdefault(score.scene, []).append(score)
    return [
        {
            "name": scene,
            "size": f"{group[0].slices} slices, {group[0].width}×{group[0].height}",
            "pictures": [
                (what, _inline(picture_path(folder, scene, what))) for what in SCENE_PICTURES
            ],
            "backends": [
                {
                    "name": score.backend,
                    "cells": [_number(score.figures[name]) for name in figures],
                    "seconds": _number(score.seconds),
                    "notes": _notes(score),
                    "pictures": [
                        (what, _inline(picture_path(folder, scene, what, score.backend)))
                        for what in BACKEND_PICTURES
                    ],
                }
                for score in group
            ],
        }
        for scene, group in by_scene.items()
    ]


def _notes(score: SceneScore) -> list[str]:
    notes = list(score.warnings)
    if score.aligned:
        notes.append("scale and shift were fitted to the truth")
    return notes


def _inline(path: Path) -> str:
    """The picture as a data URL, or nothing where there is none."""
    if not path.is_file():
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _curves(curves: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What the SVG of the sparsification curves needs."""
    highest = max((v for curve in curves.values() for v in curve if _known(v)), default=0.0)
    top = highest or 1.0

    def place(share: float, value: float) -> str:
        x = _MARGIN + (1.0 - share) * (_WIDTH - 2.0 * _MARGIN)
        y = _HEIGHT - _MARGIN - value / top * (_HEIGHT - 2.0 * _MARGIN)
        return f"{x:.1f},{y:.1f}"

    lines = []
    for number, (name, curve) in enumerate(curves.items()):
        points = [
            place(share, value)
            for share, value in zip(KEPT_SHARES, curve, strict=False)
            if _known(value)
        ]
        colour = _COLOURS[number % len(_COLOURS)]
        lines.append({"name": name, "points": " ".join(points), "colour": colour})
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "margin": _MARGIN,
        "top": _number(top),
        "lines": lines,
    }


def _best(values: Sequence[float], name: str) -> float:
    known = [value for value in values if _known(value)]
    if len(known) < 2:
        return float("nan")
    return max(known) if name in _HIGHER_IS_BETTER else min(known)


def _known(value: float) -> bool:
    return value == value  # not NaN


def _number(value: float) -> str:
    if not _known(value):
        return "–"
    return f"{value:.4f}" if abs(value) < 10.0 else f"{value:.2f}"
