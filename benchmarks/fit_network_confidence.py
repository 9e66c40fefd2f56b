"""Fit how the confidence of the networks follows from their logits, on scenes for validation.

Run ``python benchmarks/fit_network_confidence.py --rgbd DIR``. A network learns whether its
position is within a quarter of a step. Whether its depth is right, which
`focdepth_ros.models.depth_confidence` has a regression for, depends on more. This prints its
weights, and how often pixels that were given a confidence are right: fitted to each network, and
those in use, which are one set for all. Among the examples is every pixel three times, with what
is tolerated, half and a quarter of it: nearly all of the surest are right, so that only a stricter
question tells which of them are better. The sweeps are of several kinds, of seeds from 900 on, and
of Middlebury 2001 and 2003 if DIR has them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from fit_confidence import SWEEPS, logistic_fit, reliability
from numpy.typing import NDArray
from rich.progress import track
from stack_sets import stack_set

from focdepth_ros.models.architectures import ARCHITECTURES
from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.depth_confidence import FITTED, OF_PLACE, bend_of, tolerated
from focdepth_ros.models.focus_guide import step_of
from focdepth_ros.models.sweeps import SweepNetwork
from focdepth_ros.models.weights_index import choose_weights
from focdepth_ros.simulation import DEFAULT_LENS, random_scene, render_stack
from focdepth_ros.simulation.scenes import FIRST_VALIDATION_SEED
from focdepth_ros.stack import FloatImage, FocalStack

_PIXELS_PER_STACK = 20_000
_SHARES = (1.0, 0.5, 0.25)  # of what is tolerated


def stacks(scenes: int, rgbd: Path | None) -> Iterator[tuple[FocalStack, FloatImage]]:
    """Focal stacks and their depths."""
    for number in track(range(scenes), description="scenes"):
        seed = FIRST_VALIDATION_SEED + number
        simulated = render_stack(
            random_scene(seed), DEFAULT_LENS, SWEEPS[number % len(SWEEPS)], seed=seed
        )
        yield simulated.stack, simulated.depth
    if rgbd is not None:
        for case in stack_set("val_middlebury", rgbd, sys.maxsize):
            yield case.load()


@dataclass(frozen=True, eq=False)
class Examples:
    """Pixels of a stack.

    Parameters
    ----------
    features : (M, 3) float64
        Logit, log of the tolerance in units of `OF_PLACE`, log of the bend.
    off : (M,) float64
        How far the inverse depth is from the truth, in what is tolerated.
    """

    features: NDArray[np.float64]
    off: NDArray[np.float64]

    def of_share(self, share: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Features, and what is right, where only a share of the tolerance is given."""
        return self.features + np.array([0.0, np.log(share), 0.0]), self.off <= share


def examples(network: SweepNetwork, stack: FocalStack, truth: FloatImage) -> Examples:
    """Pixels of a stack whose depth is known, drawn by lot."""
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
    features = torch.stack(
        [logits[0], (steps / OF_PLACE).log(), bend_of(inverse, falling).log()], dim=-1
    )
    return Examples(
        features.flatten(0, 1).double().numpy()[chosen],
        (off / steps).flatten().double().numpy()[chosen],
    )


def fitted(found: Sequence[Examples]) -> NDArray[np.float64]:
    """Weights of the features and, last, the bias."""
    asked = [item.of_share(share) for item in found for share in _SHARES]
    features = np.concatenate([features for features, _ in asked])
    return logistic_fit(features, np.concatenate([right for _, right in asked]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--rgbd", type=Path, metavar="DIR", help="with Middlebury 2001 and 2003")
    arguments = parser.parse_args()
    networks = {
        name: read_weights(choose_weights("", name).path).network_as(kind.network_class()).eval()
        for name, kind in ARCHITECTURES.items()
    }
    collected: dict[str, list[Examples]] = {name: [] for name in networks}
    for stack, truth in stacks(arguments.scenes, arguments.rgbd):
        for name, network in networks.items():
            collected[name].append(examples(network, stack, truth))
    both = [item for found in collected.values() for item in found]
    for name, found in {**collected, "both": both}.items():
        asked = [item.of_share(1.0) for item in found]
        features = np.concatenate([of_item for of_item, _ in asked])
        right = np.concatenate([of_item for _, of_item in asked])
        for title, weights in (("fitted", fitted(found)), ("in use", np.array(astuple(FITTED)))):
            values = zip(("place", "tolerance", "bend", "bias"), weights, strict=True)
            print(f"{name}, {title}: " + ", ".join(f"{key} {value:.2f}" for key, value in values))
            confidence = 1.0 / (1.0 + np.exp(-(features @ weights[:-1] + weights[-1])))
            print("  right of those with a confidence of " + reliability(confidence, right))


if __name__ == "__main__":
    main()
