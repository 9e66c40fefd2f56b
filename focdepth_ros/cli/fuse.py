"""``focdepth fuse``: all-in-focus images of focal stacks."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

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
    from focdepth_ros.pipeline import DepthPipeline
    from focdepth_ros.stack_folder.reading import StackFolder

_LEFT_OUT = 1


def fuse(
    stack: list[Path] = typer.Argument(
        None,
        metavar="STACK_DIR|IMAGES",
        help="Folder of the images, or the images themselves, nearest first if that is known.",
        show_default=False,
    ),
    dataset: Optional[Path] = typer.Option(
        None, "--dataset", "-d", metavar="DIR", help="Fuse every stack folder in DIR."
    ),
    output: Optional[Path] = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder for the results; with --dataset for one folder per stack.",
        show_default="name of the folder, or of the first image, and _fused, in this folder",
    ),
    backend: str = typer.Option(
        "auto",
        "--backend",
        "-b",
        help="See `focdepth backends`; auto: graph_cut where it can be used, else stackmff_v2.",
    ),
    option: list[str] = OPTION,
    focus_distances: Optional[str] = FOCUS_DISTANCES,
    reverse: bool = REVERSE,
    align: str = ALIGN,
    align_option: list[str] = ALIGN_OPTION,
    min_confidence: float = MIN_CONFIDENCE,
    show: bool = SHOW,
    resume: bool = typer.Option(
        False,
        "--resume",
        help="With --dataset: skip stacks that already have results with these settings.",
    ),
) -> None:
    """Fuse images of different focus into one that is sharp everywhere.

    Writes the all-in-focus image in colour, for each pixel the number of the
    image in which it is sharpest, and a picture of the depth; where the focus
    distances are known, also the depth in metres.

    With --dataset a stack that fails is left out, named, and makes the exit
    status 1. Depth maps and all-in-focus images that lie beside the stacks, as
    in the dataset fusion_folders, are not taken for stacks.
    """
    from focdepth_ros.backends.registry import (
        AUTO,
        backend_config,
        choose_backend,
        create_backend,
        first_usable,
    )
    from focdepth_ros.errors import OptionError
    from focdepth_ros.fusion import FUSION_BACKENDS
    from focdepth_ros.pipeline import DepthPipeline
    from focdepth_ros.registration.config import AlignmentConfig

    if bool(stack) == (dataset is not None):
        raise OptionError(
            "give a folder of images, at least two image files, or --dataset with a folder of "
            f"stacks{', not both' if stack else ''}"
        )
    distances = None if focus_distances is None else metres(focus_distances, "--focus-distances")
    name = first_usable(FUSION_BACKENDS) if backend == AUTO else choose_backend(backend)
    options = settings(option, backend_config(name), "--option")
    alignment = {"method": align, **settings(align_option, AlignmentConfig, "--align-option")}
    asked = {
        "backend": name,
        "options": options,
        "alignment": alignment,
        "min_confidence": min_confidence,
        "reverse": reverse,
    }
    pipeline = DepthPipeline(
        create_backend(name, **options),
        alignment=AlignmentConfig(**alignment),
        min_confidence=min_confidence,
    )
    if dataset is not None:
        if show:
            raise OptionError("--show is for one stack; with --dataset leave it out")
        if distances is not None:
            raise OptionError(
                "--focus-distances are of one stack; with --dataset write them into stack.yaml"
            )
        _fuse_dataset(dataset, output or _named_after(dataset), pipeline, asked, resume=resume)
        return
    if resume:
        raise OptionError("--resume is for --dataset; leave it out")
    folder = _opened(stack, distances)
    if reverse:
        folder = turned_round(folder)
    folder = folder.near_to_far()
    output = output or _named_after(stack[0] if len(stack) == 1 else stack[0].with_suffix(""))
    check_output(output, folder)
    with _folder_for_results(output), _slice_progress(folder, pipeline) as advance:
        answer, written = _fuse(folder, output, pipeline, asked, advance)
        advance()
    _report(answer, written, len(folder.images))
    for warning in _warnings(folder, answer):
        typer.echo(f"warning: {warning}", err=True)
    if show:
        _show(folder, answer, output)


def _show(folder: StackFolder, answer: DepthEstimate, output: Path) -> None:
    from focdepth_ros.cli.show import show
    from focdepth_ros.files.image_io import read_image
    from focdepth_ros.pictures.depth_pictures import (
        as_colour,
        colour_confidence,
        colour_depth,
        depth_range,
        with_depth_bar,
    )
    from focdepth_ros.pictures.sheet import panel_grid

    metric, limits = answer.metric, depth_range(answer.depth)
    depth = colour_depth(answer.depth, metric=metric, limits=limits)
    assert answer.all_in_focus is not None
    panels = [
        ("first image", as_colour(read_image(folder.images[0]))),
        ("last image", as_colour(read_image(folder.images[-1]))),
        ("all-in-focus", answer.all_in_focus),
        ("depth" if metric else "image", with_depth_bar(depth, limits, metric=metric)),
        ("confidence", colour_confidence(answer.confidence)),
    ]
    title = f"{len(folder.images)} images fused by {answer.backend}"
    show(panel_grid(panels, title=title), answer, output)


def _opened(paths: list[Path], distances: tuple[float, ...] | None) -> StackFolder:
    """The stack of a folder, or of image files."""
    from focdepth_ros.stack_folder.reading import StackFolder

    if len(paths) == 1 and not paths[0].is_file():
        return StackFolder.open(paths[0], focus_distances=distances)
    return StackFolder.of_images(paths, focus_distances=distances)


def _fuse_dataset(
    root: Path, output: Path, pipeline: DepthPipeline, asked: dict[str, Any], *, resume: bool
) -> None:
    """Fuse every stack in a folder.

    Raises
    ------
    typer.Exit
        If one could not be fused.
    """
    from focdepth_ros.errors import FocdepthError, os_error_text
    from focdepth_ros.files.fusion_results import is_fused
    from focdepth_ros.stack_folder.reading import StackFolder

    stacks = _found_stacks(root, output)
    output.mkdir(parents=True, exist_ok=True)
    failed: dict[str, str] = {}
    done_before = 0
    with progress(f"Fusing {len(stacks)} stacks", len(stacks)) as advance:
        for name, path in stacks.items():
            try:
                folder = StackFolder.open(path)
                if asked["reverse"]:
                    folder = turned_round(folder)
                folder = folder.near_to_far()
                if resume and is_fused(output / name, folder.images, asked):
                    done_before += 1
                    continue
                answer, _ = _fuse(folder, output / name, pipeline, asked)
            except (FocdepthError, OSError) as error:
                failed[name] = os_error_text(error) if isinstance(error, OSError) else str(error)
                continue
            finally:
                advance(name)
            typer.echo(f"{name}: {len(folder.images)} images, by {answer.backend}")
            for warning in _warnings(folder, answer):
                typer.echo(f"warning: {name}: {warning}", err=True)
    fused = len(stacks) - len(failed) - done_before
    before = f", {done_before} were there already" if done_before else ""
    typer.echo(f"fused {fused} of {len(stacks)} stacks{before}; written to {output}")
    if failed:
        typer.echo(f"{len(failed)} of {len(stacks)} could not be fused:", err=True)
        for name, why in failed.items():
            typer.echo(f"  {name}: {why}", err=True)
        raise typer.Exit(_LEFT_OUT)


def _found_stacks(root: Path, output: Path) -> dict[str, Path]:
    from focdepth_ros.datasets.fusion_folders import NO_STACKS
    from focdepth_ros.datasets.stack_folders import stacks_below
    from focdepth_ros.errors import DatasetError, OptionError

    if not root.is_dir():
        problem = "not a folder" if root.exists() else "no such folder"
        raise DatasetError(f"{root}: {problem}; give the folder that holds the stack folders")
    if output.resolve().is_relative_to(root.resolve()):
        raise OptionError(
            f"--output {output} lies in {root}, where results would be taken for stacks; choose "
            "another folder"
        )
    stacks = stacks_below(root, passing_over=NO_STACKS, any_images=True)
    if not stacks:
        raise DatasetError(
            f"{root}: no images in it, nor up to three levels below; give a folder of folders of "
            "images"
        )
    return stacks


def _fuse(
    folder: StackFolder,
    output: Path,
    pipeline: DepthPipeline,
    asked: dict[str, Any],
    advance: Callable[[], None] = lambda: None,
) -> tuple[DepthEstimate, WrittenResults]:
    from focdepth_ros.files.fusion_results import write_fusion
    from focdepth_ros.fusion import fuse_folder

    answer = fuse_folder(folder, pipeline, advance)
    return answer, write_fusion(output, answer, folder.images, folder.focus_distances, asked)


@contextmanager
def _folder_for_results(output: Path) -> Iterator[None]:
    """Make the folder before the work, so that one that cannot be is named at once.

    It goes again where the work fails before anything is in it.
    """
    was_there = output.exists()
    output.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not was_there:
            with suppress(OSError):
                output.rmdir()
        raise


@contextmanager
def _slice_progress(folder: StackFolder, pipeline: DepthPipeline) -> Iterator[Callable[[], None]]:
    backend = pipeline.backend
    with progress("Fusing images", len(folder.images) + backend.steps) as advance:
        backend.on_step = advance if backend.steps > 1 else None
        yield advance


def _named_after(path: Path) -> Path:
    return Path(f"{path.resolve().name}_fused")


def _report(answer: DepthEstimate, written: WrittenResults, images: int) -> None:
    height, width = answer.depth.shape
    used = f"{images - answer.left_out} of {images}" if answer.left_out else str(images)
    typer.echo(f"{answer.backend}: {used} images fused, {width}x{height} px")
    timings = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in answer.timings.items())
    typer.echo(f"time: {timings}")
    typer.echo(f"written to {written.folder}: {', '.join(written.files)}")
    for name, reason in written.skipped.items():
        typer.echo(f"not written: {name}: {reason}")


def _warnings(folder: StackFolder, answer: DepthEstimate) -> Iterator[str]:
    yield from answer.warnings
    if folder.left_out:
        yield f"{folder.path}: taken for no slices: {', '.join(folder.left_out)}"
