"""``focdepth estimate``: depth of a focal stack folder."""

# ruff: noqa: B008, UP045

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from focdepth_ros.cli.parameters import metres, settings
from focdepth_ros.cli.progress import progress
from focdepth_ros.cli.show import SHOW
from focdepth_ros.cli.stack_options import (
    ALIGN,
    ALIGN_OPTION,
    FOCUS_DISTANCES,
    MIN_CONFIDENCE,
    OPTION,
    REVERSE,
    check_output,
    turned_round,
)

if TYPE_CHECKING:
    from focdepth_ros.estimate import DepthEstimate
    from focdepth_ros.files.results import WrittenResults
    from focdepth_ros.stack import FloatImage, FocalStack


def estimate(
    stack_dir: Path = typer.Argument(..., metavar="STACK_DIR", help="Folder of the images."),
    output: Optional[Path] = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder for the results.",
        show_default="STACK_DIR's name and _depth, in this folder",
    ),
    backend: str = typer.Option("auto", "--backend", "-b", help="See `focdepth backends`."),
    min_confidence: float = MIN_CONFIDENCE,
    focus_distances: Optional[str] = FOCUS_DISTANCES,
    lens_map: Optional[Path] = typer.Option(
        None,
        metavar="FILE",
        help="Lens map of `focdepth calibrate lens`, for images whose lens positions are known.",
    ),
    fov: Optional[float] = typer.Option(
        None,
        metavar="DEGREES",
        help="Horizontal field of view, for the point cloud of an uncalibrated camera.",
    ),
    max_size: Optional[int] = typer.Option(
        None, metavar="PIXELS", help="Scale larger images down to this longest side."
    ),
    reverse: bool = REVERSE,
    align: str = ALIGN,
    flow_path: Optional[Path] = typer.Option(
        None, metavar="DIR", help="Folder of the flow fields for --align external."
    ),
    align_pictures: Optional[Path] = typer.Option(
        None, metavar="DIR", help="Folder for a picture of every slice before and after alignment."
    ),
    align_option: list[str] = ALIGN_OPTION,
    fill_holes: bool = typer.Option(
        False,
        "--fill-holes",
        help="Guess the depth that was left out from what is around it; its confidence is 0.",
    ),
    save_plots: Optional[Path] = typer.Option(
        None,
        metavar="DIR",
        help="Folder for pictures of the backend's progress, if it works in epochs like defocus.",
    ),
    report: Optional[Path] = typer.Option(
        None, metavar="FILE", help="Write an HTML page of the estimate, pictures and all, there."
    ),
    show: bool = SHOW,
    option: list[str] = OPTION,
) -> None:
    """Depth of the focal stack in the folder STACK_DIR.

    The folder holds the images of one focus sweep and, where more is known,
    a stack.yaml with focus_distances in metres, lens, intrinsics, depth
    (ground truth) and reference. Without focus distances the answer is the
    index of the slice instead of metres.
    """
    from dataclasses import fields, replace

    from focdepth_ros.backends.base import spec_of
    from focdepth_ros.backends.registry import backend_config, choose_backend, create_backend
    from focdepth_ros.defocus.settings import load_settings
    from focdepth_ros.errors import OptionError
    from focdepth_ros.evaluation.metrics import depth_metrics
    from focdepth_ros.files.results import write_results
    from focdepth_ros.geometry import intrinsics_from_field_of_view
    from focdepth_ros.lens.lens_map import read_lens_map
    from focdepth_ros.pipeline import DepthPipeline
    from focdepth_ros.registration.config import AlignmentConfig
    from focdepth_ros.stack_folder.positions import with_lens_map
    from focdepth_ros.stack_folder.reading import StackFolder

    distances = None if focus_distances is None else metres(focus_distances, "--focus-distances")
    name = choose_backend(backend)
    options = settings(option, backend_config(name), "--option")
    alignment = {
        "method": align,
        "flow_path": str(flow_path or ""),
        "pictures_dir": str(align_pictures or ""),
        **settings(align_option, AlignmentConfig, "--align-option"),
    }
    if save_plots is not None:
        if "plots_dir" not in (item.name for item in fields(backend_config(name))):
            raise OptionError(f"--save-plots: backend '{name}' does not work in epochs")
        save_plots.mkdir(parents=True, exist_ok=True)  # what cannot be is said before the work
        options["plots_dir"] = str(save_plots)
    if report is not None:
        _check_report(report)
    chosen = create_backend(name, **options)
    pipeline = DepthPipeline(
        chosen,
        alignment=AlignmentConfig(**alignment),
        min_confidence=min_confidence,
        fill_holes=fill_holes,
    )
    started = time.perf_counter()
    folder = StackFolder.open(stack_dir, focus_distances=distances)
    told = load_settings(options.get("settings", "") if name == "defocus" else "")
    lens = None
    if isinstance(told.focus_distances, tuple):  # else the lens is in the unit of lens positions
        lens = told.lens
        if told.focus_distances and folder.focus_distances is None and lens_map is None:
            folder = StackFolder.open(stack_dir, focus_distances=told.focus_distances)
    if lens_map is not None:
        if distances is not None:
            raise OptionError("--lens-map and --focus-distances both tell distances; give one")
        folder = with_lens_map(folder, read_lens_map(lens_map))
    if reverse:
        folder = turned_round(folder)
    with progress("Reading images", len(folder.images)) as advance:
        stack = folder.load(max_size=max_size, progress=lambda done, of: advance())
    if stack.lens is None:
        stack = replace(stack, lens=lens)
    truth = folder.ground_truth(max_size=max_size)
    if fov is not None:
        height, width = stack.size
        stack = replace(stack, intrinsics=intrinsics_from_field_of_view(fov, width, height))
    if output is None:
        output = Path(f"{stack_dir.resolve().name}_depth")
    check_output(output, folder)
    output.mkdir(parents=True, exist_ok=True)
    load_seconds = time.perf_counter() - started

    run = pipeline.start(spec_of(stack))
    with progress("Estimating depth", len(stack) + chosen.steps) as advance:
        chosen.on_step = advance if chosen.steps > 1 else None
        for item in stack.slices:
            run.add(item)
            advance()
        answer = run.finish(reference=stack.slices[stack.reference])
        advance()

    warnings = list(answer.warnings)
    if folder.left_out:
        warnings.append(f"{folder.path}: taken for no slices: {', '.join(folder.left_out)}")
    metrics = None
    if truth is not None and answer.metric:
        metrics = depth_metrics(answer.depth, truth)
    elif truth is not None:
        warnings.append("the ground truth is not used: without focus distances there are no metres")
    answer = replace(
        answer, timings={"load": load_seconds, **answer.timings}, warnings=tuple(warnings)
    )
    asked = {
        "backend": backend,
        "min_confidence": min_confidence,
        "fill_holes": fill_holes,
        "options": options,
        "alignment": alignment,
    }
    written = write_results(output, answer, stack, metrics=metrics, details={"settings": asked})
    _report(answer, metrics, written)
    if report is not None:
        from focdepth_ros.evaluation.stack_report import write_stack_report

        title = f"Depth of {stack_dir.resolve().name}"
        write_stack_report(
            report, title, stack, answer, truth=truth, metrics=metrics, settings=asked
        )
        typer.echo(f"report: {report}")
    if show:
        _show(stack, answer, truth, output)


def _check_report(report: Path) -> None:
    """What is wrong with the name of the report is said before the work."""
    from focdepth_ros.errors import EvaluationError, OptionError
    from focdepth_ros.libraries import REPORT_LIBRARIES, missing_because

    missing = missing_because(REPORT_LIBRARIES, "evaluation")
    if missing is not None:
        raise EvaluationError(f"no report can be written here: {missing}")
    if report.suffix.lower() not in (".html", ".htm"):
        raise OptionError(f"--report {report} is no name of a page; let it end in .html")
    report.parent.mkdir(parents=True, exist_ok=True)


def _show(stack: FocalStack, answer: DepthEstimate, truth: FloatImage | None, output: Path) -> None:
    from focdepth_ros.cli.show import show
    from focdepth_ros.pictures.sheet import picture_sheet

    sheet = picture_sheet(stack, answer, truth=truth, title=f"{output.name}: {answer.backend}")
    show(sheet, answer, output)


def _report(
    answer: DepthEstimate, metrics: dict[str, float] | None, written: WrittenResults
) -> None:
    """Say on standard output what came out, and on standard error what went less well."""
    import numpy as np

    depth = answer.depth
    known = depth[~np.isnan(depth)]
    unit = " m" if answer.metric else " (slice index)"
    reach = f", from {known.min():.3g} to {known.max():.3g}{unit}" if known.size else ""
    share = 100.0 * known.size / depth.size
    typer.echo(f"{answer.backend}: depth of {share:.1f} % of the pixels{reach}")
    if metrics is not None:
        values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        typer.echo(f"against the ground truth: {values}")
    timings = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in answer.timings.items())
    typer.echo(f"time: {timings}")
    typer.echo(f"written to {written.folder}: {', '.join(written.files)}")
    for name, reason in written.skipped.items():
        typer.echo(f"not written: {name}: {reason}")
    for warning in answer.warnings:
        typer.echo(f"warning: {warning}", err=True)
