"""Sweeps of noise through a network, alone or as a backend, to see how long its parts take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from focdepth_ros.backends.base import SweepSpec
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.models.cuda_graphs import CapturedFunction, record_cuda_graph
from focdepth_ros.models.inference import SweepRunner
from focdepth_ros.models.sweeps import SweepNetwork
from focdepth_ros.stack import Slice

_NEAREST, _FARTHEST = 3.0, 0.2  # 1/m
_WARM_UPS = 2


class Sweeps(Protocol):
    """What can be timed."""

    slices: list[Slice]
    #: Answers a whole stack in one call; None where that cannot be asked for.
    at_once: Callable[[], None] | None

    def begin(self) -> None: ...

    def add(self, item: Slice) -> None: ...

    def finish(self) -> None: ...


def noise_slices(count: int, height: int, width: int) -> list[Slice]:
    """Near to far: what they show makes no difference."""
    images = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    dioptres = np.linspace(_NEAREST, _FARTHEST, count)
    return [
        Slice(image, float(1 / dioptre)) for image, dioptre in zip(images, dioptres, strict=True)
    ]


class BackendSweeps:
    """Sweeps through a backend, the all-in-focus image included, from NumPy to NumPy."""

    at_once = None

    def __init__(self, name: str, slices: list[Slice], *, compilation: str, **options: Any) -> None:
        self._backend = create_backend(name, compile=compilation, **options)
        height, width = slices[0].size
        self._spec = SweepSpec(height=height, width=width)
        self._slices = slices
        self.begin()

    def begin(self) -> None:
        self._accumulator = self._backend.start(self._spec)
        # As new objects they are not known from the sweep before.
        self.slices = [Slice(item.image, item.focus_distance) for item in self._slices]

    def add(self, item: Slice) -> None:
        self._accumulator.add(item)

    def finish(self) -> None:
        self._accumulator.finish()


class NetworkSweeps:
    """Sweeps through a network alone, without all-in-focus image."""

    def __init__(
        self,
        network: SweepNetwork,
        slices: list[Slice],
        *,
        device: str,
        precision: str,
        compilation: str,
    ) -> None:
        self._runner = SweepRunner(network, device, precision, compilation)
        self._device, self._is_mixed = device, precision == "bf16"
        self.slices = slices
        images = torch.from_numpy(np.stack([item.image for item in slices]))
        self._images = images.to(device).permute(0, 3, 1, 2)[None]
        self._dioptres = torch.tensor([[item.dioptre for item in slices]], device=device)
        if compilation == "torch_compile":
            for part in ("encode", "step", "decode"):
                setattr(network, part, torch.compile(getattr(network, part), dynamic=False))
        self.at_once = self._answer_at_once
        self._forward: Callable[..., Any] = network
        if compilation != "none" and device == "cuda":
            self._forward = CapturedFunction(network.forward, record_cuda_graph)
        self.begin()

    def begin(self) -> None:
        self._state: Any = None

    def add(self, item: Slice) -> None:
        self._state = self._runner.step(self._state, self._runner.encode(item, item.dioptre))

    def finish(self) -> None:
        order = list(range(len(self.slices)))
        self._runner.decode(self._state, order, sharpest=False)

    def _answer_at_once(self) -> None:
        """From images that are on the device."""
        with (
            torch.inference_mode(),
            torch.autocast(self._device, torch.bfloat16, self._is_mixed, cache_enabled=False),
        ):
            self._forward(self._images, self._dioptres)


def milliseconds_of(sweeps: Sweeps, device: str, runs: int) -> dict[str, float]:
    """Medians per frame, after the last one, for it and what follows, for all; of a stack at once.

    ``whole`` is left out where there is no such thing.
    """
    rows: list[dict[str, float]] = []
    for _ in range(_WARM_UPS + runs):
        sweeps.begin()
        frames = [seconds_of(lambda item=item: sweeps.add(item), device) for item in sweeps.slices]
        finish = seconds_of(sweeps.finish, device)
        row = {
            "frame": statistics.median(frames),
            "finish": finish,
            "latency": frames[-1] + finish,
            "streamed": sum(frames) + finish,
        }
        if sweeps.at_once is not None:
            row["whole"] = seconds_of(sweeps.at_once, device)
        rows.append(row)
    kept = rows[_WARM_UPS:]
    return {key: 1e3 * statistics.median(row[key] for row in kept) for key in kept[0]}


def seconds_of(work: Callable[[], Any], device: str) -> float:
    """How long something takes, to the end of what it gave the GPU to do."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
