"""Seconds of the first epoch of depth from defocus, per stage, beside a slower way to do it.

Run ``python benchmarks/defocus_speed.py``; with ``--authors DIR`` beside the Python code of the
paper's authors, whose checkout (https://github.com/hollyjackson/dfd) DIR is; it needs scipy, tqdm,
matplotlib and scikit-image. Otherwise beside the straightforward formulation, in which every pixel
has a kernel of its own: a few rows of each of its parts are timed, and what all rows would take,
as often as it is done, is told.

All get the same stack, made by this project's forward model with the lens that the paper uses for
NYU Depth v2, and the same first image. The authors' kernels are as wide as their own heuristic
says, which is narrower than the widest blur: their error tells that, too. On a machine that is busy
with other things, compare the seconds of processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from defocus_stacks import CONFIG, FOCUS_DISTANCES, LENS, DefocusStack, defocused, forward_model
from torch import Tensor
from torch.nn import functional

from focdepth_ros.defocus import solver
from focdepth_ros.defocus.forward_model import DefocusModel
from focdepth_ros.defocus.initialisation import start_from_slices
from focdepth_ros.simulation.random_sweeps import render_random_sweep

_SEED = 1000
_DEPTHS, _ITERATIONS = CONFIG.depths, CONFIG.iterations
_GOLDEN_STEPS = 17  # evaluations of the error: 14 iterations, their start and the comparison
_ROWS = 4  # of the image that are timed

Array = np.ndarray[Any, np.dtype[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--authors", type=Path, metavar="DIR", help="checkout of the authors' code")
    parser.add_argument("--sizes", nargs="+", default=["320x240", "640x480"], metavar="WxH")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--alone", action="store_true", help="leave out the slower way")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for size in arguments.sizes:
        width, height = map(int, size.split("x"))
        scene = render_random_sweep(_SEED, slices=2, near=1.0, far=6.0, width=width, height=height)
        stack = defocused(scene.all_in_focus, scene.depth)
        start = time.perf_counter()
        image, _ = start_from_slices(stack.as_slices())
        print(f"\n{size}, 5 slices, {_DEPTHS} depths, {arguments.threads} threads")
        print(f"  first image {time.perf_counter() - start:.2f} s")
        ours = this_project(stack, image, arguments.device)
        if arguments.alone:
            continue
        if arguments.authors:
            other = authors(stack, image, arguments.authors)
        else:
            other = per_pixel(stack, iterations=ours.iterations)
        print(f"  ratio of the first epochs: {other / ours.seconds:.1f}")


def this_project(stack: DefocusStack, image: Array, device: str) -> solver.EpochLoss:
    """Print what the stages of two epochs take; the first one is given back."""
    stages: dict[str, float] = {}
    is_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    for name in ("grid_search", "golden_section", "fista"):
        _time(solver, name, stages, is_cuda)
    config = replace(CONFIG, epochs=2, device=device)

    processor = time.process_time()

    def told(state: solver.EpochState) -> None:
        nonlocal processor
        used, processor = time.process_time() - processor, time.process_time()
        loss = state.loss
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.items())
        print(
            f"  this project, epoch {loss.epoch}: {loss.seconds:.2f} s, {used:.2f} s of processor "
            f"time ({parts}, the rest "
            f"{loss.seconds - sum(stages.values()):.2f}; {loss.iterations} image iterations), "
            f"error {loss.after_depth:.3e} after depth, {loss.after_image:.3e} after image",
            flush=True,
        )
        stages.update(dict.fromkeys(stages, 0.0))

    try:
        solution = solver.solve(
            stack.slices, LENS, FOCUS_DISTANCES, config, start_image=image, on_epoch=told
        )
    finally:
        for name in stages:
            setattr(solver, name, getattr(solver, name).__wrapped__)
    return solution.losses[0]


def _time(module: types.ModuleType, name: str, stages: dict[str, float], is_cuda: bool) -> None:
    """Have the calls of a function of a module timed."""
    function: Callable[..., Any] = getattr(module, name)
    stages[name] = 0.0

    def timed(*positional: Any, **named: Any) -> Any:
        if is_cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        result = function(*positional, **named)
        if is_cuda:
            torch.cuda.synchronize()
        stages[name] += time.perf_counter() - start
        return result

    timed.__wrapped__ = function  # type: ignore[attr-defined]
    setattr(module, name, timed)


def authors(stack: DefocusStack, image: Array, checkout: Path) -> float:
    """Print what the authors' first epoch takes, and give its seconds back."""
    sys.path.insert(0, str(checkout / "src"))
    # Of the graph cut for a first image, which is given here.
    sys.modules.setdefault("gco", types.ModuleType("gco"))
    import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]

    mpl.use("Agg")
    import alternating_minimization  # type: ignore[import-not-found]
    import forward_model  # type: ignore[import-not-found]
    import utils  # type: ignore[import-not-found]
    from dataset_params import DatasetParams  # type: ignore[import-not-found]

    parameters = DatasetParams.for_NYUv2()
    codes = 255.0 * stack.slices
    kernel = utils.kernel_size_heuristic(*codes.shape[1:3])
    start, processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        depth, sharp, *_ = alternating_minimization.alternating_minimization(
            codes,
            parameters,
            kernel,
            num_epochs=1,
            aif_init=255.0 * image,
            num_Z=_DEPTHS,
            T_0=_ITERATIONS,
            save_losses=False,
            verbose=False,
        )
        seconds, used = time.perf_counter() - start, time.process_time() - processor
        made = forward_model.forward(depth, sharp, parameters, kernel)
    loss = float(np.mean((np.asarray(made) - codes) ** 2)) / 255.0**2
    print(
        f"  the authors' code, epoch 1: {seconds:.2f} s, {used:.2f} s of processor time, "
        f"error {loss:.3e} "
        f"({kernel} px kernels, {_ITERATIONS} image iterations)",
        flush=True,
    )
    return seconds


def per_pixel(stack: DefocusStack, *, iterations: int) -> float:
    """Print what an epoch takes in which every pixel has its own kernel, and give it back."""
    model = forward_model()
    image, dioptre = torch.from_numpy(stack.image), torch.from_numpy(stack.dioptre)
    # As far as two sigma of what is in the picture.
    radius = int(2.0 * float(model.variance(dioptre).max()) ** 0.5) + 1
    share = len(image) / _ROWS
    with torch.inference_mode():
        grid = _seconds(lambda: _one_depth(model, image, 1.0 / 2.0, radius))
        forward = share * _seconds(lambda: _own_kernels(model, image, dioptre, radius))
        adjoint = share * _seconds(
            lambda: _own_kernels(model, image, dioptre, radius, adjoint=True)
        )
    total = _DEPTHS * grid + _GOLDEN_STEPS * forward + iterations * (forward + adjoint)
    print(
        f"  a kernel of {2 * radius + 1} px for every pixel, epoch 1: {total:.0f} s (one depth of "
        f"the grid {grid:.2f}, one blur {forward:.2f}, its adjoint {adjoint:.2f}; "
        f"{_DEPTHS} depths, {_GOLDEN_STEPS} steps of the golden section, {iterations} image "
        "iterations)",
        flush=True,
    )
    return total


def _one_depth(model: DefocusModel, image: Tensor, dioptre: float, radius: int) -> None:
    """The stack that a scene at one depth gives."""
    planes = image.permute(2, 0, 1)[:, None]
    for variance in model.variance(torch.tensor(dioptre)).tolist():
        kernel = _kernels(torch.tensor([variance]), radius).view(1, 1, *(2 * radius + 1,) * 2)
        functional.conv2d(planes, kernel, padding=radius)


def _own_kernels(
    model: DefocusModel, image: Tensor, dioptre: Tensor, radius: int, *, adjoint: bool = False
) -> None:
    """Blur some rows with the kernel of every pixel, or its adjoint.

    The kernels are made anew every time: those of the whole image are gigabytes.
    """
    channels, side = image.shape[2], 2 * radius + 1
    top = (len(image) - _ROWS) // 2
    rows = image[top : top + _ROWS]
    planes = functional.pad(image.permute(2, 0, 1), (radius,) * 4)
    planes = planes[:, top : top + _ROWS + 2 * radius]
    patches = functional.unfold(planes[None], side).view(channels, side * side, -1)
    for variance in model.variance(dioptre[top : top + _ROWS]).view(-1, len(model)).unbind(1):
        kernels = _kernels(variance, radius)  # (P, side²)
        if adjoint:
            spread = kernels.T * rows.reshape(-1, channels).T[:, None]
            spread = spread.reshape(1, channels * side * side, -1)
            functional.fold(spread, (planes.shape[1], planes.shape[2]), side)
        else:
            torch.einsum("csp,ps->pc", patches, kernels)


def _kernels(variance: Tensor, radius: int) -> Tensor:
    """Gaussians (P, side²) of variances (P,)."""
    line = torch.arange(-radius, radius + 1)
    square = (line[:, None] ** 2 + line**2).flatten()
    kernels = torch.exp(-square / (2.0 * variance[:, None]))
    return kernels / kernels.sum(1, keepdim=True)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
