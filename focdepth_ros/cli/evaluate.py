"""``focdepth evaluate``: backends on datasets, with a report."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from focdepth_ros.cli.parameters import backend_settings
from focdepth_ros.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from focdepth_ros.datasets.base import Dataset
    from focdepth_ros.evaluation.job import DatasetChoice
    from focdepth_ros.evaluation.scores import SceneScore
    from focdepth_ros.evaluation.summary import BackendSummary, Overview

_LEFT_OUT = 1

# Options of other commands that measure, too.
BACKEND = typer.Option(
    [],
    "--backend",
    "-b",
    help="May be repeated.",
    show_default="all that can be used here, except defocus",
)
OPTION = typer.Option(
    [],
    metavar="BACKEND.KEY=VALUE",
    help="Setting of a backend, see `focdepth backends NAME`; may be repeated.",
)
RESUME = typer.Option(
    False, "--resume", help="Continue from the results that are already in the folder."
)
ALIGN = typer.Option("auto", metavar="METHOD", help="As for `focdepth estimate`.")
MIN_CONFIDENCE = typer.Option(
    0.0, help="From 0 to 1; pixels of lower confidence count as not answered."
)
AIF = typer.Option(
    False,
    "--aif",
    help="Measure the all-in-focus images, too; then scenes need no depth.",
)
PICTURES = typer.Option(True, help="Pictures of depths and errors in the report.")
WORKERS = typer.Option(
    None,
    min=1,
    help="Processes that share the work.",
    show_default="1; with --address one per thread there",
)
ADDRESS = typer.Option(
    None,
    metavar="tcp://HOST:PORT",
    help="Let the workers of this Dask cluster do the work; they need the data at the same path.",
)


def evaluate(
    dataset: list[str] = typer.Option(
        ...,
        "--dataset",
        "-d",
        metavar="NAME[:SPLIT]",
        help="See `focdepth datasets`; may be repeated, each with its --path.",
    ),
    path: list[Path] = typer.Option(
        ..., "--path", "-p", metavar="DIR", help="Where the dataset lies; may be repeated."
    ),
    split: Optional[str] = typer.Option(
        None, help="Of a single dataset.", show_default="the first of the dataset"
    ),
    backend: list[str] = BACKEND,
    option: list[str] = OPTION,
    scenes: Optional[int] = typer.Option(
        None,
        min=1,
        help="Number of scenes to take from each dataset, evenly spread.",
        show_default="all",
    ),
    output: Optional[Path] = typer.Option(
        None, "--output", "-o", help="Folder of the results.", show_default="evaluation/DATASET"
    ),
    resume: bool = RESUME,
    workers: Optional[int] = WORKERS,
    address: Optional[str] = ADDRESS,
    align: str = ALIGN,
    min_confidence: float = MIN_CONFIDENCE,
    aif: bool = AIF,
    pictures: bool = PICTURES,
) -> None:
    """Measure backends on datasets whose depth or all-in-focus image is known.

    Writes scores of every scene (scenes.csv), means (summary.json) and a page
    with tables, pictures, error maps and curves (report.html), which opens
    without a network. Several datasets come into one report: repeat --dataset
    and --path, the first belongs to the first. A scene that fails, or a
    dataset among others that cannot be read, is left out, named, and makes
    the exit status 1.
    """
    from focdepth_ros.cli.dataset_choices import dataset_choices

    choices = dataset_choices(dataset, path, split)
    run_evaluation(
        datasets=choices,
        backend=backend,
        option=option,
        scenes=scenes,
        output=output or Path("evaluation") / "-".join(dict.fromkeys(c.name for c in choices)),
        resume=resume,
        workers=workers,
        address=address,
        align=align,
        min_confidence=min_confidence,
        aif=aif,
        pictures=pictures,
    )


def run_evaluation(
    *,
    datasets: Sequence[DatasetChoice],
    backend: Sequence[str],
    option: Sequence[str],
    scenes: int | None,
    output: Path,
    resume: bool,
    workers: int | None,
    address: str | None,
    align: str,
    min_confidence: float,
    pictures: bool,
    aif: bool = False,
) -> None:
    """What `evaluate` does, whose arguments these are; also for other commands.

    Raises
    ------
    typer.Exit
        If something could not be measured.
    """
    from focdepth_ros.backends.registry import list_backends
    from focdepth_ros.errors import EvaluationError
    from focdepth_ros.libraries import REPORT_LIBRARIES, missing_because

    missing = missing_because(REPORT_LIBRARIES, "evaluation")
    if missing is not None:
        raise EvaluationError(f"no report can be written here: {missing}")
    from focdepth_ros.evaluation.dataset_evaluation import evaluate_datasets
    from focdepth_ros.evaluation.fusion_scores import need_fusion_libraries
    from focdepth_ros.evaluation.job import EvaluationJob
    from focdepth_ros.evaluation.machine import describe_machine
    from focdepth_ros.evaluation.results import Evaluated, write_evaluation
    from focdepth_ros.evaluation.scene_choice import evenly_spread
    from focdepth_ros.evaluation.score_file import ScoreFile
    from focdepth_ros.evaluation.summary import overview

    if aif:
        need_fusion_libraries()
    usual = [info.name for info in list_backends() if info.is_usual]
    job = EvaluationJob(
        datasets=tuple(datasets),
        backends=backend_settings(backend or usual, option),
        align=align,
        min_confidence=min_confidence,
        aif=aif,
    )
    opened, left_out = _opened(job.datasets)
    job.make_pipelines()  # what is wrong with a backend is said before the work begins
    evaluated = {
        label: Evaluated(found, tuple(evenly_spread(found.scenes, scenes)))
        for label, found in opened.items()
    }
    # Only where it is set: evaluations without it go on that were begun before it was there.
    about = {"align": align, "min_confidence": min_confidence} | ({"aif": True} if aif else {})
    asked = {
        "datasets": {choice.label: _as_asked(choice) for choice in job.datasets},
        "scenes_of_each": scenes,
        "backends": job.backends,
        **about,
    }
    file = ScoreFile(output, asked, resume=resume)
    for label, why in left_out.items():
        typer.echo(f"{label} is left out: {why}", err=True)
    count = sum(len(item.scenes) for item in evaluated.values())
    with progress(f"Evaluating {count} scenes", count) as advance:
        scores = evaluate_datasets(
            replace(job, datasets=tuple(c for c in job.datasets if c.label in opened)),
            {label: item.scenes for label, item in evaluated.items()},
            file,
            pictures=pictures,
            workers=workers,
            address=address,
            advance=advance,
        )
    here = describe_machine()
    machine = f"{here['processor']}; GPU: {here['GPU']}"
    report = write_evaluation(
        output,
        scores,
        evaluated,
        left_out,
        backends=job.backends,
        about=about,
        machine=machine if address is None else f"the workers of {address}",
    )
    for line in _table(overview(scores)):
        typer.echo(line)
    typer.echo(f"report: {report}")
    _name_failures(scores, left_out, several=len(datasets) > 1)


def _opened(choices: Sequence[DatasetChoice]) -> tuple[dict[str, Dataset], dict[str, str]]:
    """The datasets by label, and of those that cannot be opened why.

    Raises
    ------
    DatasetError
        If none can.
    """
    from focdepth_ros.errors import DatasetError, FocdepthError

    opened, left_out = {}, {}
    for choice in choices:
        try:
            opened[choice.label] = choice.open()
        except (FocdepthError, OSError) as error:
            if len(choices) == 1:
                raise
            left_out[choice.label] = str(error)
    if not opened:
        raise DatasetError("; ".join(left_out.values()))
    return opened, left_out


def _as_asked(choice: DatasetChoice) -> dict[str, Any]:
    options = {key: str(value) for key, value in choice.options.items()}
    return {"path": choice.root, "split": choice.split, **options}


def _name_failures(
    scores: Sequence[SceneScore], left_out: Mapping[str, str], *, several: bool
) -> None:
    """Name what could not be measured, which makes the exit status 1."""
    failed = [score for score in scores if score.error]
    if failed:
        typer.echo(f"{len(failed)} of {len(scores)} could not be measured:", err=True)
    for score in failed:
        where = f"{score.dataset}: {score.scene}" if several else score.scene
        typer.echo(f"  {where}, {score.backend}: {score.error}", err=True)
    if left_out:
        count = len(left_out)
        typer.echo(f"{count} dataset{'s' * (count > 1)} could not be read:", err=True)
    for label, why in left_out.items():
        typer.echo(f"  {label}: {why}", err=True)
    if failed or left_out:
        raise typer.Exit(_LEFT_OUT)


def _table(means: Overview) -> Iterator[str]:
    """Lines of the means; no wider than a terminal."""
    blocks = dict(means.by_dataset)
    if len(blocks) == 1:
        yield from _blocks(means.over_scenes)
        return
    blocks |= {"mean over datasets": means.over_datasets, "mean over scenes": means.over_scenes}
    for label, summaries in blocks.items():
        yield f"{label}:"
        yield from _blocks(summaries)


def _blocks(summaries: Sequence[BackendSummary]) -> Iterator[str]:
    """Means of the depths, and of the all-in-focus images where these were measured in full."""
    from focdepth_ros.evaluation.fusion_scores import FUSION_FIGURES

    names = ("abs_rel", "rmse", "delta1", "coverage", "ause")
    columns = {
        **{name: [item.figures[name] for item in summaries] for name in names},
        "s/stack": [item.seconds for item in summaries],
        "s after last": [item.finish_seconds for item in summaries],
    }
    yield from _lines(summaries, columns)
    if all(name in item.figures for name in FUSION_FIGURES for item in summaries):
        heads = {"mutual_information": "MI"}
        yield from _lines(
            summaries,
            {
                heads.get(name, name): [item.figures[name] for item in summaries]
                for name in FUSION_FIGURES
            },
        )


def _lines(
    summaries: Sequence[BackendSummary], columns: Mapping[str, Sequence[float]]
) -> Iterator[str]:
    first = max(len("backend"), *(len(item.backend) for item in summaries))
    yield f"{'backend':<{first}}  scenes  " + "  ".join(f"{name:>8}" for name in columns)
    for number, item in enumerate(summaries):
        cells = {name: values[number] for name, values in columns.items()}
        numbers = "  ".join(
            f"{'–' if value != value else format(value, '.4f'):>{max(len(name), 8)}}"
            for name, value in cells.items()
        )
        yield f"{item.backend:<{first}}  {item.scenes:>6}  {numbers}"
