"""``focdepth pool``: focal stacks rendered beforehand, to train networks from."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Optional

import typer

from focdepth_ros.cli.parameters import image_size
from focdepth_ros.cli.progress import progress


class Scenes(str, Enum):
    """What the stacks show."""

    ROOMS = "rooms"
    LAYERS = "layers"
    RELIEFS = "reliefs"


def pool(
    out: Path = typer.Argument(..., metavar="OUT", help="Folder to fill."),
    stacks: int = typer.Option(
        400, min=1, help="Number of stacks that the folder holds in the end."
    ),
    scenes: Scenes = typer.Option(
        Scenes.LAYERS,
        help="Random shapes covered with textures, ray-traced rooms, or photographs that get a "
        "made-up depth with its edges where theirs are.",
    ),
    textures: list[Path] = typer.Option(
        [],
        metavar="DIR",
        help="Folder of photographs to texture with; may be repeated. Without it there are "
        "patterns only: the pictures of scikit-image are kept for the scenes of the evaluation.",
    ),
    size: str = typer.Option("480x360", metavar="WxH", help="Width and height in pixels."),
    least: int = typer.Option(6, min=2, help="Fewest slices of a stack."),
    most: int = typer.Option(20, min=2, help="Most slices of a stack."),
    seed: int = typer.Option(0, min=0, help="The same seed makes the same pool."),
    device: str = typer.Option("cpu", help="Device that renders the blur: cpu, cuda or auto."),
    processes: Optional[int] = typer.Option(
        None, min=1, help="Number of processes that render; by default one per processor."
    ),
) -> None:
    """Render focal stacks with ground truth to the folder OUT, to train from.

    Without a GPU rendering takes longer than training does; from a pool every
    batch takes other crops, slices, colours and noise. Stacks that are there
    are kept: an interrupted run is continued, and a pool can grow. They are
    all of one kind, which pool.yaml in the folder tells.
    """
    from focdepth_ros.errors import BackendUnavailableError, OptionError
    from focdepth_ros.libraries import missing_because

    width, height = image_size(size, "--size")
    if least > most:
        raise OptionError(f"--least is {least}, above --most {most}")
    missing = missing_because(("torch",), "training")
    if missing:
        raise BackendUnavailableError(missing)
    from focdepth_ros.training.sources.pool_rendering import PoolRendering, render_pool

    rendering = PoolRendering(
        scenes=scenes.value,
        size=(height, width),
        slices=(least, most),
        textures=tuple(map(str, textures)),
        seed=seed,
    )
    rendered = render_pool(
        out, stacks, rendering, processes=processes, device=device, progress=progress
    )
    typer.echo(f"{rendered} of {stacks} stacks rendered to {out}, the others were there")
