"""Time and memory of StackMFF-V2: ours through the backend, the authors' code beside it.

Run ``python benchmarks/stackmff_speed.py``. Every case runs in a process of its own, on two
threads, on slices of noise; times are the best of a few runs after the first, memory is the largest
resident memory of the process, libraries included. ``--authors DIR --weights FILE`` add the
official network (see stackmff_official.py), which is given its whole stack at once. Where there is
a GPU, 10 slices of 640x480 are measured on it, too: medians, through the backend, and of the
network alone with the whole stack on the device.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from network_sweeps import BackendSweeps, NetworkSweeps, Sweeps, milliseconds_of, noise_slices
from rich import box
from rich.console import Console
from rich.table import Table

from focdepth_ros.backends.base import SweepSpec
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.stackmff_v2.model import StackMffV2
from focdepth_ros.models.weights_index import choose_weights
from focdepth_ros.stack import FocalStack, Slice

_THREADS = 2
_SHAPES = ((32, 360, 640), (10, 480, 640))
_CUDA_SHAPE = (10, 480, 640)
_CUDA_RUNS = 50
_CUDA_TARGET = 5.0  # ms that were aimed at
_MEGABYTE = 2**20
_KILOBYTE = 2**10


def backend_figures(name: str, shape: tuple[int, int, int], runs: int) -> dict[str, float]:
    """Seconds per slice, after the last slice and in all, the all-in-focus image included."""
    backend = create_backend(name, device="cpu") if name != "graph_cut" else create_backend(name)
    slices = noise_slices(*shape)
    found = []
    for _ in range(runs + 1):
        # As new objects they are not known from the sweep before.
        fresh = [Slice(item.image, item.focus_distance) for item in slices]
        begun = time.perf_counter()
        accumulator = backend.start(SweepSpec(height=shape[1], width=shape[2]))
        for item in fresh[:-1]:
            accumulator.add(item)
        last = time.perf_counter()
        accumulator.add(fresh[-1])
        accumulator.finish()
        ended = time.perf_counter()
        found.append(((last - begun) / (len(slices) - 1), ended - last, ended - begun))
    best = np.min(found[1:], axis=0)
    return {"slice": best[0], "last": best[1], "whole": best[2]}


def authors_figures(
    checkout: Path, weights: Path, shape: tuple[int, int, int], runs: int
) -> dict[str, float]:
    """Seconds of the authors' network for the whole stack."""
    from stackmff_official import load_network, stackmff_method

    method = stackmff_method(load_network(checkout, weights))
    stack = FocalStack(noise_slices(*shape))
    found = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        method(stack)
        found.append(time.perf_counter() - begun)
    return {"whole": min(found[1:])}


def cuda_table() -> Table:
    """Milliseconds on a GPU."""
    table = Table(
        "network", "compiled", "per slice", "after the last slice", "whole stack",
        title=f"{torch.cuda.get_device_name()}, bf16; ms, {_CUDA_TARGET:g} aimed at",
        box=box.SIMPLE_HEAD,
    )  # fmt: skip
    slices = noise_slices(*_CUDA_SHAPE)
    weights = read_weights(choose_weights("", "stackmff_v2").path)
    for compilation in ("none", "cuda_graphs", "torch_compile"):
        how = {"device": "cuda", "precision": "bf16", "compilation": compilation}
        every: dict[str, Sweeps] = {
            "backend, with its image": BackendSweeps("stackmff_v2", slices, **how),
            "alone": NetworkSweeps(weights.network_as(StackMffV2), slices, **how),
        }
        for name, sweeps in every.items():
            found = milliseconds_of(sweeps, "cuda", _CUDA_RUNS)
            whole = found.get("whole", found["streamed"])
            cells = [f"{value:.2f}" for value in (found["frame"], found["finish"], whole)]
            table.add_row(name, compilation, *cells)
    return table


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
    parser.add_argument("--cuda-only", action="store_true", help="leave out the CPU")
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
    for shape in () if arguments.cuda_only else _SHAPES:
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
    console = Console(width=120)
    if not arguments.cuda_only:
        console.print(table)
    if torch.cuda.is_available():
        console.print(cuda_table())
    else:
        console.print("GPU: skipped, there is no CUDA device")


if __name__ == "__main__":
    main()
