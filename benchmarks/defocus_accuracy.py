"""How exact depth from defocus is, and what it gains over a graph cut.

Run ``python benchmarks/defocus_accuracy.py``; with ``--rgbd DIR`` also on focal stacks that the
solver's own forward model makes of pictures with depth, at the paper's settings for NYU Depth v2
(see defocus_stacks.py): there the model is exact, and what is measured is how well it is inverted.
DIR holds one folder per set, ``icl_livingroom1`` and ``7scenes``, of which those that are missing
are left out.

The simulated scenes, of seeds held out from development, are rendered with occlusion, noise and
8 bits, so that the model only comes close; ``graph_cut`` has the same stacks. Pixels have texture
unless `focdepth_ros.simulation.rgbd.textureless_mask` of the sharp image says otherwise: a standard
deviation of the grey levels of less than 3 over 9 x 9 pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from defocus_stacks import CONFIG, FOCUS_DISTANCES, LENS, defocused, photographs
from numpy.typing import NDArray

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.datasets.rgbd import Photograph
from focdepth_ros.defocus.initialisation import start_from_slices
from focdepth_ros.defocus.solver import DefocusSolution, solve
from focdepth_ros.simulation.random_sweeps import render_random_sweep
from focdepth_ros.simulation.rgbd import textureless_mask
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import FloatImage


@dataclass(frozen=True)
class Row:
    """Scores of one scene; psnr in dB, the others as shares."""

    abs_rel_textured: float
    delta1_textured: float
    abs_rel_all: float
    delta1_all: float
    known: float
    textured: float
    psnr: float
    rises: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rgbd", type=Path, metavar="DIR", help="folder of pictures with depth")
    parser.add_argument("--scale", type=float, default=1.0, help="of these pictures")
    parser.add_argument("--epochs", type=int, default=CONFIG.epochs, help="for these pictures")
    parser.add_argument("--scenes", type=int, default=10, help="number of simulated scenes")
    parser.add_argument("--size", default="320x240", metavar="WxH", help="of simulated images")
    parser.add_argument("--slices", type=int, default=10, help="of simulated sweeps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.rgbd:
        own_model(arguments.rgbd, arguments.scale, arguments.epochs)
    if arguments.scenes:
        width, height = map(int, arguments.size.split("x"))
        simulated(arguments.scenes, (width, height), arguments.slices)


def own_model(folder: Path, scale: float, epochs: int) -> None:
    """Score the solver on stacks of its own forward model."""
    rows: dict[str, list[Row]] = {}
    print(f"forward model of the solver, {epochs} epochs at most")
    for name, scene, photograph in photographs(folder):
        image, depth = _scaled(photograph, scale)
        stack = defocused(image, depth)
        start, _ = start_from_slices(stack.as_slices())
        config = replace(CONFIG, epochs=epochs)
        solution = solve(stack.slices, LENS, FOCUS_DISTANCES, config, start_image=start)
        truth = np.where(stack.known, 1.0 / stack.dioptre, np.float32(np.nan))
        error = float(((solution.image - stack.image) ** 2).mean())
        row = replace(
            _scores(1.0 / solution.dioptre, truth, ~textureless_mask(image)),
            psnr=-10.0 * float(np.log10(error)),
            rises=_rises(solution),
        )
        _print(f"{name} {scene}", row)
        rows.setdefault(name, []).append(row)
    for name, of_set in rows.items():
        _print(f"{name}, mean of {len(of_set)}", _mean(of_set))


def simulated(count: int, size: tuple[int, int], slices: int) -> None:
    """Score the backends on scenes with occlusion, noise and 8 bits."""
    methods = {
        "graph_cut": create_backend("graph_cut"),
        "defocus": create_backend("defocus", outliers="keep"),
        "defocus, outliers unknown": create_backend("defocus", outliers="unknown"),
    }
    rows: dict[str, list[Row]] = {name: [] for name in methods}
    print(f"\nsimulated, {size[0]}x{size[1]}, {slices} slices")
    for seed in range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + count):
        scene = render_random_sweep(seed, slices=slices, width=size[0], height=size[1])
        truth = np.where(np.isfinite(scene.depth), scene.depth, np.float32(np.nan))
        textured = ~textureless_mask(scene.all_in_focus)
        for name, backend in methods.items():
            estimate = backend.estimate(scene.stack)
            assert estimate.all_in_focus is not None
            psnr = cv2.PSNR(estimate.all_in_focus, scene.all_in_focus)
            rows[name].append(replace(_scores(estimate.depth, truth, textured), psnr=psnr))
            _print(f"{seed} {name}", rows[name][-1])
    for name, of_method in rows.items():
        _print(f"{name}, mean of {count}", _mean(of_method))
    wins = sum(
        ours.abs_rel_textured < theirs.abs_rel_textured
        for ours, theirs in zip(rows["defocus"], rows["graph_cut"], strict=True)
    )
    print(f"abs_rel over texture below that of graph_cut in {wins} of {count} scenes")


def _scaled(photograph: Photograph, scale: float) -> tuple[NDArray[np.uint8], FloatImage]:
    image, depth = photograph.image, photograph.depth
    if scale != 1.0:
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
        size = image.shape[1], image.shape[0]
        depth = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)
    return np.ascontiguousarray(image), depth


def _scores(depth: FloatImage, truth: FloatImage, textured: NDArray[np.bool_]) -> Row:
    there, known = np.isfinite(truth), np.isfinite(depth)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(depth - truth) / truth
        close = np.maximum(depth / truth, truth / depth) < 1.25
    every, some = there & known, there & known & textured
    return Row(
        float(error[some].mean()),
        float(close[some].mean()),
        float(error[every].mean()),
        float(close[every].mean()),
        float(known[there].mean()),
        float(textured[there].mean()),
        np.nan,
    )


def _rises(solution: DefocusSolution) -> float:
    """How often the error rose from one step to the next."""
    errors = [loss for one in solution.losses for loss in (one.after_depth, one.after_image)]
    return float(sum(later > earlier for earlier, later in pairwise(errors)))


def _mean(rows: Iterable[Row]) -> Row:
    return Row(*np.mean([astuple(row) for row in rows], axis=0).tolist())


def _print(title: str, row: Row) -> None:
    values = "  ".join(f"{item.name} {getattr(row, item.name):.4g}" for item in fields(row))
    print(f"{title:32s} {values}", flush=True)


if __name__ == "__main__":
    main()
