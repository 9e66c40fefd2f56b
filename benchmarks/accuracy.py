"""Accuracy of the backends on simulated sweeps that nothing was tuned on.

Run ``python benchmarks/accuracy.py``. Scenes with seeds from 1000 on are held out. Every backend
is scored over all pixels, and over those that it answers at its default confidence threshold.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from focdepth_ros.backends.registry import create_backend, list_backends
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.simulation import (
    DEFAULT_FOCUS_DISTANCES,
    DEFAULT_LENS,
    random_scene,
    render_stack,
)
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=20, help="number of scenes")
    parser.add_argument("--first-seed", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--min-confidence", type=float, default=DEFAULT_MIN_CONFIDENCE)
    arguments = parser.parse_args()
    if arguments.scenes < 1:
        parser.error(f"--scenes is {arguments.scenes}; it must be at least 1")

    names = [info.name for info in list_backends() if info.unusable_because is None]
    scores: dict[str, list[list[float]]] = {name: [] for name in names}
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.scenes)
    for seed in track(seeds, description="scenes"):
        simulated = render_stack(
            random_scene(seed), DEFAULT_LENS, DEFAULT_FOCUS_DISTANCES, seed=seed
        )
        for name in names:
            backend = create_backend(name)
            every = DepthPipeline(backend, min_confidence=0.0).estimate(simulated.stack)
            sure = DepthPipeline(backend, min_confidence=arguments.min_confidence).estimate(
                simulated.stack
            )
            of_all = depth_metrics(every.depth, simulated.depth)
            of_sure = depth_metrics(sure.depth, simulated.depth)
            scores[name].append(
                [of_all["abs_rel"], of_all["rmse"]]
                + [of_sure[key] for key in ("coverage", "abs_rel", "rmse")]
            )

    table = Table(
        "backend", "abs_rel", "rmse [m]", "answered", "abs_rel there", "rmse there [m]",
        title=f"means over {arguments.scenes} scenes, seeds from {arguments.first_seed}, "
        f"confidence >= {arguments.min_confidence}",
    )  # fmt: skip
    for name, rows in scores.items():
        mean = np.mean(rows, axis=0)
        table.add_row(name, *(f"{value:.4f}" for value in mean))
    Console().print(table)


if __name__ == "__main__":
    main()
