"""The fast graph cut against the exact one and against other libraries: energy, time, accuracy.

Run ``python benchmarks/graph_cut.py``. The costs are those of simulated sweeps at full resolution;
the scenes of seeds 1000 to 1002 were looked at when the fast cut was tuned, so later ones are
taken. PyMaxflow and gco-wrapper take part where they are installed; neither comes with this
package, see docs/graph_cut.md. Times of fast are the smallest of some runs, on one thread.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from focdepth_ros.classical.confidence import noise_floor
from focdepth_ros.classical.energy_terms import edge_aware_weights, log_unary
from focdepth_ros.classical.focus_operators import create_focus_measure, focus_measure_names
from focdepth_ros.classical.focus_volume import sharpest_slice
from focdepth_ros.classical.graph_cut import alpha_expansion, cut_fast
from focdepth_ros.classical.guide_image import guide_image
from focdepth_ros.classical.refinement import refine_peak, smooth_surfaces
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.optics import sweep_distances
from focdepth_ros.simulation import (
    DEFAULT_FOCUS_DISTANCES,
    DEFAULT_LENS,
    random_scene,
    render_stack,
)
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import FloatImage

_FIRST_SEED = FIRST_HELD_OUT_SEED + 3
_TRUNCATION = 6
_CONTRAST = 5.0  # grey levels
_EXACT_CYCLES = 20  # more than are ever needed until nothing changes
_FAST_RUNS = 3

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Scene:
    """Costs of a simulated sweep and what it takes to judge an answer."""

    unary: NDArray[np.float32]  # (N, h, w); the least of each pixel is 0
    weight_right: FloatImage  # of pair_scale 1
    weight_down: FloatImage
    log_energy: NDArray[np.float32]
    positions: NDArray[np.float64]  # dioptres
    depth: FloatImage

    def terms(self, pair_scale: float) -> tuple[NDArray[np.float32], FloatImage, FloatImage]:
        """Unary costs and weights to the right and downwards."""
        scale = np.float32(pair_scale)
        return self.unary, self.weight_right * scale, self.weight_down * scale

    def scores(self, labels: NDArray[np.uint8]) -> tuple[float, float]:
        """abs_rel and rmse of the depth that the labels lead to."""
        index, _ = refine_peak(self.log_energy, labels, self.positions)
        dioptres = np.interp(smooth_surfaces(index), np.arange(len(self.positions)), self.positions)
        metrics = depth_metrics((1.0 / dioptres).astype(np.float32), self.depth)
        return metrics["abs_rel"], metrics["rmse"]


def make_scene(seed: int, slices: int) -> Scene:
    """Render a sweep and take its costs as the `graph_cut` backend does."""
    near, far = DEFAULT_FOCUS_DISTANCES[0], DEFAULT_FOCUS_DISTANCES[-1]
    distances = tuple(sweep_distances(near, far, slices))
    simulated = render_stack(random_scene(seed), DEFAULT_LENS, distances, seed=seed)
    images = [item.image for item in simulated.stack.slices]
    measure = create_focus_measure(focus_measure_names()[0])
    energy = np.stack([measure(image, window_sigma=1.5, reduction=1) for image in images])
    floor = np.float32(noise_floor(energy))
    guide = guide_image(images, sharpest_slice(energy))
    return Scene(
        log_unary(energy.copy(), floor),
        *edge_aware_weights(guide, 1.0, _CONTRAST),
        log_energy=np.log(energy + floor),
        positions=1.0 / np.asarray(distances),
        depth=simulated.depth,
    )


def energy_of(scene: Scene, pair_scale: float, labels: Labels) -> float:
    """Energy in double precision, the same for all solvers."""
    unary, right, down = scene.terms(pair_scale)
    signed = labels.astype(np.int64)
    energy = np.take_along_axis(unary, signed[np.newaxis], axis=0).sum(dtype=np.float64)
    for axis, weight in ((1, right[:, :-1]), (0, down[:-1])):
        steps = np.minimum(np.abs(np.diff(signed, axis=axis)), _TRUNCATION)
        energy += (steps * weight).sum(dtype=np.float64)
    return float(energy)


def pymaxflow(scene: Scene, pair_scale: float) -> Labels | None:
    """Labels of PyMaxflow, or None without it. It knows only one weight for all pairs."""
    try:
        fastmin = importlib.import_module("maxflow.fastmin")
    except ImportError:
        return None
    number = np.arange(len(scene.unary))
    steps = np.minimum(np.abs(number[:, None] - number), _TRUNCATION) * pair_scale
    costs = np.moveaxis(scene.unary, 0, -1).astype(np.float64)
    labels: Labels = fastmin.aexpansion_grid(costs, steps.astype(np.float64))
    return labels


def gco(scene: Scene, pair_scale: float) -> Labels | None:
    """Labels of gco-wrapper, or None without it. Its costs are whole numbers; they are scaled."""
    try:
        library = importlib.import_module("gco")
    except ImportError:
        return None
    number = np.arange(len(scene.unary))
    steps = np.minimum(np.abs(number[:, None] - number), _TRUNCATION).astype(np.float64)
    unary, right, down = scene.terms(pair_scale)
    costs = np.ascontiguousarray(np.moveaxis(unary, 0, -1), np.float64)
    labels: Labels = library.cut_grid_graph(
        costs, steps, down[:-1].astype(np.float64), right[:, :-1].astype(np.float64), n_iter=-1
    )
    return labels.reshape(unary.shape[1:])


def timed(solve: Callable[[], Any]) -> tuple[Any, float]:
    """Result and seconds."""
    started = time.perf_counter()
    result = solve()
    return result, time.perf_counter() - started


def compare(scene: Scene, pair_scale: float) -> dict[str, list[float]]:
    """Energy above the exact cut's [%], s, abs_rel and rmse of each solver."""
    terms = scene.terms(pair_scale)
    fast_times: list[float] = []
    for _ in range(_FAST_RUNS):
        (fast, _), seconds = timed(lambda: cut_fast(*terms, truncation=_TRUNCATION))
        fast_times.append(seconds)
    (exact, _), exact_time = timed(
        lambda: alpha_expansion(*terms, truncation=_TRUNCATION, max_cycles=_EXACT_CYCLES)
    )
    lowest = energy_of(scene, pair_scale, exact)
    excess = 100.0 * (energy_of(scene, pair_scale, fast) / lowest - 1.0)
    return {
        "exact": [0.0, exact_time, *scene.scores(exact)],
        "fast": [excess, min(fast_times), *scene.scores(fast)],
    }


def compare_others(scene: Scene, pair_scale: float) -> list[tuple[str, str, str]]:
    """Name, seconds and energy above the exact cut's of the other libraries."""
    rows = []
    flat = Scene(
        scene.unary, np.ones_like(scene.weight_right), np.ones_like(scene.weight_down),
        scene.log_energy, scene.positions, scene.depth,
    )  # fmt: skip
    for name, solve, problem in (("gco-wrapper", gco, scene), ("PyMaxflow", pymaxflow, flat)):
        labels, seconds = timed(lambda solve=solve, problem=problem: solve(problem, pair_scale))  # type: ignore[misc]
        if labels is None:
            rows.append((name, "not installed", ""))
            continue
        (ours, _), our_seconds = timed(
            lambda problem=problem: alpha_expansion(  # type: ignore[misc]
                *problem.terms(pair_scale), truncation=_TRUNCATION, max_cycles=_EXACT_CYCLES
            )
        )
        lowest = energy_of(problem, pair_scale, ours)
        excess = 100.0 * (energy_of(problem, pair_scale, labels) / lowest - 1.0)
        rows.append((name, f"{seconds:.2f} (exact {our_seconds:.2f})", f"{excess:+.3f}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=3, help="number of scenes")
    parser.add_argument("--first-seed", type=int, default=_FIRST_SEED)
    parser.add_argument("--slices", type=int, nargs="+", default=[10, 32])
    parser.add_argument("--pair-scales", type=float, nargs="+", default=[0.6, 1.2, 2.4])
    arguments = parser.parse_args()
    if arguments.scenes < 1:
        parser.error(f"--scenes is {arguments.scenes}; it must be at least 1")

    speed = Table(
        "labels", "pair scale", "energy above exact [%]", "worst scene", "exact [s]", "fast [s]",
        "times as fast", title=f"640x480, means over {arguments.scenes} scenes",
    )  # fmt: skip
    accuracy = Table(
        "labels", "pair scale", "abs_rel, exact", "fast", "rmse [m], exact", "fast",
        title="depth from the labels, all pixels",
    )  # fmt: skip
    others = Table(
        "labels", "library", "s", "energy above exact [%]",
        title="other libraries, first scene and pair scale; PyMaxflow with equal weights",
    )  # fmt: skip
    for slices in arguments.slices:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.scenes)
        scenes = [make_scene(seed, slices) for seed in seeds]
        for pair_scale in track(arguments.pair_scales, description=f"{slices} labels"):
            results = [compare(scene, pair_scale) for scene in scenes]
            exact, fast = (np.array([r[name] for r in results]) for name in ("exact", "fast"))
            speed.add_row(
                str(slices), f"{pair_scale:g}",
                f"{fast[:, 0].mean():+.2f}", f"{fast[:, 0].max():+.2f}",
                f"{exact[:, 1].mean():.2f}", f"{fast[:, 1].mean():.3f}",
                f"{exact[:, 1].sum() / fast[:, 1].sum():.1f}",
            )  # fmt: skip
            accuracy.add_row(
                str(slices), f"{pair_scale:g}",
                *(f"{side[:, k].mean():.4f}" for k in (2, 3) for side in (exact, fast)),
            )  # fmt: skip
        for row in compare_others(scenes[0], arguments.pair_scales[0]):
            others.add_row(str(slices), *row)
    console = Console()
    for table in (speed, accuracy, others):
        console.print(table)


if __name__ == "__main__":
    main()
