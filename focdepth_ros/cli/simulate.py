"""``focdepth simulate``: a simulated focal stack folder with ground truth."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Optional

import typer

from focdepth_ros.cli.parameters import image_size

_MAX_SLICES = 200


class Psf(str, Enum):
    """Shapes of the point-spread function."""

    DISC = "disc"
    GAUSSIAN = "gaussian"


def simulate(
    out: Path = typer.Argument(..., metavar="OUT", help="Folder to write to."),
    seed: int = typer.Option(0, min=0, help="Of the scene, the noise and the shake."),
    slices: int = typer.Option(10, help="Number of images, at least 2."),
    near: float = typer.Option(0.4, metavar="METRES", help="First focus distance."),
    far: float = typer.Option(4.0, metavar="METRES", help="Last focus distance."),
    size: str = typer.Option("640x480", metavar="WxH", help="Width and height in pixels."),
    psf: Psf = typer.Option(Psf.DISC, help="Shape of the blur of a point."),
    breathing: float = typer.Option(
        0.0, help="Change of the image scale with focus; 1 is that of a thin lens."
    ),
    shake: float = typer.Option(0.0, metavar="PIXELS", help="Camera shake from slice to slice."),
    textures: Optional[Path] = typer.Option(None, help="Folder of photographs to texture with."),
    force: bool = typer.Option(False, "--force", help="Write to OUT even if it is not empty."),
) -> None:
    """Write a simulated focal stack with ground truth to the folder OUT.

    The scene is a room with things in it at random, seen through a thin
    lens; the same options give the same pictures.
    """
    from focdepth_ros.errors import OptionError
    from focdepth_ros.simulation import RenderOptions, render_random_sweep
    from focdepth_ros.stack_folder.saving import save_stack

    width, height = image_size(size, "--size")
    if slices > _MAX_SLICES:
        raise OptionError(f"--slices is {slices}; give at most {_MAX_SLICES}")
    if not force and out.is_dir() and any(out.iterdir()):
        raise OptionError(
            f"{out} is not empty, and files in it might be replaced; choose another folder, or "
            "give --force"
        )
    simulated = render_random_sweep(
        seed,
        slices=slices,
        near=near,
        far=far,
        width=width,
        height=height,
        textures=textures,
        options=RenderOptions(psf=psf.value, breathing=breathing, shake_translation=shake),
    )
    save_stack(out, simulated.stack, depth=simulated.depth, all_in_focus=simulated.all_in_focus)
    typer.echo(f"{slices} slices of {width}x{height} px from {near} to {far} m written to {out}")
