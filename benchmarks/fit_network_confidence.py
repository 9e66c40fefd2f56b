"""Fit how the confidence of the networks follows from their logits, on scenes for validation.

Run ``python benchmarks/fit_network_confidence.py --rgbd DIR``. A network learns whether its
position is within a quarter of a step. Whether its depth is right (`focdepth_ros.models.answers`
says what that is) depends on how much a step is there, too. This prints the weights of both, and
how often pixels that were given a confidence are right: with weights fitted to each network, and
with those in use, which are one set for all. The sweeps are of several kinds, of seeds
from 900 on, and of Middlebury 2001 and 2003 if DIR has them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from fit_confidence import SWEEPS, logistic_fit
from numpy.typing import NDArray
from rich.progress import track
from stack_sets import stack_set

from focdepth_ros.models.answers import GAIN, OF_PLACE, tolerated
from focdepth_ros.models.architectures import ARCHITECTURES
from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.focus_guide import step_of
from focdepth_ros.models.sweeps import SweepNetwork
from focdepth_ros.models.weights_index import choose_weights
from focdepth_ros.simulation import DEFAULT_LENS, random_scene, render_stack
from focdepth_ros.simulation.scenes import FIRST_VALIDATION_SEED
from focdepth_ros.stack import FloatImage, FocalStack

_PIXELS_PER_STACK = 20_000
_BINS = (0.0, 0.2, 0.5, 0.8, 0.95, 1.0)


def stacks(scenes: int, rgbd: Path | None) -> Iterator[tuple[FocalStack, FloatImage]]:
    """Focal stacks and their depths."""
    for number in track(range(scenes), description="scenes"):
        seed = FIRST_VALIDATION_SEED + number
        simulated = render_stack(
            random_scene(seed), DEFAULT_LENS, SWEEPS[number % len(SWEEPS)], seed=seed
        )
        yield simulated.stack, simulated.depth
    if rgbd is not None:
        for case in stack_set("val_middlebury", rgbd, None):
            yield case.load()


def examples(
    network: SweepNetwork, stack: FocalStack, truth: FloatImage
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Features (M, 2) of pixels of a stack, and whether the depth of each is right."""
    images = torch.from_numpy(np.stack([item.image for item in stack.slices]))
    dioptres = torch.tensor([item.dioptre for item in stack.slices])
    with torch.inference_mode():
        found = network(images.permute(0, 3, 1, 2)[None], dioptres[None])
    logits = found.confidence_logits
    assert logits is not None
    falling = dioptres.sort(descending=True).values
    span = falling[0] - falling[-1]
    inverse = falling[-1] + found.position[0].clamp(0.0, 1.0) * span
    steps = tolerated(inverse, falling)
    off = (inverse - torch.from_numpy(1.0 / truth)).abs() / (span * step_of(len(falling)))
    known = np.flatnonzero(np.isfinite(truth) & (truth > 0.0))
    chosen = np.random.default_rng(0).choice(known, _PIXELS_PER_STACK)
    # Relative to the tolerance that the logit is about.
    of_tolerance = (steps / OF_PLACE).log()
    features = torch.stack([logits[0], of_tolerance], dim=-1).flatten(0, 1)
    return features.double().numpy()[chosen], (off <= steps).flatten().numpy()[chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--rgbd", type=Path, metavar="DIR", help="with Middlebury 2001 and 2003")
    arguments = parser.parse_args()
    networks = {
        name: read_weights(choose_weights("", name).path).network_as(kind.network_class()).eval()
        for name, kind in ARCHITECTURES.items()
    }
    collected: dict[str, list[tuple[NDArray[np.float64], NDArray[np.bool_]]]] = {
        name: [] for name in networks
    }
    for stack, truth in stacks(arguments.scenes, arguments.rgbd):
        for name, network in networks.items():
            collected[name].append(examples(network, stack, truth))
    both = [item for found in collected.values() for item in found]
    for name, found in {**collected, "both": both}.items():
        features = np.concatenate([item[0] for item in found])
        right = np.concatenate([item[1] for item in found])
        weights = logistic_fit(features, right)
        print(f"{name}: logit {weights[0]:.2f}, tolerance {weights[1]:.2f}, bias {weights[2]:.2f}")
        for title, used in (("fitted", weights), ("in use", np.array([GAIN, GAIN, 0.0]))):
            confidence = 1.0 / (1.0 + np.exp(-(features @ used[:2] + used[2])))
            told = []
            for low, high in pairwise(_BINS):
                inside = (confidence > low) & (confidence <= high)
                mean = right[inside].mean() if inside.any() else np.nan
                told.append(f"{low:g}-{high:g}: {mean:.2f} of {inside.mean():.0%}")
            print(f"  {title}, right of those with a confidence of " + ", ".join(told))


if __name__ == "__main__":
    main()
