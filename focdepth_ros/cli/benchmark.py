"""``focdepth benchmark``: accuracy, speed and memory of the backends on this machine."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from focdepth_ros.cli.evaluate import BACKEND, OPTION
from focdepth_ros.cli.parameters import backend_settings, image_size
from focdepth_ros.cli.progress import progress

if TYPE_CHECKING:
    from focdepth_ros.evaluation.benchmark.stacks import StackSource

_LEFT_OUT = 1
_SIMULATED_SCENES = 10
_SIMULATED_SLICES = 10


def benchmark(
    backend: list[str] = BACKEND,
    option: list[str] = OPTION,
    scenes: Optional[int] = typer.Option(
        None, min=1, help="Number of stacks; by default 10 simulated ones, or all that are given."
    ),
    slices: Optional[int] = typer.Option(
        None, min=2, max=200, help="Of a simulated stack; by default 10."
    ),
    stack: list[Path] = typer.Option(
        [], metavar="DIR", help="A stack folder, or a folder of such, instead; may be repeated."
    ),
    dataset: Optional[str] = typer.Option(
        None, "--dataset", "-d", help="A dataset instead, see `focdepth datasets`."
    ),
    path: Optional[Path] = typer.Option(
        None, "--path", "-p", metavar="DIR", help="Where the dataset lies."
    ),
    split: list[str] = typer.Option(
        [], help="May be repeated; by default the first of the dataset."
    ),
    sizes: Optional[str] = typer.Option(
        None,
        metavar="WxH,...",
        help="Sizes of the images; by default 640x480 for simulated ones, others as they are.",
    ),
    repeat: Optional[int] = typer.Option(
        None, min=1, help="Sweeps of each stack; by default as many as make 10 in all."
    ),
    rate: float = typer.Option(30.0, help="Frames per second, for the latency."),
    threads: Optional[int] = typer.Option(
        None,
        min=1,
        help="Threads of OpenCV, the graph cut and torch; by default as many as each chooses.",
    ),
    align: str = typer.Option("auto", metavar="METHOD", help="As for `focdepth estimate`."),
    output: Path = typer.Option(
        Path("evaluation/benchmark"), "--output", "-o", help="Folder of the results."
    ),
    force: bool = typer.Option(False, "--force", help="Replace an earlier benchmark there."),
) -> None:
    """Measure accuracy, latency, time and memory of backends on this machine.

    On simulated scenes that nothing was trained or tuned on, or on stacks of
    your own. Writes benchmark.md, .json and .html. Each backend has a process
    of its own, and they take turns. What fails is named and makes the exit
    status 1; Ctrl-C keeps what was measured so far.
    """
    from functools import partial

    from focdepth_ros.backends.registry import check_options, list_backends
    from focdepth_ros.errors import EvaluationError, OptionError
    from focdepth_ros.libraries import REPORT_LIBRARIES, missing_because
    from focdepth_ros.registration.config import AlignmentConfig

    missing = missing_because(REPORT_LIBRARIES, "evaluation")
    if missing is not None:
        raise EvaluationError(f"no report can be written here: {missing}")
    from focdepth_ros.evaluation.benchmark.process import Contender
    from focdepth_ros.evaluation.benchmark.report import HTML, terminal_lines, write_benchmark
    from focdepth_ros.evaluation.benchmark.run import Benchmark
    from focdepth_ros.evaluation.job import make_pipeline
    from focdepth_ros.evaluation.machine import describe_machine, is_busy

    if not 0.1 <= rate <= 10_000.0:
        raise OptionError(f"--rate is {rate}; give frames per second from 0.1 to 10000")
    if (output / HTML).exists() and not force:
        raise OptionError(f"{output} has a benchmark; choose another folder, or give --force")
    AlignmentConfig(method=align)  # what is wrong with a setting is said before the work begins
    infos = list(list_backends())
    usual = [info.name for info in infos if info.is_usual]
    backends = backend_settings(backend or usual, option)
    for name, options in backends.items():
        check_options(name, **options)
    source = _stack_source(scenes, slices, stack, dataset, path, split)
    texts = [] if sizes is None else sizes.split(",")
    chosen = list(dict.fromkeys(image_size(text, "--sizes") for text in texts))
    run = Benchmark(
        [
            Contender(name, partial(make_pipeline, name, options, align=align))
            for name, options in backends.items()
        ],
        source,
        chosen or [None],
        repeat=repeat,
        frame_rate=rate,
        threads=threads,
    )
    settings = [
        f"{name}.{key}={backends[name][key]}" for name in backends for key in backends[name]
    ]
    about = {
        "stacks": source.title,
        "settings": ", ".join([*settings, f"align {align}", f"threads {threads or 'by default'}"]),
        **describe_machine(),
    }
    if is_busy():
        typer.echo("warning: this machine is busy; at rest it is faster", err=True)
    if not backend:
        for info in infos:
            if info.unusable_because is not None:
                typer.echo(f"without {info.name}: {info.unusable_because}", err=True)
    interrupted = False
    try:
        with progress(f"Measuring {len(backends)} backends", run.steps) as advance:
            run.run(advance)
    except KeyboardInterrupt:
        interrupted = True
        about["stacks"] += ", interrupted"
    write_benchmark(output, run, about)
    for line in terminal_lines(run):
        typer.echo(line)
    typer.echo(f"report: {output / HTML}")
    for line in run.left_out:
        typer.echo(f"not measured: {line}", err=True)
    if interrupted:
        raise typer.Abort
    if run.left_out:
        raise typer.Exit(_LEFT_OUT)


def _stack_source(
    scenes: int | None,
    slices: int | None,
    stacks: list[Path],
    dataset: str | None,
    path: Path | None,
    splits: list[str],
) -> StackSource:
    """The stacks that the options ask for.

    Raises
    ------
    OptionError
        If they contradict each other.
    DatasetError
        If there are no such stacks.
    """
    from focdepth_ros.datasets.registry import open_dataset
    from focdepth_ros.errors import OptionError
    from focdepth_ros.evaluation.benchmark.stacks import DatasetStacks, SimulatedStacks

    if stacks and dataset is not None:
        raise OptionError("give one of --stack and --dataset")
    if (dataset is None) != (path is None):
        raise OptionError("--dataset and --path go together; give both")
    if splits and dataset is None:
        raise OptionError("--split is of a --dataset; give one, or leave it out")
    if slices is not None and (stacks or dataset is not None):
        raise OptionError("--slices is for simulated stacks; leave it out")
    if dataset is not None and path is not None:
        wanted: list[str | None] = [*dict.fromkeys(splits)] or [None]
        return DatasetStacks([open_dataset(dataset, path, split) for split in wanted], scenes)
    if stacks:
        return DatasetStacks([open_dataset("stack_folders", folder) for folder in stacks], scenes)
    return SimulatedStacks(scenes or _SIMULATED_SCENES, slices=slices or _SIMULATED_SLICES)
