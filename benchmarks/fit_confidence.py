"""Fit the weights of `focdepth_ros.classical.confidence` on simulated sweeps.

Run ``python benchmarks/fit_confidence.py``; it prints the weights, the bias, and a reliability
table. The scenes are those set apart for tuning (seeds below 1000). Some sweeps do not reach as
near or as far as the scene, so that pixels which were never in focus are among the examples.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from focdepth_ros.backends.argmax import ArgmaxBackend
from focdepth_ros.backends.base import spec_of
from focdepth_ros.backends.graph_cut import GraphCutBackend
from focdepth_ros.classical.confidence import FEATURES, focus_features, slices_per_step
from focdepth_ros.optics import sweep_distances
from focdepth_ros.simulation import (
    DEFAULT_FOCUS_DISTANCES,
    DEFAULT_LENS,
    SimulatedStack,
    random_scene,
    render_stack,
)

SWEEPS = (
    DEFAULT_FOCUS_DISTANCES,
    tuple(sweep_distances(0.6, 2.0, 8)),
    tuple(sweep_distances(0.4, 4.0, 20)),
    tuple(sweep_distances(0.4, 8.0, 6)),
    tuple(sweep_distances(0.4, 4.0, 32)),
)
# How far, in steps, a right position may be off; argmax knows whole slices only.
_TOLERANCES = {"graph_cut": 0.25, "argmax": 0.75}
_PIXELS_PER_STACK = 20_000
_BINS = (0.0, 0.2, 0.5, 0.8, 0.95, 0.99, 1.0)


def simulated_stacks(scenes: int) -> Iterator[SimulatedStack]:
    """Stacks of the tuning scenes, each with one of the kinds of sweep in turn."""
    for seed in track(range(scenes), description="scenes"):
        distances = SWEEPS[seed % len(SWEEPS)]
        yield render_stack(random_scene(seed), DEFAULT_LENS, distances, seed=seed)


def examples(
    backend: ArgmaxBackend | GraphCutBackend, simulated: SimulatedStack
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Features (M, 4) of pixels of a stack, and whether each is right."""
    stack = simulated.stack
    accumulator = backend.start(spec_of(stack))
    for item in stack.slices:
        accumulator.add(item)
    curves = accumulator.focus_curves()
    features = focus_features(curves)
    slice_index = curves.slice_index
    height, width = slice_index.shape
    truth = cv2.resize(simulated.depth, (width, height), interpolation=cv2.INTER_NEAREST)
    slices = np.arange(len(stack), dtype=np.float64)
    # Beyond the ends of the sweep the scale of slices goes on.
    step = np.diff(stack.dioptres)[[0, -1]]
    ends = np.array([stack.dioptres[0] - 100 * step[0], stack.dioptres[-1] + 100 * step[1]])
    positions = np.concatenate([ends[:1], stack.dioptres, ends[1:]])
    true_index = np.interp(
        -1.0 / truth, -positions, np.concatenate([[-100.0], slices, [slices[-1] + 100.0]])
    )
    right = np.abs(slice_index - true_index) < _TOLERANCES[backend.name] * slices_per_step(
        len(stack)
    )
    chosen = np.random.default_rng(0).choice(right.size, _PIXELS_PER_STACK, replace=False)
    return features.reshape(len(FEATURES), -1)[:, chosen].T.astype(np.float64), right.ravel()[
        chosen
    ]


def logistic_fit(features: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights and, last, bias of the logistic regression, by Newton's method."""
    design = np.column_stack([features, np.ones(len(features))])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        probability = 1.0 / (1.0 + np.exp(-design @ weights))
        gradient = design.T @ (right - probability)
        curvature = (design * (probability * (1.0 - probability))[:, None]).T @ design
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def reliability(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> str:
    """How often pixels in each range of confidence are right, and how many these are."""
    told = []
    for low, high in pairwise(_BINS):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            told.append(f"{low:g}-{high:g}: {right[inside].mean():.2f} of {inside.mean():.0%}")
    return ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=32, help="number of tuning scenes")
    parser.add_argument("--backend", choices=tuple(_TOLERANCES), default="graph_cut")
    arguments = parser.parse_args()
    backend = ArgmaxBackend() if arguments.backend == "argmax" else GraphCutBackend()
    collected = [examples(backend, stack) for stack in simulated_stacks(arguments.scenes)]
    features = np.concatenate([item[0] for item in collected])
    right = np.concatenate([item[1] for item in collected])
    weights = logistic_fit(features, right)
    for name, weight in zip((*FEATURES, "bias"), weights, strict=True):
        print(f"{name:>10} {weight:+.3f}")
    confidence = 1.0 / (1.0 + np.exp(-(features @ weights[:-1] + weights[-1])))
    print("right of those with a confidence of " + reliability(confidence, right))


if __name__ == "__main__":
    main()
