"""``focdepth simulate``: a simulated focal stack folder with ground truth."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Optional

import typer

from focdepth_ros.cli.parameters import image_size

# The nearest thing is a little behind the first focus distance, so that a sweep finds it.
_SCENE_BEHIND_FOCUS = 1.05


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
) -> None:
    """Write a simulated focal stack with ground truth to the folder OUT.

    The scene is a room with things in it at random, seen through a thin
    lens; the same options give the same pictures.
    """
    from dataclasses import replace

    from focdepth_ros.geometry import intrinsics_from_lens
    from focdepth_ros.optics import sweep_distances
    from focdepth_ros.simulation import (
        DEFAULT_INTRINSICS,
        DEFAULT_LENS,
        RenderOptions,
        random_scene,
        render_stack,
    )
    from focdepth_ros.simulation.textures import load_photographs
    from focdepth_ros.stack_io import save_stack

    distances = sweep_distances(near, far, slices)
    width, height = image_size(size, "--size")
    out.mkdir(parents=True, exist_ok=True)
    # The same lens before a sensor of the same width, whatever the number of pixels.
    pitch = DEFAULT_LENS.pixel_pitch * DEFAULT_INTRINSICS.width / width
    lens = replace(DEFAULT_LENS, pixel_pitch=pitch)
    scene = random_scene(
        seed,
        intrinsics=intrinsics_from_lens(lens, width, height),
        near=_SCENE_BEHIND_FOCUS * near,
        far=far,
        photographs=load_photographs(textures),
    )
    options = RenderOptions(psf=psf.value, breathing=breathing, shake_translation=shake)
    simulated = render_stack(scene, lens, distances.tolist(), options=options, seed=seed)
    save_stack(out, simulated.stack, depth=simulated.depth)
    typer.echo(f"{slices} slices of {width}x{height} px from {near} to {far} m written to {out}")
