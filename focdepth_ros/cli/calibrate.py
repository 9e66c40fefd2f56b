"""``focdepth calibrate``: what lens positions mean, how the image grows, if a map is right.

It works on folders of images; `--live` takes them from a running camera first.
"""

# ruff: noqa: B008, UP045

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from focdepth_ros.cli.parameters import region_of
from focdepth_ros.cli.progress import progress
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from focdepth_ros.calibration.lens_fit import TargetPoint
    from focdepth_ros.calibration.target_folders import TargetSweep

_LEFT_OUT = 1
_AGREE = 0.6  # share of the pairs of images that should
_MOVED = 0.01  # share of the width of the image, by which it should not

calibrate = typer.Typer(add_completion=False, help="Lens maps: from lens positions to metres.")


class Model(str, Enum):
    """Kinds of lens maps."""

    AUTO = "auto"
    LINEAR = "linear"
    PIECEWISE = "piecewise"
    SMOOTH = "smooth"


_TARGETS = typer.Argument(
    ...,
    metavar="TARGETS",
    help="Folder with a folder of images for each distance of the target, named like 0.5m.",
)
_MEASURE = typer.Option("laplacian_of_gaussian", help="Focus measure.")
_REGION = typer.Option(
    "",
    metavar="X,Y,W,H",
    help="Part of the image that the target fills, in pixels.",
    show_default="all of it",
)
_MAX_ERROR = typer.Option(
    0.1, metavar="DIOPTRES", min=0.0, help="Above which a target does not fit."
)
_FORCE = typer.Option(False, "--force", help="Replace the file.")


@calibrate.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lens(
    context: typer.Context,
    targets: Path = _TARGETS,
    output: Path = typer.Option(Path("lens.yaml"), "--output", "-o", help="Lens map to write."),
    unit: str = typer.Option("raw", help="Of the lens positions, for people to read."),
    model: Model = typer.Option(
        Model.AUTO,
        help="linear: dioptres are affine in the position; piecewise: linear from target to "
        "target; smooth: a curve through them; auto: what predicts left-out targets best.",
    ),
    region: str = _REGION,
    measure: str = _MEASURE,
    max_error: float = _MAX_ERROR,
    plot: Optional[Path] = typer.Option(
        None, metavar="PNG", help="Picture of it.", show_default="OUTPUT with .png"
    ),
    live: bool = typer.Option(
        False,
        "--live",
        help="Record sweeps of a running camera into TARGETS first; asks for each distance. What "
        "follows --ros-args goes to the recording node.",
    ),
    force: bool = _FORCE,
) -> None:
    """Find what lens positions mean, from sweeps of a flat target at known distances.

    For each distance the lens position at which the target is sharpest is
    found, then a map from positions to dioptres that goes through them. Five
    or more distances, evenly spaced in 1/m from the nearest to the farthest
    that is needed, are a good choice. Targets that do not fit are named and
    make the exit status 1.
    """
    from focdepth_ros.calibration.lens_fit import fit_lens
    from focdepth_ros.calibration.plots import lens_picture
    from focdepth_ros.cli.calibrate_report import lens_warnings, metres_of, show_lens_table
    from focdepth_ros.files.image_io import write_image
    from focdepth_ros.lens.lens_map import write_lens_map

    picture = plot or output.with_suffix(".png")
    _check_output(output, force)
    _check_picture(picture, output, force=force)
    _run_recorder(context.args, targets, live)
    sweeps, points, complete = _usable_targets(targets, measure, region)
    ends = [sweep.curve.positions[i] for sweep in sweeps for i in (0, -1)]
    swept = (float(min(ends)), float(max(ends))) if ends else None
    fit = fit_lens(points, model=model.value, unit=unit, sweep_range=swept)
    warnings = lens_warnings(fit, max_error)
    low, high = sorted(fit.lens_map.dioptres[i] for i in (0, -1))
    summary = (
        f"{fit.model} through {len(points) - sum(fit.outliers)} targets; error of targets left out "
        f"{fit.rms_error:.3g} dioptres rms"
    )
    write_lens_map(output, fit.lens_map, comment=f"By focdepth calibrate lens: {summary}.")
    write_image(picture, lens_picture(sweeps, fit))
    show_lens_table(fit)
    typer.echo(f"lens map: {summary}")
    typer.echo(
        f"it knows positions {fit.lens_map.range[0]:.4g} to {fit.lens_map.range[1]:.4g} {unit}, "
        f"{metres_of(high)} to {metres_of(low)}"
    )
    typer.echo(f"written to {output}, {picture}")
    _finish(warnings, complete)


@calibrate.command()
def breathing(
    sweep: Path = typer.Argument(
        ..., metavar="SWEEP", help="Folder of images of one sweep of a still scene."
    ),
    lens_map: Optional[Path] = typer.Option(
        None, "--map", metavar="FILE", help="Lens map into which the magnification is written."
    ),
    output: Optional[Path] = typer.Option(
        None, "--output", "-o", help="Lens map to write instead.", show_default="that of --map"
    ),
    plot: Optional[Path] = typer.Option(
        None,
        metavar="PNG",
        help="Picture of it.",
        show_default="with --map the map that is written, with _breathing.png",
    ),
) -> None:
    """Find how the image grows as the focus moves, from one sweep.

    Camera and scene stand still, with detail all over the image. A folder
    that `lens --live` has recorded is such a sweep. Without --map the result
    is only shown, also as text for the parameter alignment.breathing_table.
    """
    from focdepth_ros.calibration.breathing import measure_breathing, with_magnification
    from focdepth_ros.calibration.plots import breathing_picture
    from focdepth_ros.cli.calibrate_report import breathing_table
    from focdepth_ros.errors import OptionError
    from focdepth_ros.files.image_io import write_image
    from focdepth_ros.lens.lens_map import comment_of, read_lens_map, write_lens_map
    from focdepth_ros.stack_folder.positions import with_lens_positions
    from focdepth_ros.stack_folder.reading import StackFolder

    if output is not None and lens_map is None:
        raise OptionError("--output is for the lens map that --map gives; give both, or neither")
    destination = output or lens_map
    if destination is not None:
        plot = plot or destination.with_name(f"{destination.stem}_breathing.png")
    if plot is not None:
        _check_picture(plot, destination, force=True)
    known = None if lens_map is None else read_lens_map(lens_map)
    folder = with_lens_positions(StackFolder.open(sweep))
    with progress("Registering images", len(folder.images)) as advance:
        found = measure_breathing(folder, advance)
    low, high = float(found.positions[0]), float(found.positions[-1])
    growth = 100.0 * (found.magnifications - 1.0)
    typer.echo(
        f"from position {low:g} to {high:g} the image grows by {growth[-1]:+.3f} %, at most "
        f"{growth.max():+.3f} %, at least {growth.min():+.3f} %"
    )
    typer.echo(
        f"{found.used} of {found.tried} pairs of images agree within {100 * found.rms_error:.3g} "
        "% rms"
    )
    warnings = []
    lost = len(folder.images) - len(found.positions)
    if lost:
        warnings.append(
            f"{lost} of {len(folder.images)} images match none of the others and do not count; "
            "they may be too far out of focus"
        )
    if found.used < _AGREE * found.tried:
        warnings.append(
            f"only {found.used} of {found.tried} pairs of images agree; take a still scene with "
            "detail all over, in smaller steps, or sweep over what is less out of focus"
        )
    if found.shift > _MOVED:
        warnings.append(
            f"the image moved by {100 * found.shift:.1f} % of its width; if it was the camera, "
            "its size changed by that, too: take the sweep from a fixed camera"
        )
    if known is None:
        typer.echo(f"alignment.breathing_table: {breathing_table(found)}")
    else:
        assert lens_map is not None
        assert destination is not None
        if known.range[0] < low or known.range[1] > high:
            warnings.append(
                f"the lens map knows positions {known.range[0]:g} to {known.range[1]:g}, the sweep "
                "less; beyond its ends the magnification is taken to stay"
            )
        unit = known.unit
        comment = f"{comment_of(lens_map)}\nMagnification by focdepth calibrate breathing."
        write_lens_map(destination, with_magnification(known, found), comment=comment.strip())
        typer.echo(f"written to {destination}")
    if plot is not None:
        write_image(plot, breathing_picture(found, "raw" if known is None else unit))
        typer.echo(f"written to {plot}")
    _finish(warnings)


@calibrate.command()
def check(
    lens_map: Path = typer.Argument(..., metavar="MAP", help="Lens map."),
    truth: Path = typer.Argument(
        ...,
        metavar="TRUTH",
        help="Folder of targets as for `lens`, or a focal stack folder with lens positions and "
        "true depth.",
    ),
    region: str = _REGION,
    measure: str = _MEASURE,
    max_error: float = _MAX_ERROR,
    backend: str = typer.Option("auto", "--backend", "-b", help="For a focal stack."),
    min_confidence: float = typer.Option(
        DEFAULT_MIN_CONFIDENCE, min=0.0, max=1.0, help="For a focal stack."
    ),
) -> None:
    """Measure by how much the lens map MAP is off.

    The truth is a folder of sweeps of a target at known distances, or a
    focal stack folder with depth; `focdepth bag convert` makes the latter
    of a bag. A map that is off by more than --max-error anywhere makes the
    exit status 1.
    """
    from focdepth_ros.calibration.map_check import check_on_stack, check_on_targets
    from focdepth_ros.cli.calibrate_report import check_warnings, show_check_table
    from focdepth_ros.lens.lens_map import read_lens_map
    from focdepth_ros.stack_folder.description import STACK_YAML
    from focdepth_ros.stack_folder.reading import StackFolder

    known = read_lens_map(lens_map)
    complete = True
    if (truth / STACK_YAML).is_file() or not _has_folders(truth):
        folder = StackFolder.open(truth)
        errors, metrics = check_on_stack(
            known, folder, backend=backend, min_confidence=min_confidence
        )
        show_check_table(errors, "true depth")
        typer.echo(", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    else:
        _, points, complete = _usable_targets(truth, measure, region)
        errors = check_on_targets(known, points)
        show_check_table(errors, "target")
    _finish(check_warnings(errors, max_error), complete)


def _has_folders(path: Path) -> bool:
    if not path.is_dir():
        return False
    return any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir())


def _check_output(output: Path, force: bool) -> None:
    from focdepth_ros.errors import OptionError

    if output.exists() and not force:
        raise OptionError(f"{output} exists; give --force to replace it, or another --output")


def _check_picture(picture: Path, output: Path | None, *, force: bool) -> None:
    """Refuse what cannot be drawn, or would replace something, before the work."""
    import cv2

    from focdepth_ros.errors import OptionError

    if not cv2.haveImageWriter(str(picture)):
        raise OptionError(f"--plot {picture}: no kind of picture has this name; end it in .png")
    if output is not None and picture.resolve() == output.resolve():
        raise OptionError(f"--output {output} is where the picture goes; end it in .yaml")
    if picture.exists() and not force:
        raise OptionError(f"{picture} exists; give --force to replace it, or another --plot")


def _run_recorder(ros_arguments: Sequence[str], targets: Path, live: bool) -> None:
    """Record targets by the node for it, in a process of its own: the command line knows no ROS."""
    import subprocess
    import sys

    from focdepth_ros.errors import OptionError
    from focdepth_ros.libraries import missing_because

    if not live:
        if ros_arguments:
            raise typer.BadParameter(f"'{ros_arguments[0]}' is no option without --live")
        return
    missing = missing_because(("rclpy", "sensor_msgs"), "ros")
    if missing is not None:
        raise OptionError(f"--live: {missing}, or source an installed ROS 2")
    module = "focdepth_ros.ros.target_recorder"
    parameters = ["--ros-args", "-p", f"output:={targets.absolute()}"]
    own = [argument for argument in ros_arguments if argument != "--ros-args"]
    done = subprocess.run([sys.executable, "-m", module, *parameters, *own], check=False)
    if done.returncode != 0:
        raise typer.Exit(done.returncode)


def _usable_targets(
    targets: Path, measure: str, region: str
) -> tuple[list[TargetSweep], tuple[TargetPoint, ...], bool]:
    """Sweeps, the peaks of those that have one, and whether all have; what has none is named."""
    from focdepth_ros.calibration.lens_fit import find_points
    from focdepth_ros.calibration.target_folders import read_target, target_folders
    from focdepth_ros.classical.focus_operators import create_focus_measure
    from focdepth_ros.errors import FocdepthError

    part = region_of(region, "--region")
    focus_measure = create_focus_measure(measure)
    sweeps, left_out = [], {}
    folders = target_folders(targets)
    with progress("Measuring sharpness", len(folders)) as advance:
        for folder in folders:
            try:
                sweeps.append(read_target(folder, focus_measure, part))
            except FocdepthError as error:
                left_out[folder.name] = str(error)
            advance()
    points, no_peak = find_points(sweeps)
    left_out.update(no_peak)
    for name, why in left_out.items():
        typer.echo(f"left out: {name}: {why}", err=True)
    return sweeps, points, not left_out


def _finish(warnings: Sequence[str], complete: bool = True) -> None:
    """Say what is doubtful; that, or anything left out, makes the exit status 1."""
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    if warnings or not complete:
        raise typer.Exit(_LEFT_OUT)
