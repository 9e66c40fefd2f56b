"""Speed and accuracy of the focus measures, each by itself.

Run ``python benchmarks/focus_measures.py``. Time is that of one thread per frame, with the window
and the grid of the backend `graph_cut`. Accuracy is that of the sharpest slice with a parabola
through its peak and nothing else, over all pixels of simulated scenes that nothing was tuned on
(seeds from 1000 on), in windows of several sizes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from focdepth_ros.backends.base import spec_of
from focdepth_ros.classical.confidence import noise_floor
from focdepth_ros.classical.focus_measure import FocusMeasure
from focdepth_ros.classical.focus_operators import create_focus_measure, focus_measure_names
from focdepth_ros.classical.focus_volume import FocusVolumeBuilder
from focdepth_ros.classical.refinement import enlarge, refine_peak
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

_SIZES = {"640x480": (480, 640), "1920x1080": (1080, 1920)}
_WINDOWS = (1.5, 3.0, 5.0, 7.0)  # pixels
_REDUCTION = 2


def milliseconds(works: list[Callable[[], object]], repetitions: int) -> list[float]:
    """Medians of the works' times, taken in turn so that a busy moment meets all of them."""
    times = np.empty((repetitions, len(works)))
    for row in times:
        for column, work in enumerate(works):
            started = time.perf_counter()
            work()
            row[column] = time.perf_counter() - started
    return [float(value) for value in 1e3 * np.median(times[1:], axis=0)]


def accuracy(
    measure: FocusMeasure, window_sigma: float, simulated: SimulatedStack
) -> tuple[float, float]:
    """abs_rel and rmse [m] over all pixels."""
    builder = FocusVolumeBuilder(
        spec_of(simulated.stack),
        lambda item: measure(item.image, window_sigma=window_sigma, reduction=_REDUCTION),
    )
    for item in simulated.stack.slices:
        builder.add(item)
    volume = builder.volume()
    log_energy = np.log(volume.energy + np.float32(noise_floor(volume.energy)))
    slice_index, _ = refine_peak(log_energy, volume.energy.argmax(axis=0), volume.positions)
    depth = depth_from_slice_index(enlarge(slice_index, volume.size), volume.positions)
    metrics = depth_metrics(depth, simulated.depth)
    return metrics["abs_rel"], metrics["rmse"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=6, help="number of scenes")
    parser.add_argument("--first-seed", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--repetitions", type=int, default=40, help="of every timing")
    arguments = parser.parse_args()
    for name in ("scenes", "repetitions"):
        if getattr(arguments, name) < 2:
            parser.error(f"--{name} is {getattr(arguments, name)}; it must be at least 2")
    cv2.setNumThreads(1)
    measures = [create_focus_measure(name) for name in focus_measure_names()]

    speed = Table("focus measure", *_SIZES, title="ms per frame, one thread (times the first)")
    columns = []
    rng = np.random.default_rng(0)
    for size in _SIZES.values():
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        works = [
            lambda measure=measure, image=image: measure(
                image, window_sigma=3.0, reduction=_REDUCTION
            )
            for measure in measures
        ]
        found = milliseconds(works, arguments.repetitions)
        columns.append([f"{value:.2f} ({value / found[0]:.1f})" for value in found])
    for measure, *row in zip(measures, *columns, strict=True):
        speed.add_row(measure.name, *row)
    Console().print(speed)

    scores = np.zeros((len(measures), len(_WINDOWS), 2))
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.scenes)
    for seed in track(seeds, description="scenes"):
        simulated = render_stack(
            random_scene(seed), DEFAULT_LENS, DEFAULT_FOCUS_DISTANCES, seed=seed
        )
        for i, measure in enumerate(measures):
            for j, window_sigma in enumerate(_WINDOWS):
                scores[i, j] += accuracy(measure, window_sigma, simulated)
    table = Table(
        "focus measure", *(f"{window:g} px" for window in _WINDOWS),
        title=f"abs_rel / rmse in m, by window; {arguments.scenes} scenes",
    )  # fmt: skip
    for measure, row in zip(measures, scores / arguments.scenes, strict=True):
        table.add_row(measure.name, *(f"{abs_rel:.3f} / {rmse:.2f}" for abs_rel, rmse in row))
    Console().print(table)


if __name__ == "__main__":
    main()
