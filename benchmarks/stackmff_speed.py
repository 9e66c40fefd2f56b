"""Time and memory of StackMFF-V2 on a CPU: ours through the backend, the authors' code beside it.

Run ``python benchmarks/stackmff_speed.py``. Every case runs in a process of its own, on two
threads, on slices of noise; times are the best of a few runs after the first, memory is the largest
resident memory of the process, libraries included. ``--authors DIR --weights FILE`` add the
official network (see stackmff_official.py), which is given its whole stack at once.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from focdepth_ros.backends.base import SweepSpec
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.stack import FocalStack, Slice

_THREADS = 2
_NEAREST, _FARTHEST = 3.0, 0.2  # 1/m
_SHAPES = ((32, 360, 640), (10, 480, 640))
_MEGABYTE = 2**20
_KILOBYTE = 2**10


def slices_of(shape: tuple[int, int, int]) -> list[Slice]:
    """Slices of noise, near to far: what they show makes no difference."""
    images = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    dioptres = np.linspace(_NEAREST, _FARTHEST, shape[0])
    return [
        Slice(image, float(1 / dioptre)) for image, dioptre in zip(images, dioptres, strict=True)
    ]


def backend_figures(name: str, shape: tuple[int, int, int], runs: int) -> dict[str, float]:
    """Seconds per slice, after the last slice and in all, the all-in-focus image included."""
    backend = create_backend(name, device="cpu") if name != "graph_cut" else create_backend(name)
    slices = slices_of(shape)
    found = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        accumulator = backend.start(SweepSpec(height=shape[1], width=shape[2]))
        for item in slices[:-1]:
            accumulator.add(item)
        last = time.perf_counter()
        accumulator.add(slices[-1])
        accumulator.finish()
        ended = time.perf_counter()
        found.append(((last - begun) / (len(slices) - 1), ended - last, ended - begun))
        backend = _without_cache(backend)
    best = np.min(found[1:], axis=0)
    return {"slice": best[0], "last": best[1], "whole": best[2]}


def authors_figures(
    checkout: Path, weights: Path, shape: tuple[int, int, int], runs: int
) -> dict[str, float]:
    """Seconds of the authors' network for the whole stack."""
    from stackmff_official import load_network, stackmff_method

    method = stackmff_method(load_network(checkout, weights))
    stack = FocalStack(slices_of(shape))
    found = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        method(stack)
        found.append(time.perf_counter() - begun)
    return {"whole": min(found[1:])}


def _without_cache(backend: Any) -> Any:
    """A network does not look at a slice twice; here it is to."""
    runner = getattr(backend, "_runner", None)
    if runner is not None:
        runner.seen.clear()
    return backend


def measured(arguments: argparse.Namespace) -> None:
    """Write the figures of one case, as JSON."""
    torch.set_num_threads(_THREADS)
    shape = tuple(arguments.shape)
    if arguments.case == "authors":
        figures = authors_figures(arguments.authors, arguments.weights, shape, arguments.runs)
    else:
        figures = backend_figures(arguments.case, shape, arguments.runs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILOBYTE / _MEGABYTE
    print(json.dumps({**figures, "peak": peak}))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--authors", type=Path, metavar="DIR", help="checkout of their code")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="their checkpoint")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--shape", type=int, nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.case:
        measured(arguments)
        return
    cases = ["stackmff_v2", "graph_cut"]
    if arguments.authors and arguments.weights:
        cases.append("authors")
    table = Table(
        "stack", "network", "per slice", "from the last slice on", "whole stack", "memory",
        title=f"StackMFF-V2 on {_THREADS} threads", box=box.SIMPLE_HEAD,
    )  # fmt: skip
    for shape in _SHAPES:
        for case in cases:
            command = [sys.executable, *sys.argv, "--case", case, "--shape", *map(str, shape)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            figures = json.loads(done.stdout.splitlines()[-1])
            times = [
                f"{1e3 * figures[key]:.0f} ms" if key in figures else ""
                for key in ("slice", "last", "whole")
            ]
            label = f"{shape[0]} x {shape[2]}x{shape[1]}"
            table.add_row(label, case, *times, f"{figures['peak']:.0f} MB")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
