"""``--show``: one sheet of pictures, opened on a desktop, or in small in the terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from focdepth_ros.estimate import DepthEstimate
    from focdepth_ros.stack import ImageArray

#: Name of the sheet in the folder of the results.
SHEET = "sheet.png"

SHOW = typer.Option(
    False,
    "--show",
    help=f"Write {SHEET}, all pictures on one sheet, and open it; without a desktop, show all-in-"
    "focus image and depth in the terminal.",
)

_COLUMNS = 100  # of a picture in the terminal, at most


def show(sheet: ImageArray, estimate: DepthEstimate, folder: Path) -> None:
    """Write the sheet, say where it is, and show it where that can be done.

    Parameters
    ----------
    sheet : (H, W, 3) uint8 RGB
    estimate : DepthEstimate
        Of which the terminal shows all-in-focus image and depth.
    folder : Path
        Of the results.
    """
    from focdepth_ros.files.image_io import write_image

    path = folder / SHEET
    write_image(path, sheet)
    typer.echo(f"pictures: {path}")
    if not sys.stdout.isatty():
        return
    if not _opened(path):
        _show_in_terminal(estimate)


def _opened(path: Path) -> bool:
    """Open a file as the desktop does, if there is one."""
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    command = "open" if sys.platform == "darwin" else "xdg-open"
    if shutil.which(command) is None or not (has_screen or sys.platform == "darwin"):
        return False
    nothing = subprocess.DEVNULL
    subprocess.Popen(
        [command, str(path)], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    return True


def _show_in_terminal(estimate: DepthEstimate) -> None:
    """All-in-focus image, depth and its scale, two pixels in each character."""
    import numpy as np
    from rich.console import Console

    from focdepth_ros.cli.terminal_picture import half_blocks
    from focdepth_ros.pictures.depth_pictures import colour_depth, depth_range

    console = Console()
    if console.color_system not in ("256", "truecolor"):
        return
    columns = min(console.width, _COLUMNS)
    limits = depth_range(estimate.depth)
    pictures = [colour_depth(estimate.depth, metric=estimate.metric, limits=limits)]
    if estimate.all_in_focus is not None:
        pictures.insert(0, estimate.all_in_focus)
    for line in half_blocks(np.hstack(pictures), columns):
        console.print(line)
    near, far = limits
    # Evenly in dioptres, as the picture.
    steps = np.linspace(near, far, columns // 2)
    if estimate.metric:
        steps = 1.0 / np.linspace(1.0 / near, 1.0 / far, columns // 2)
    bar = colour_depth(steps[np.newaxis].astype(np.float32), metric=estimate.metric, limits=limits)
    unit = " m" if estimate.metric else ""
    (scale,) = half_blocks(bar, columns // 2)
    console.print(f"{near:.3g}{unit} ", scale, f" {far:.3g}{unit}; black: not known", sep="")
