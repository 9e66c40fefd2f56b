"""Speed and memory of FocDepthFormer: per frame, after the last frame, whole sweeps, training.

Run ``python benchmarks/focdepthformer_speed.py``. The shipped weights are measured through the
backend, its all-in-focus image included; presets, with weights drawn at random, as networks alone.
What needs CUDA is skipped by name where there is no such device. Every case runs in a process of
its own, and times are medians of some runs after the first ones. Memory is what torch took of the
GPU at most, or the largest resident memory of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import torch
from network_sweeps import (
    BackendSweeps,
    NetworkSweeps,
    Sweeps,
    milliseconds_of,
    noise_slices,
    seconds_of,
)
from rich.console import Console
from rich.progress import track
from rich.table import Table

from focdepth_ros.errors import WeightsError
from focdepth_ros.models.focdepthformer.config import PRESETS, preset
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.models.weights_index import choose_weights

_THREADS = 2
_WARM_UPS = 2
_CUDA_SWEEP = (10, 384, 384)
_CPU_SWEEP = (10, 640, 480)
_BATCHES = (1, 2, 4, 8, 16, 32)
_TRAINING_SHAPE = (8, 224, 224)  # slices, height, width
_TRAINING_STEPS = 10
_MEGABYTE = 2**20

#: Times in milliseconds that were aimed at, by network, device, and column of the table. On a CPU
#: whoever waits for the answer waits for the encoding of the last frame, too.
_TARGETS = {
    ("small", "cuda"): {"whole": 6.0, "finish": 1.5},
    ("base", "cuda"): {"whole": 12.0},
    ("shipped", "cpu"): {"latency": 700.0},
}


@dataclass(frozen=True)
class Case:
    """What is measured in one process.

    Parameters
    ----------
    network : str
        A preset; or ``shipped`` for the weights of the package, through the backend.
    device, precision, compilation : str
        As the backend calls them.
    slices, width, height : int
    runs : int
    batch : int
        Stacks of a training step; 0: no training.
    weights : str
        Other weights instead of those shipped.
    """

    network: str
    device: str
    precision: str
    compilation: str
    slices: int
    width: int
    height: int
    runs: int
    batch: int = 0
    weights: str = ""

    @property
    def where(self) -> str:
        """Device, precision and how it is compiled."""
        how = "" if self.compilation == "none" else f", {self.compilation.replace('_', ' ')}"
        return f"{self.device}, {self.precision}{how}"


def run_sweeps(case: Case) -> dict[str, float]:
    """Milliseconds per frame, after the last one, for it and what follows, and for a stack."""
    slices = noise_slices(case.slices, case.height, case.width)
    how = {
        "device": case.device, "precision": case.precision, "compilation": case.compilation
    }  # fmt: skip
    if case.network == "shipped":
        sweeps: Sweeps = BackendSweeps("focdepthformer", slices, weights=case.weights, **how)
    else:
        torch.manual_seed(0)
        sweeps = NetworkSweeps(FocDepthFormer(preset(case.network)), slices, **how)
    found = milliseconds_of(sweeps, case.device, case.runs)
    return found if "whole" in found else {**found, "whole": found["streamed"]}


def run_training(case: Case) -> dict[str, float]:
    """Stacks per second of training steps on batches that are on the GPU."""
    from focdepth_ros.training.batch_stream import NoiseSource
    from focdepth_ros.training.config import LossSettings, OptimiserSettings, RunSettings
    from focdepth_ros.training.engine import Objective, create_fabric
    from focdepth_ros.training.optimisation import create_optimiser

    torch.manual_seed(0)
    fabric = create_fabric(RunSettings(accelerator="cuda", precision="bf16"))
    network = FocDepthFormer(preset(case.network))
    objective, optimiser = fabric.setup(
        Objective(network, LossSettings()), create_optimiser(network, OptimiserSettings())
    )
    source = NoiseSource((case.batch, case.slices, case.height, case.width))
    batch = source.batch(torch.Generator().manual_seed(0), case.slices).to("cuda")

    def step() -> None:
        losses = objective(batch.images, batch.dioptres, batch.inverse_depth, None)
        fabric.backward(losses["total"])
        optimiser.step()
        optimiser.zero_grad()

    seconds = [seconds_of(step, "cuda") for _ in range(_WARM_UPS + _TRAINING_STEPS)][_WARM_UPS:]
    return {"stacks_per_s": case.batch / statistics.median(seconds)}


def run_case(case: Case) -> dict[str, float]:
    """Measure a case in this process; without figures if the GPU has too little memory."""
    torch.set_num_threads(_THREADS)
    cv2.setNumThreads(_THREADS)
    try:
        found = run_training(case) if case.batch else run_sweeps(case)
    except torch.cuda.OutOfMemoryError:
        return {}
    if case.device == "cuda":
        found["memory"] = torch.cuda.max_memory_reserved() / _MEGABYTE
    else:
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MEGABYTE
    return found


def measured(case: Case) -> dict[str, float]:
    """Measure a case in a new process."""
    command = [sys.executable, __file__, "--case", json.dumps(asdict(case))]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(answer.splitlines()[-1])
    return result


def sweep_cases(arguments: argparse.Namespace, console: Console) -> list[Case]:
    """The sweeps that this machine can run."""
    networks = list(arguments.networks)
    if "shipped" in networks:
        try:
            choose_weights(arguments.weights, "focdepthformer")
        except WeightsError as error:
            console.print(f"shipped: skipped, {error}")
            networks.remove("shipped")
    cases = []
    for network in networks:
        weights = arguments.weights if network == "shipped" else ""
        if network in (*arguments.cpu_networks, "shipped"):
            slices, width, height = _CPU_SWEEP
            cases.append(
                Case(
                    network, "cpu", "fp32", "none", slices, width, height, arguments.cpu_runs,
                    weights=weights,
                )
            )  # fmt: skip
        slices, width, height = _CUDA_SWEEP
        for compilation in arguments.compilations:
            case = Case(
                network, "cuda", "bf16", compilation, slices, width, height, arguments.runs,
                weights=weights,
            )  # fmt: skip
            if torch.cuda.is_available():
                cases.append(case)
            else:
                console.print(f"{network}, {case.where}: skipped, there is no CUDA device")
    return cases


def sweep_table(cases: list[Case]) -> Table:
    """Measure sweeps."""
    columns = {
        "frame": "per frame", "finish": "finish alone", "latency": "last frame to answer",
        "streamed": "all, streamed", "whole": "stack at once",
    }  # fmt: skip
    table = Table(
        "network", "on", "sweep", *(f"{name} [ms]" for name in columns.values()), "memory [MB]",
        "targets [ms]", title="focus sweeps",
    )  # fmt: skip
    for case in track(cases, description="sweeps"):
        found = measured(case)
        targets = _TARGETS.get((case.network, case.device), {})
        told = [
            f"{columns[key]} {limit:g}: {'met' if found.get(key, np.inf) <= limit else 'missed'}"
            for key, limit in targets.items()
        ]
        cells = [f"{found[key]:.2f}" if found else "out of memory" for key in columns]
        memory = f"{found['memory']:.0f}" if found else ""
        sweep = f"{case.slices} x {case.width}x{case.height}"
        table.add_row(case.network, case.where, sweep, *cells, memory, "\n".join(told))
    return table


def training_table(presets: list[str], batches: list[int]) -> Table:
    """Measure training steps."""
    slices, height, width = _TRAINING_SHAPE
    table = Table(
        "network", "batch", "stacks per s", "memory [MB]",
        title=f"training, bf16, {slices} slices of {width}x{height}",
    )  # fmt: skip
    cases = [
        Case(name, "cuda", "bf16", "none", slices, width, height, _TRAINING_STEPS, batch)
        for name in presets
        for batch in batches
    ]
    for case in track(cases, description="training"):
        found = measured(case)
        speed = f"{found['stacks_per_s']:.1f}" if found else "out of memory"
        memory = f"{found['memory']:.0f}" if found else ""
        table.add_row(case.network, str(case.batch), speed, memory)
    return table


def _listed(text: str) -> list[str]:
    return [item for item in text.split(",") if item]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = ",".join(["shipped", *PRESETS])
    parser.add_argument("--networks", type=_listed, default=every, metavar="NAME,...")
    parser.add_argument("--cpu-networks", type=_listed, default="tiny", metavar="NAME,...")
    parser.add_argument("--weights", default="", help="instead of the shipped ones")
    how = "none,cuda_graphs,torch_compile"
    parser.add_argument("--compilations", type=_listed, default=how, metavar="NAME,...")
    parser.add_argument("--runs", type=int, default=50, help="on a GPU")
    parser.add_argument("--cpu-runs", type=int, default=5)
    parser.add_argument("--training", type=_listed, default="tiny,small,base", metavar="NAME,...")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(run_case(Case(**json.loads(arguments.case)))))
        return

    console = Console(width=180)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    console.print(f"torch {torch.__version__}, {device}; on the CPU {_THREADS} threads")
    cases = sweep_cases(arguments, console)
    if cases:
        console.print(sweep_table(cases))
    if not torch.cuda.is_available():
        console.print("training: skipped, there is no CUDA device")
    elif arguments.training:
        console.print(training_table(arguments.training, list(_BATCHES)))


if __name__ == "__main__":
    main()
