"""An evaluation as one HTML page that opens without a network: tables, pictures, curves, times."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focdepth_ros.evaluation.pictures import (
    BACKEND_PICTURES,
    ERROR_LIMIT,
    SCENE_PICTURES,
    picture_path,
)
from focdepth_ros.evaluation.report_tables import (
    comparison,
    curve_chart,
    distance,
    measures_table,
    scene_rows,
    scene_table,
)
from focdepth_ros.evaluation.scene_choice import evenly_spread
from focdepth_ros.evaluation.scores import FIGURES, SceneScore
from focdepth_ros.evaluation.summary import BackendSummary, overview
from focdepth_ros.visualization import css_gradient
from focdepth_ros.whole_files import whole_file

if TYPE_CHECKING:
    from jinja2 import Template

REPORT = "report.html"

_COMPARED = ("abs_rel", "rmse", "delta1", "finish_seconds")
_MOST_PICTURED = 24  # scenes of a dataset; a page of hundreds opens slowly


def write_report(
    folder: Path,
    title: str,
    about: Mapping[str, Any],
    scores: Sequence[SceneScore],
    *,
    datasets: Mapping[str, Mapping[str, Any]] | None = None,
    left_out: Mapping[str, str] | None = None,
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
    datasets : mapping of str to mapping, optional
        What is to be shown of each dataset, by what the scores call it; its ``title`` as heading.
    left_out : mapping of str to str, optional
        Whole datasets that could not be opened, and why.

    Returns
    -------
    Path
        Of the page.
    """
    means = overview(scores)
    shown = [name for name in FIGURES if any(_known(s.figures[name]) for s in means.over_scenes)]
    sections = [
        _section(folder, label, dict((datasets or {}).get(label, {})), summaries, scores, shown)
        for label, summaries in means.by_dataset.items()
    ]
    counted = sum(any(item.scenes for item in rows) for rows in means.by_dataset.values())
    page = page_template("report.html.j2").render(
        title=title,
        about=about,
        backends=[item.backend for item in means.over_scenes],
        sections=sections,
        failures=_failures(scores, left_out or {}),
        counted=counted,
        compared=[comparison(name, means) for name in _COMPARED] if len(sections) > 1 else [],
        over_datasets=measures_table(means.over_datasets, shown, with_counts=False),
        over_scenes=measures_table(means.over_scenes, shown),
        chart=_chart(means.over_datasets),
        error_limit=f"{100.0 * ERROR_LIMIT:.0f} %",
        error_colours=css_gradient(),
        depth_colours=css_gradient(reverse=True),
    )
    path = folder / REPORT
    with whole_file(path) as file:
        file.write(page)
    return path


def page_template(name: str) -> Template:
    """A template of this folder; what is put into it is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("focdepth_ros", "evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _section(
    folder: Path,
    label: str,
    facts: dict[str, Any],
    summaries: Sequence[BackendSummary],
    scores: Sequence[SceneScore],
    shown: Sequence[str],
) -> dict[str, Any]:
    """What the page has of one dataset."""
    by_scene: dict[str, list[SceneScore]] = {}
    for score in scores:
        if score.dataset == label and not score.error:
            by_scene.setdefault(score.scene, []).append(score)
    cards = [
        card
        for scene in evenly_spread(list(by_scene), _MOST_PICTURED)
        if (card := _card(folder, label, scene, by_scene[scene]))["pairs"]
    ]
    return {
        "label": label,
        "title": facts.pop("title", label),
        "facts": facts,
        "measures": measures_table(summaries, shown),
        "chart": _chart(summaries),
        "scene_columns": scene_table(shown),
        "scenes": [
            {"name": scene, "rows": scene_rows(group, shown), "notes": _notes(group)}
            for scene, group in by_scene.items()
        ],
        "cards": cards,
        "pictured": f"{len(cards)} of {len(by_scene)}" if len(cards) < len(by_scene) else "",
    }


def _card(folder: Path, label: str, scene: str, group: Sequence[SceneScore]) -> dict[str, Any]:
    """Pictures of a scene in pairs: of the scene, and of what each backend made of it."""
    of_scene = [
        (what, _inline(picture_path(folder, scene, what, "", label))) for what in SCENE_PICTURES
    ]
    pairs = [{"name": "", "pictures": of_scene}]
    for score in group:
        pictures = [
            (what, _inline(picture_path(folder, scene, what, score.backend, label)))
            for what in BACKEND_PICTURES
        ]
        pairs.append({"name": score.backend, "pictures": pictures})
    first = group[0]
    return {
        "name": scene,
        "size": f"{first.slices} slices, {first.width}×{first.height} px",
        "pairs": [pair for pair in pairs if any(source for _, source in pair["pictures"])],
        "depth_ticks": _depth_ticks(first.depth_range),
    }


def _depth_ticks(limits: Sequence[float]) -> list[str]:
    """Nearest, middle and farthest depth of the colours, which go evenly in dioptres."""
    if len(limits) != 2:
        return []
    near, far = limits
    return [distance(value) for value in (near, 2.0 / (1.0 / near + 1.0 / far), far)]


def _failures(scores: Sequence[SceneScore], left_out: Mapping[str, str]) -> list[dict[str, Any]]:
    """What could not be measured, by reason: a scene is the same for all backends mostly."""
    found: dict[tuple[str, str, str], list[str]] = {
        (label, "", reason): [] for label, reason in left_out.items()
    }
    for score in scores:
        if score.error:
            found.setdefault((score.dataset, score.scene, score.error), []).append(score.backend)
    return [
        {"where": " · ".join(filter(None, (dataset, scene, ", ".join(names)))), "why": reason}
        for (dataset, scene, reason), names in found.items()
    ]


def _notes(group: Sequence[SceneScore]) -> list[str]:
    """What is to be said of a scene, once for all backends that it holds of."""
    found: dict[str, list[str]] = {}
    for score in group:
        notes = [*score.warnings]
        if score.aligned:
            notes.append("scale and shift were fitted to the truth")
        for note in notes:
            found.setdefault(note, []).append(score.backend)
    return [
        note if len(names) == len(group) > 1 else f"{', '.join(names)}: {note}"
        for note, names in found.items()
    ]


def _chart(summaries: Sequence[BackendSummary]) -> dict[str, Any]:
    return curve_chart({item.backend: item.curve for item in summaries})


def _inline(path: Path) -> str:
    """The picture as a data URL, or nothing where there is none."""
    if not path.is_file():
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _known(value: float) -> bool:
    return value == value  # not NaN
