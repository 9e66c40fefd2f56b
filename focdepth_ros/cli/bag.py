"""``focdepth bag``: ROS 2 bags, without ROS: what is in them, to and from stacks, evaluation."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from focdepth_ros.cli.bag_options import takes_bag_settings
from focdepth_ros.cli.evaluate import (
    ADDRESS,
    ALIGN,
    BACKEND,
    MIN_CONFIDENCE,
    OPTION,
    PICTURES,
    RESUME,
    WORKERS,
    run_evaluation,
)
from focdepth_ros.cli.parameters import image_size
from focdepth_ros.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from focdepth_ros.bags.topics import BagSettings

_LEFT_OUT = 1

bag = typer.Typer(add_completion=False, help="ROS 2 bags of focus sweeps; needs no ROS.")


class Storage(str, Enum):
    """How messages are stored in a bag."""

    SQLITE3 = "sqlite3"
    MCAP = "mcap"


class Compression(str, Enum):
    """What is compressed."""

    NONE = "none"
    MESSAGE = "message"
    FILE = "file"
    CHUNK = "chunk"


class Images(str, Enum):
    """How images are recorded."""

    RAW = "raw"
    JPEG = "jpeg"
    PNG = "png"


_BAG = typer.Argument(..., metavar="BAG", help="Its folder, or a .db3 or .mcap file.")


@bag.command()
@takes_bag_settings
def info(
    settings: BagSettings,
    path: Path = _BAG,
) -> None:
    """Show the topics of BAG, the sweeps that are found in it, and what is missing."""
    from focdepth_ros.bags.reading import BagReader
    from focdepth_ros.bags.sweeps import find_sweeps, lack_of_truth
    from focdepth_ros.errors import MessageError

    with BagReader(path) as reader:
        topics = reader.topics
    width = max((len(topic.name) for topic in topics), default=0)
    for topic in topics:
        typer.echo(f"{topic.name:<{width}}  {topic.count:>6}  {topic.kind}")
    contents = find_sweeps(path, settings)
    chosen = contents.topics
    typer.echo(f"images: {chosen.images}, focus states: {chosen.focus}")
    typer.echo(f"calibration: {chosen.camera_info or 'none'}, truth: {chosen.depth or 'none'}")
    typer.echo(f"sweeps: {len(contents.sweeps)}")
    missing = list(contents.left_out)
    for number, sweep in enumerate(contents.sweeps, start=1):
        height, width = sweep.size
        typer.echo(
            f"  {number}: {len(sweep.slices)} slices of {width}x{height} px, "
            f"ended by {sweep.end_reason}"
        )
        try:
            camera = contents.depth_camera(sweep)
        except MessageError as error:
            missing.append(f"sweep {number}: {error}")
        else:
            if camera is not None:
                typer.echo(f"     truth of another camera, which lies at {camera.extrinsic}")
        if sweep.depth is None:
            missing.append(f"sweep {number}: {lack_of_truth(contents, sweep)}")
        intrinsics, why = sweep.intrinsics()
        if intrinsics is None:
            missing.append(f"sweep {number}: no calibration: {why}")
    for reason, count in contents.dropped.items():
        typer.echo(f"left out: {count} by '{reason}'")
    _finish("missing", missing if contents.sweeps else [*missing, "no focus sweep was found"])


@bag.command()
def record(
    out: Path = typer.Argument(..., metavar="OUT", help="Folder of the new bag."),
    stack: Optional[Path] = typer.Option(None, metavar="DIR", help="Record this stack folder."),
    simulate: bool = typer.Option(False, "--simulate", help="Record a simulated scene."),
    sweeps: int = typer.Option(1, min=1, help="Number of sweeps."),
    storage: Storage = typer.Option(Storage.SQLITE3, help="Storage of the bag."),
    compression: Compression = typer.Option(
        Compression.NONE, help="What zstd compresses; chunk: MCAP's own compression."
    ),
    images: Images = typer.Option(Images.RAW, help="Images as they are, or compressed."),
    frame_rate: float = typer.Option(30.0, help="Images per second."),
    seed: int = typer.Option(1000, min=0, help="Of the simulated scene."),
    slices: int = typer.Option(10, min=2, max=200, help="Of a simulated sweep."),
    size: str = typer.Option("640x480", metavar="WxH", help="Of simulated images."),
) -> None:
    """Record a stack folder or a simulated scene, with its ground truth, to the bag OUT.

    Topics and types are those of sim_camera_node. Where possible, the sweep
    runs so that the slice that the truth belongs to comes last.
    """
    from focdepth_ros.bags.writing import record_camera
    from focdepth_ros.errors import OptionError
    from focdepth_ros.simulation import SimulatedCamera, SimulatedStack, render_random_sweep
    from focdepth_ros.stack import FocalStack
    from focdepth_ros.stack_folder.reading import StackFolder

    if simulate == (stack is not None):
        raise OptionError("give one of --stack DIR and --simulate")
    width, height = image_size(size, "--size")
    source: SimulatedStack | FocalStack
    if stack is not None:
        folder = StackFolder.open(stack)
        source, depth = folder.load(), folder.ground_truth()
        reference = source.reference
        if not source.is_metric:
            raise OptionError(f"{stack} has no focus distances; write them into its stack.yaml")
    else:
        source = render_random_sweep(seed, slices=slices, width=width, height=height)
        depth, reference = source.depth, source.stack.reference
    camera = SimulatedCamera(
        source,
        pattern="far_to_near" if reference == 0 else "near_to_far",
        frame_rate=frame_rate,
        seed=seed,
    )
    count = record_camera(
        out,
        camera,
        depth=depth,
        sweeps=sweeps,
        storage=storage.value,
        compression=compression.value,
        images=images.value,
    )
    typer.echo(f"{count} images in {sweeps} sweep{'s' * (sweeps > 1)} written to {out}")


@bag.command()
@takes_bag_settings
def convert(
    settings: BagSettings,
    path: Path = _BAG,
    out: Path = typer.Argument(..., metavar="OUT", help="Folder for a stack folder per sweep."),
    clouds: bool = typer.Option(False, "--clouds", help="Also estimate a cloud.ply of each."),
    backend: str = typer.Option("auto", "--backend", "-b", help="For the clouds."),
) -> None:
    """Write every sweep of BAG as a stack folder with its ground truth, if there is one."""
    from focdepth_ros.backends.registry import create_backend
    from focdepth_ros.bags.sweeps import find_sweeps
    from focdepth_ros.datasets.bag_sweeps import sweep_name
    from focdepth_ros.errors import FocdepthError, OptionError
    from focdepth_ros.files.ply import write_ply
    from focdepth_ros.files.results import point_cloud
    from focdepth_ros.pipeline import DepthPipeline
    from focdepth_ros.stack_folder.saving import save_stack

    if out.is_dir() and any(out.iterdir()):
        raise OptionError(f"{out} is not empty; choose another folder")
    pipeline = DepthPipeline(create_backend(backend)) if clouds else None
    contents = find_sweeps(path, settings)
    left_out = list(contents.left_out)
    written = 0
    with progress(f"Converting {len(contents.sweeps)} sweeps", len(contents.sweeps)) as advance:
        for number, sweep in enumerate(contents.sweeps, start=1):
            what = name = sweep_name(number)
            try:
                stack, depth = contents.load(sweep)
                save_stack(out / name, stack, depth=depth)
                written += 1
                if pipeline is not None:
                    what = f"{name}/cloud.ply"
                    cloud = point_cloud(pipeline.estimate(stack), stack)
                    write_ply(out / what, *cloud)
            except FocdepthError as error:
                left_out.append(f"{what}: {error}")
            advance()
    typer.echo(f"{written} of {len(contents.sweeps)} sweeps of {path} written to {out}")
    _finish("left out", left_out if contents.sweeps else [*left_out, "no focus sweep was found"])


@bag.command("eval")
@takes_bag_settings
def evaluate_bag(
    settings: BagSettings,
    path: Path = typer.Argument(..., metavar="BAG", help="A bag, or a folder of bags."),
    backend: list[str] = BACKEND,
    option: list[str] = OPTION,
    output: Optional[Path] = typer.Option(
        None, "--output", "-o", help="Folder of the results.", show_default="evaluation/BAG"
    ),
    resume: bool = RESUME,
    workers: Optional[int] = WORKERS,
    address: Optional[str] = ADDRESS,
    align: str = ALIGN,
    min_confidence: float = MIN_CONFIDENCE,
    pictures: bool = PICTURES,
) -> None:
    """Measure backends on the sweeps of BAG whose depth was recorded with them.

    Sweeps are put together as depth_node does it; the report is that of
    `focdepth evaluate`. What cannot be used is named and makes the exit
    status 1; the rest is measured.
    """
    from focdepth_ros.evaluation.job import DatasetChoice

    run_evaluation(
        datasets=[DatasetChoice("bag", str(path.absolute()), options={"settings": settings})],
        backend=backend,
        option=option,
        scenes=None,
        output=output or Path("evaluation") / path.resolve().stem,
        resume=resume,
        workers=workers,
        address=address,
        align=align,
        min_confidence=min_confidence,
        pictures=pictures,
    )


def _finish(what: str, lines: Sequence[str]) -> None:
    """Name what is not as it should be, which makes the exit status 1."""
    for line in lines:
        typer.echo(f"{what}: {line}", err=True)
    if lines:
        raise typer.Exit(_LEFT_OUT)
