"""Fit the weights of `focdepth_ros.defocus.confidence` on simulated sweeps.

Run ``python benchmarks/fit_defocus_confidence.py``; it takes about a minute per scene. It prints
the weights, and how often pixels that were given a confidence are right: with these weights, each
scene by those of the others, and with the ones in use. The scenes, of seeds from 900 on, are for
tuning; sweeps of 5 to 16 slices at 320x240.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from fit_confidence import logistic_fit, reliability
from numpy.typing import NDArray
from rich.progress import track

from focdepth_ros.backends.base import spec_of
from focdepth_ros.backends.defocus import DefocusBackend
from focdepth_ros.classical.confidence import slices_per_step
from focdepth_ros.defocus.confidence import DEFOCUS_CONFIDENCE, FEATURES, surface_confidence
from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.simulation.random_sweeps import render_random_sweep
from focdepth_ros.simulation.scenes import FIRST_VALIDATION_SEED

_SLICES = (10, 6, 8, 16, 5)
_PIXELS_PER_STACK = 20_000
_TOLERANCE = 0.25  # steps
_FOLDS = 3


def examples(backend: DefocusBackend, number: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Features (M, 4) of pixels of a scene, and whether the depth of each is right."""
    seed, slices = FIRST_VALIDATION_SEED + number, _SLICES[number % len(_SLICES)]
    scene = render_random_sweep(seed, slices=slices, width=320, height=240)
    accumulator = backend.start(spec_of(scene.stack))
    for item in scene.stack.slices:
        accumulator.add(item)
    depth = accumulator.finish().depth
    assert accumulator.solution is not None
    dioptres = scene.stack.dioptres
    step = abs(dioptres[0] - dioptres[-1]) / (slices - 1) * slices_per_step(slices)
    right = np.abs(1.0 / depth - 1.0 / scene.depth) < _TOLERANCE * step
    chosen = np.random.default_rng(0).choice(right.size, _PIXELS_PER_STACK)
    features = accumulator.solution.features
    return features.reshape(len(features), -1)[:, chosen].T, right.ravel()[chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=30, help="number of tuning scenes")
    parser.add_argument("--epochs", type=int, default=6, help="per scene at most")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    backend = DefocusBackend(DefocusConfig(outliers="keep", epochs=arguments.epochs))
    found = [
        examples(backend, number) for number in track(range(arguments.scenes), description="scenes")
    ]

    def fitted(held_out: int = -1) -> NDArray[np.float64]:
        kept = [item for number, item in enumerate(found) if number % _FOLDS != held_out]
        features = np.concatenate([features for features, _ in kept]).astype(np.float64)
        return logistic_fit(features, np.concatenate([right for _, right in kept]))

    in_use = (*DEFOCUS_CONFIDENCE.weights, DEFOCUS_CONFIDENCE.bias)
    for name, weight, used in zip((*FEATURES, "bias"), fitted(), in_use, strict=True):
        print(f"{name:>10} {weight:+.2f}, in use {used:+.2f}")
    folds = [fitted(number) for number in range(_FOLDS)]
    right = np.concatenate([item for _, item in found])
    of_others = []
    for number, (features, _) in enumerate(found):
        weights = folds[number % _FOLDS]
        of_others.append(1.0 / (1.0 + np.exp(-(features @ weights[:-1] + weights[-1]))))
    print(
        "right of those with a confidence of, by the other scenes: "
        + reliability(np.concatenate(of_others), right)
    )
    confidence = surface_confidence(np.concatenate([features for features, _ in found]).T)
    print("right of those with a confidence of, in use: " + reliability(confidence, right))


if __name__ == "__main__":
    main()
