"""Accuracy of the backends on focal stacks that nothing was tuned on.

Run ``python benchmarks/accuracy.py``; with ``--middlebury DIR`` also on stacks rendered from the
Middlebury stereo scenes (see rgbd_stacks.py). Simulated scenes with seeds from 1000 on and
the Middlebury scenes of 2005 and 2006 are held out; those of 2001 and 2003 were looked at during
development and make a row of their own. Every method is scored over all pixels, and, where it says
how sure it is, over those that it answers at its confidence threshold.

``log+gco`` is the plain classic pipeline: exp(-LoG²) of 5 px kernels, blurred over 9 px, scaled to
[0, 2^22], |Δlabel| times 2^12, alpha-expansion in 5 cycles at full resolution, whole slices.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from rgbd_stacks import middlebury_scenes
from rich.console import Console
from rich.progress import track
from rich.table import Table

from focdepth_ros.backends.registry import create_backend, list_backends
from focdepth_ros.classical.focus_measure import grey_image
from focdepth_ros.classical.graph_cut import alpha_expansion
from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.estimate import depth_from_slice_index
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.simulation import (
    DEFAULT_FOCUS_DISTANCES,
    DEFAULT_LENS,
    SimulatedStack,
    random_scene,
    render_stack,
)
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import FloatImage, FocalStack

#: Depth in metres of every pixel, and a confidence if the method has one.
Method = Callable[[FocalStack], tuple[FloatImage, FloatImage | None]]

_CLASSIC = "log+gco"
_UNARY_SCALE, _PAIR_SCALE = float(2**22), float(2**12)
_WHOLE = 1024.0  # how finely alpha_expansion resolves costs; then its numbers are those of gco


def simulated_stacks(count: int, first_seed: int) -> Iterator[tuple[str, SimulatedStack]]:
    """Set and stack of the procedural scenes."""
    for seed in track(range(first_seed, first_seed + count), description="simulated"):
        scene = random_scene(seed)
        yield (
            "simulated",
            render_stack(scene, DEFAULT_LENS, DEFAULT_FOCUS_DISTANCES, seed=seed),
        )


def middlebury_stacks(folder: Path) -> Iterator[tuple[str, LabelledStack]]:
    """Set and stack of the Middlebury scenes."""
    for held_out, kind in ((False, "Middlebury 2001/03"), (True, "Middlebury 2005/06")):
        for scene in track(list(middlebury_scenes(folder, held_out=held_out)), description=kind):
            yield kind, scene.render()


def method_of(name: str) -> Method:
    """A backend, or the classic pipeline, as a function of the stack."""
    if name == _CLASSIC:
        return classic_pipeline
    backend = create_backend(name)

    def estimate(stack: FocalStack) -> tuple[FloatImage, FloatImage | None]:
        answer = backend.estimate(stack, all_in_focus=False)
        return answer.depth, answer.confidence

    return estimate


def classic_pipeline(stack: FocalStack) -> tuple[FloatImage, None]:
    """LoG and graph cut with the settings of the published classic pipeline."""
    layers = []
    for item in stack.slices:
        grey = grey_image(item.image).astype(np.float32) / np.float32(255.0)
        response = cv2.Laplacian(cv2.GaussianBlur(grey, (5, 5), 0), cv2.CV_32F, ksize=5)
        layers.append(cv2.GaussianBlur(np.exp(-(response**2)), (9, 9), 0))
    unary = np.stack(layers)
    unary -= unary.min()
    unary *= np.float32(_UNARY_SCALE / _WHOLE / unary.max())
    weight = np.full(unary.shape[1:], _PAIR_SCALE / _WHOLE, np.float32)
    labels, _ = alpha_expansion(unary, weight, weight, truncation=len(unary), max_cycles=5)
    return depth_from_slice_index(labels.astype(np.float32), stack.dioptres), None


def main() -> None:
    usable = [info.name for info in list_backends() if info.unusable_because is None]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=20, help="number of simulated scenes")
    parser.add_argument("--first-seed", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--middlebury", type=Path, metavar="DIR", help="folder of the scenes")
    parser.add_argument("--min-confidence", type=float, default=DEFAULT_MIN_CONFIDENCE)
    arguments = parser.parse_args()
    if arguments.scenes < 1:
        parser.error(f"--scenes is {arguments.scenes}; it must be at least 1")

    methods = {name: method_of(name) for name in (*usable, _CLASSIC)}
    scores: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    stacks: list[Iterator[tuple[str, SimulatedStack | LabelledStack]]] = [
        simulated_stacks(arguments.scenes, arguments.first_seed)
    ]
    if arguments.middlebury:
        stacks.append(middlebury_stacks(arguments.middlebury))
    for source in stacks:
        for kind, simulated in source:
            for name, method in methods.items():
                depth, confidence = method(simulated.stack)
                every = depth_metrics(depth, simulated.depth)
                row = [every["abs_rel"], every["rmse"], np.nan, np.nan, np.nan]
                if confidence is not None:
                    depth = np.where(confidence >= arguments.min_confidence, depth, np.nan)
                    sure = depth_metrics(depth, simulated.depth)
                    row[2:] = [sure[key] for key in ("coverage", "abs_rel", "rmse")]
                scores[kind, name].append(row)

    table = Table(
        "set", "scenes", "method", "abs_rel", "rmse [m]", "against argmax", "answered",
        "abs_rel there", "rmse there [m]",
        title=f"means over the scenes; answered at confidence >= {arguments.min_confidence}",
    )  # fmt: skip
    for (kind, name), rows in scores.items():
        mean = np.mean(rows, axis=0)
        change = mean[:2] / np.mean(scores[kind, "argmax"], axis=0)[:2] - 1.0
        table.add_row(
            kind, str(len(rows)), name, f"{mean[0]:.4f}", f"{mean[1]:.4f}",
            f"{change[0]:+.0%}, {change[1]:+.0%}",
            *("" if np.isnan(value) else f"{value:.4f}" for value in mean[2:]),
        )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
