"""Options that the commands on focal stacks share, and checks of what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE

if TYPE_CHECKING:
    from focdepth_ros.stack_folder.reading import StackFolder

MIN_CONFIDENCE = typer.Option(
    DEFAULT_MIN_CONFIDENCE,
    help="From 0 to 1. Pixels of lower confidence are left out; 0 answers every pixel.",
)
FOCUS_DISTANCES = typer.Option(
    None,
    metavar="METRES,...",
    help="One per image, for a folder without stack.yaml or instead of those in it.",
)
REVERSE = typer.Option(
    False, "--reverse", help="The images go from far to near; for a folder without distances."
)
ALIGN = typer.Option(
    "auto",
    metavar="METHOD",
    help="How slices are brought onto one pixel grid: none, scale, ecc, homography, flow, "
    "external, or auto: as far as needed.",
)
ALIGN_OPTION = typer.Option(
    [], metavar="KEY=VALUE", help="Further setting of the alignment; may be repeated."
)
OPTION = typer.Option(
    [],
    metavar="KEY=VALUE",
    help="Setting of the backend, see `focdepth backends NAME`; may be repeated.",
)


def turned_round(folder: StackFolder) -> StackFolder:
    """The stack from its last image to its first.

    Raises
    ------
    OptionError
        If its focus distances tell the order.
    """
    from focdepth_ros.errors import OptionError

    if folder.focus_distances is not None:
        raise OptionError(
            f"--reverse: the focus distances of {folder.path} give the order; leave it out"
        )
    return folder.reversed()


def check_output(output: Path, stack: StackFolder) -> None:
    """Refuse to write results where images or ground truth of a stack lie.

    Raises
    ------
    OptionError
    """
    from focdepth_ros.errors import OptionError

    files = (*stack.images, stack.depth, stack.all_in_focus)
    if output.resolve() in {file.parent.resolve() for file in files if file is not None}:
        raise OptionError(
            f"--output {output} is where the focal stack lies, and its files would be replaced; "
            "choose another folder"
        )
