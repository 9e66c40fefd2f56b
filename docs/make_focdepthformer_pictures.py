"""Make the pictures of focdepthformer.md.

Run ``python docs/make_focdepthformer_pictures.py --stacks DIR``. DIR holds folders of photographs
that are not the project's (see `real_stacks.REAL_STACKS`). What is written to ``docs/images``
therefore shows only what was computed from them. With ``--sheets DIR`` sheets with the photographs
are written there, of `graph_cut` and of `focdepthformer`, to be looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from classical_stages import aligned
from focdepthformer_looks import Looks, look_at
from picture_files import (
    HEAT,
    Panels,
    masked_positions,
    position_limits,
    write_panels,
)
from real_stacks import REAL_STACKS, Answer, answer_of

from focdepth_ros.backends.base import Backend
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.files.image_io import write_image
from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.models.weights_index import choose_weights
from focdepth_ros.pictures.depth_pictures import colour_confidence, colour_values
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.stack import FloatImage, FocalStack

LOOKED_AT = "pixel6pro/desk"

_LOOK_SIZE = 640  # px, longest side: about that of the training data
_SLICES = 5  # in the pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stacks", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", default="", metavar="PREFIX", help="of the names of the stacks")
    parser.add_argument("--look", default=LOOKED_AT, metavar="NAME", help="stack to look into")
    parser.add_argument("--weights", default="", help="name of shipped weights, or a file")
    parser.add_argument("--max-size", type=int, default=1280, help="longest side of the images")
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write sheets with photographs")
    arguments = parser.parse_args()

    chosen = choose_weights(arguments.weights, "focdepthformer")
    network = read_weights(chosen.path, sha256=chosen.sha256).network_as(FocDepthFormer)
    for real in REAL_STACKS:
        if real.name == arguments.look:
            stack = on_one_grid(real.load(arguments.stacks, _LOOK_SIZE))
            panels = look_panels(look_at(network, stack.slices), stack)
            write_panels("focdepthformer_looks", panels, columns=_SLICES)

    backends = {
        "graph_cut": create_backend("graph_cut"),
        "focdepthformer": create_backend("focdepthformer", weights=arguments.weights),
    }
    answers = answers_of_real_stacks(arguments, backends, arguments.only)
    write_panels("focdepthformer_stacks", stacks_panels(answers), columns=4, width=300)


def answers_of_real_stacks(
    arguments: argparse.Namespace, backends: Mapping[str, Backend], names: str | tuple[str, ...]
) -> dict[str, dict[str, Answer]]:
    """Of the stacks whose names begin so, each backend's answer; their rows and sheets are made."""
    answers: dict[str, dict[str, Answer]] = {}
    for real in REAL_STACKS:
        if real.name.startswith(names):
            stack = on_one_grid(real.load(arguments.stacks, arguments.max_size))
            answers[real.name] = {
                name: answer_of(stack, backend, AlignmentConfig("none"))
                for name, backend in backends.items()
            }
            print_row(real.name, answers[real.name])
            if arguments.sheets:
                write_sheets(arguments.sheets / real.name, answers[real.name])
    return answers


def on_one_grid(stack: FocalStack) -> FocalStack:
    """The stack as the pipeline aligns it."""
    return replace(stack, slices=aligned(stack).slices, reference=0)


def look_panels(looks: Looks, stack: FocalStack) -> Panels:
    """Activation, change of the LSTM and attention of some slices; whose answer was the largest."""
    numbers = np.linspace(0, len(stack) - 1, _SLICES).round().astype(int)
    panels: Panels = []
    low, high = percentiles(looks.norms)
    for number in numbers:
        share = 100 * float(np.mean(looks.norms[number] >= 1.0))
        caption = f"slice {number + 1}, {share:.0f} %: norm {low:.1f}-{high:.1f}"
        panels.append((caption, colour_values(looks.norms[number], low, high)))
    low, high = percentiles(looks.changes[1:])  # the first begins from nothing
    for number in numbers:
        caption = f"change of the LSTM, {low:.2f}-{high:.2f}"
        panels.append((caption, colour_values(looks.changes[number], low, high, HEAT)))
    for number in numbers:
        low, high = percentiles(looks.attention[number])
        caption = f"global attention, {low:.2f}-{high:.2f}"
        panels.append((caption, colour_values(looks.attention[number], low, high, HEAT)))
    low, high = percentiles(looks.winner)
    share_activated = np.mean(looks.norms >= 1.0, axis=0).astype(np.float32)
    return [
        *panels,
        (
            f"largest answers: slice {low + 1:.1f}-{high + 1:.1f}",
            colour_values(-looks.winner, -high, -low),
        ),
        ("slices activated, 0-100 %", colour_confidence(share_activated)),
        ("position", colour_values(looks.position, 0.0, 1.0)),
        ("confidence, 0-1", colour_confidence(looks.confidence)),
    ]


def percentiles(values: FloatImage) -> tuple[float, float]:
    """The ends of a colour map: nearly the least and the largest value."""
    low, high = np.nanpercentile(values, (1.0, 99.0))
    return float(low), float(high)


def stacks_panels(answers: dict[str, dict[str, Answer]]) -> Panels:
    """Positions by both backends in the same colours, darker where the confidence is too low."""
    panels: Panels = []
    for name, by_backend in answers.items():
        limits = position_limits(by_backend["graph_cut"].estimate)
        for backend, answer in by_backend.items():
            caption = f"{name.split('/')[-1]}: {backend}, {100 * answer.coverage:.0f} %"
            panels.append((caption, masked_positions(answer.estimate, limits)))
    return panels


def print_row(name: str, by_backend: dict[str, Answer]) -> None:
    """Print what was answered of a stack, as a row of a table in Markdown."""
    stack = next(iter(by_backend.values())).stack
    height, width = stack.size
    cells = [f"{100 * one.coverage:.0f} %, {one.seconds:.3f} s" for one in by_backend.values()]
    print(f"| {name} | {len(stack)} of {width}x{height} | {' | '.join(cells)} |", flush=True)


def write_sheets(folder: Path, by_backend: dict[str, Answer]) -> None:
    """Write each backend's sheet and all-in-focus image."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, answer in by_backend.items():
        write_image(
            folder / f"{name}.jpg", picture_sheet(answer.stack, answer.estimate, title=name)
        )
        assert answer.estimate.all_in_focus is not None
        write_image(folder / f"{name}_all_in_focus.png", answer.estimate.all_in_focus)


if __name__ == "__main__":
    main()
