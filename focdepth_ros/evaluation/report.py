"""An evaluation as one HTML page that opens without a network: tables, pictures, curves, times."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focdepth_ros.evaluation.fusion_pictures import DIFFERENCE_LIMIT
from focdepth_ros.evaluation.fusion_scores import FUSION_FIGURES
from focdepth_ros.evaluation.pictures import (
    BACKEND_CUT_OUTS,
    BACKEND_PICTURES,
    ERROR_LIMIT,
    SCENE_CUT_OUTS,
    SCENE_PICTURES,
    picture_path,
)
from focdepth_ros.evaluation.report_tables import (
    comparison,
    curve_chart,
    distance,
    measures_table,
    of_scenes,
    scene_rows,
    scene_table,
)
from focdepth_ros.evaluation.scene_choice import evenly_spread
from focdepth_ros.evaluation.scores import FIGURES, SceneScore
from focdepth_ros.evaluation.summary import BackendSummary, measured_figures, overview
from focdepth_ros.files.whole_files import whole_file
from focdepth_ros.pictures.depth_pictures import css_gradient

if TYPE_CHECKING:
    from jinja2 import Template

REPORT = "report.html"

_COMPARED = ("abs_rel", "rmse", "delta1", "finish_seconds")
_MOST_PICTURED = 24  # scenes of a dataset; a page of hundreds opens slowly

#: Of a depth that is only known up to both.
FITTED = "scale and shift were fitted to the truth"


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
    known = [
        name
        for name in measured_figures(scores)
        if any(_known(item.figures[name]) for item in means.over_scenes)
    ]
    # Measured in full, all-in-focus images have tables of their own.
    fused = [name for name in FUSION_FIGURES if name in known] if {*known} - {*FIGURES} else []
    shown = [name for name in known if name not in fused]
    sections = [
        _section(
            folder, label, dict((datasets or {}).get(label, {})), summaries, scores, shown, fused
        )
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
        compared_fused=[comparison(name, means) for name in fused] if len(sections) > 1 else [],
        over_datasets=measures_table(means.over_datasets, shown, with_counts=False),
        over_scenes=measures_table(means.over_scenes, shown),
        chart=_chart(means.over_datasets),
        error_limit=f"{100.0 * ERROR_LIMIT:.0f} %",
        difference_limit=f"{DIFFERENCE_LIMIT:.0f} grey levels",
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
    fused: Sequence[str],
) -> dict[str, Any]:
    """What the page has of one dataset."""
    by_scene: dict[str, list[SceneScore]] = {}
    for score in scores:
        if score.dataset == label and not score.error:
            by_scene.setdefault(score.scene, []).append(score)
    cards = [
        card
        for scene in evenly_spread(list(by_scene), _MOST_PICTURED)
        if (card := _card(folder, label, scene, by_scene[scene]))["pairs"] or card["cut_outs"]
    ]
    return {
        "label": label,
        "title": facts.pop("title", label),
        "facts": facts,
        "measures": measures_table(summaries, shown),
        "fusion_measures": measures_table(summaries, fused, with_counts=False, with_times=False),
        "chart": _chart(summaries),
        "scene_columns": scene_table(of_scenes(shown)),
        "fusion_columns": scene_table(fused),
        "scenes": [
            {
                "name": scene,
                "rows": scene_rows(group, of_scenes(shown)),
                "fusion_rows": scene_rows(group, fused),
                "notes": _notes(group),
            }
            for scene, group in by_scene.items()
        ],
        "cards": cards,
        "pictured": f"{len(cards)} of {len(by_scene)}" if len(cards) < len(by_scene) else "",
    }


def _card(folder: Path, label: str, scene: str, group: Sequence[SceneScore]) -> dict[str, Any]:
    """Pictures of a scene in pairs: of the scene, and of what each backend made of it."""

    def pairs(of_scene: Sequence[str], of_backend: Sequence[str]) -> list[dict[str, Any]]:
        wanted = [("", of_scene), *((score.backend, of_backend) for score in group)]
        found = [
            {
                "name": name,
                "pictures": [
                    (what, _inline(picture_path(folder, scene, what, name, label)))
                    for what in pictures
                ],
            }
            for name, pictures in wanted
        ]
        return [pair for pair in found if any(source for _, source in pair["pictures"])]

    first, cut_outs = group[0], pairs(SCENE_CUT_OUTS, BACKEND_CUT_OUTS)
    return {
        "name": scene,
        "size": f"{first.slices} slices, {first.width}×{first.height} px",
        "pairs": pairs(SCENE_PICTURES, BACKEND_PICTURES),
        "cut_outs": cut_outs,
        "has_differences": any(
            source
            for pair in cut_outs
            for what, source in pair["pictures"]
            if what == BACKEND_CUT_OUTS[-1]
        ),
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
            notes.append(FITTED)
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
