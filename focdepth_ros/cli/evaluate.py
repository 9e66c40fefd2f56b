"""``focdepth evaluate``: backends on a dataset, with a report."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from focdepth_ros.cli.parameters import backend_settings
from focdepth_ros.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from focdepth_ros.evaluation.scores import SceneScore

_LEFT_OUT = 1


def evaluate(
    dataset: str = typer.Option(..., "--dataset", "-d", help="See `focdepth datasets`."),
    path: Path = typer.Option(..., "--path", "-p", metavar="DIR", help="Where it lies."),
    split: Optional[str] = typer.Option(None, help="[default: the first of the dataset]"),
    backend: list[str] = typer.Option(
        [], "--backend", "-b", help="May be repeated. [default: all that can be used here]"
    ),
    option: list[str] = typer.Option(
        [],
        metavar="BACKEND.KEY=VALUE",
        help="Setting of a backend, see `focdepth backends NAME`; may be repeated.",
    ),
    scenes: Optional[int] = typer.Option(
        None, min=1, help="So many scenes, evenly spread. [default: all]"
    ),
    output: Optional[Path] = typer.Option(
        None, "--output", "-o", help="Folder of the results. [default: evaluation/DATASET]"
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Go on with what is in the folder of the results."
    ),
    workers: int = typer.Option(1, min=1, help="Processes that share the scenes."),
    align: str = typer.Option("auto", metavar="METHOD", help="As of `focdepth estimate`."),
    min_confidence: float = typer.Option(
        0.0, help="From 0 to 1; pixels of lower confidence count as not answered."
    ),
    pictures: bool = typer.Option(True, help="Pictures of depths and errors in the report."),
) -> None:
    """Measure backends on a dataset whose depth is known.

    Leaves scores of every scene (scenes.csv), means (summary.json) and a page
    with tables, pictures, error maps and curves (report.html), which opens
    without a network. A scene that fails is left out, named, and makes the
    exit status 1.
    """
    run_evaluation(
        dataset=dataset,
        path=path,
        split=split,
        backend=backend,
        option=option,
        scenes=scenes,
        output=output or Path("evaluation") / dataset,
        resume=resume,
        workers=workers,
        align=align,
        min_confidence=min_confidence,
        pictures=pictures,
    )


def run_evaluation(
    *,
    dataset: str,
    path: Path,
    split: str | None,
    backend: Sequence[str],
    option: Sequence[str],
    scenes: int | None,
    output: Path,
    resume: bool,
    workers: int,
    align: str,
    min_confidence: float,
    pictures: bool,
    dataset_options: dict[str, Any] | None = None,
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
    from focdepth_ros.evaluation.dataset_evaluation import evaluate_dataset
    from focdepth_ros.evaluation.job import EvaluationJob, evenly_spread
    from focdepth_ros.evaluation.report import write_results
    from focdepth_ros.evaluation.score_file import ScoreFile

    usable = [info.name for info in list_backends() if info.unusable_because is None]
    backends = backend_settings(backend or usable, option)
    job = EvaluationJob(
        dataset=dataset,
        root=str(path),
        split=split,
        backends=backends,
        align=align,
        min_confidence=min_confidence,
        dataset_options=dataset_options or {},
    )
    opened = job.open_dataset()
    job.make_pipelines()  # what is wrong with a backend is said before the work begins
    chosen = evenly_spread(opened.scenes, scenes)
    about = {
        "dataset": opened.title,
        "path": str(path),
        "split": opened.split,
        "scenes": len(chosen),
        "backends": job.backends,
        "align": align,
        "min_confidence": min_confidence,
    }
    if dataset_options:
        about["dataset_options"] = {key: str(value) for key, value in dataset_options.items()}
    file = ScoreFile(output, about, resume=resume)
    with progress(f"Evaluating {len(chosen)} scenes", len(chosen)) as advance:
        scores = evaluate_dataset(
            job, chosen, file, pictures=pictures, workers=workers, advance=advance
        )
    shown = {**about, "backends": ", ".join(backends), "scenes": f"{len(chosen)} of {len(opened)}"}
    title = f"{opened.title}: depth against the truth"
    report = write_results(output, title, about, scores, shown=shown)
    for line in _table(scores):
        typer.echo(line)
    typer.echo(f"report: {report}")
    failed = [score for score in scores if score.error]
    if failed:
        typer.echo(f"{len(failed)} of {len(scores)} could not be measured:", err=True)
        for score in failed:
            typer.echo(f"  {score.scene}, {score.backend}: {score.error}", err=True)
        raise typer.Exit(_LEFT_OUT)


def _table(scores: Sequence[SceneScore]) -> list[str]:
    """Lines of the means; no wider than a terminal."""
    from focdepth_ros.evaluation.summary import summarise

    figures = ("abs_rel", "rmse", "delta1", "coverage", "ause")
    summaries = summarise(scores)
    first = max(len("backend"), *(len(item.backend) for item in summaries))
    names = (*figures, "s/stack", "s after last")
    lines = [f"{'backend':<{first}}  scenes  " + "  ".join(f"{name:>8}" for name in names)]
    for item in summaries:
        values = [*(item.figures[name] for name in figures), item.seconds, item.finish_seconds]
        numbers = "  ".join(
            f"{'–' if value != value else format(value, '.4f'):>{max(len(name), 8)}}"
            for name, value in zip(names, values, strict=True)
        )
        lines.append(f"{item.backend:<{first}}  {item.scenes:>6}  {numbers}")
    return lines
