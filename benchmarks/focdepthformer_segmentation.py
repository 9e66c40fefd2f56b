"""How well the segmentation head tells surfaces apart, on rendered stacks.

Run ``python benchmarks/focdepthformer_segmentation.py --weights FILE --pool DIR``. FILE was trained
with ``--set model.options.segmentation_classes=5``, DIR is a pool of `focdepth pool` of another
seed and other photographs than those trained on. Beside it stands what calling everything by the
commonest class gives.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.training.rendering.random_layers import SurfaceClass
from focdepth_ros.training.sources.pool_files import PoolStack, find_pool


def labelled(network: FocDepthFormer, stack: PoolStack) -> NDArray[np.int64]:
    """Class of every pixel (H, W)."""
    images = torch.from_numpy(np.array(stack.mapped("images"))).permute(0, 3, 1, 2)
    dioptres = torch.from_numpy(stack.focus).float()
    with torch.inference_mode():
        found = network(images[None], dioptres[None])
    assert found.labels is not None
    return np.asarray(found.labels[0].argmax(dim=0).numpy())


def confusion(network: FocDepthFormer, stacks: tuple[PoolStack, ...]) -> NDArray[np.int64]:
    """Pixels (classes, classes) by their true class and the one told."""
    count = len(SurfaceClass)
    found = np.zeros((count, count), np.int64)
    for stack in track(stacks, description="stacks"):
        truth = np.asarray(stack.mapped("labels")).astype(np.int64)
        known = truth >= 0
        pairs = count * truth[known] + labelled(network, stack)[known]
        found += np.bincount(pairs, minlength=count * count).reshape(count, count)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE")
    parser.add_argument("--pool", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    network = read_weights(arguments.weights).network_as(FocDepthFormer).eval()
    classes = network.config.segmentation_classes
    if classes != len(SurfaceClass):
        parser.error(
            f"{arguments.weights} tells {classes} classes apart; train with "
            f"--set model.options.segmentation_classes={len(SurfaceClass)}"
        )
    stacks = tuple(stack for stack in find_pool(arguments.pool) if stack.has_labels)
    if not stacks:
        parser.error(f"{arguments.pool} has no stacks with labels; render layers or rooms")
    found = confusion(network, stacks)
    true, told, right = found.sum(axis=1), found.sum(axis=0), found.diagonal()
    table = Table(
        "class", "share", "found", "intersection over union",
        title=f"{len(stacks)} stacks", box=box.SIMPLE_HEAD,
    )  # fmt: skip
    overlaps = []
    for kind in SurfaceClass:
        if true[kind]:
            overlaps.append(right[kind] / (true[kind] + told[kind] - right[kind]))
            share, recall = true[kind] / true.sum(), right[kind] / true[kind]
            row = (f"{share:.1%}", f"{recall:.1%}", f"{overlaps[-1]:.3f}")
            table.add_row(kind.name.lower(), *row)
    console = Console(width=100)
    console.print(table)
    console.print(
        f"right: {right.sum() / true.sum():.1%} of the pixels, mean intersection over union "
        f"{np.mean(overlaps):.3f}; the commonest class alone: {true.max() / true.sum():.1%}, "
        f"{true.max() / true.sum() / len(overlaps):.3f}"
    )


if __name__ == "__main__":
    main()
