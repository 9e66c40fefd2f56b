"""What is saved where the all-in-focus image is all that is wanted (``aif_only`` of depth_node).

``python benchmarks/aif_only.py [--size 1920x1080] [--align none] [BACKEND ...]``: sweeps with and
without depth in turns, in one process, so that what else the machine does weighs on both alike;
``--processor`` counts only what this process is worked on. The images are compared, too. Times are
medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from focdepth_ros.backends.base import spec_of
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.simulation import render_random_sweep
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import FocalStack, ImageArray, Slice


def swept(
    pipeline: DepthPipeline, stack: FocalStack, now: Callable[[], float], *, depth: bool
) -> tuple[float, float]:
    """Milliseconds, by the clock `now`, per frame and after the last one."""
    run = pipeline.start(spec_of(stack, depth=depth))
    # Slices that no sweep has seen: what was measured of them would be known.
    slices = [Slice(item.image, item.focus_distance) for item in stack.slices]
    started = now()
    for item in slices:
        run.add(item)
    added = now()
    run.finish()
    finished = now()
    return 1e3 * (added - started) / len(stack), 1e3 * (finished - added)


def picture(pipeline: DepthPipeline, stack: FocalStack, *, depth: bool) -> ImageArray:
    """The all-in-focus image."""
    found = pipeline.estimate(stack, depth=depth).all_in_focus
    assert found is not None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", default=["graph_cut", "argmax"])
    parser.add_argument("--size", default="640x480", help="of the images")
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--align", default="auto", help="method of alignment")
    parser.add_argument("--processor", action="store_true", help="processor time")
    arguments = parser.parse_args()
    now = time.process_time if arguments.processor else time.perf_counter
    cv2.setNumThreads(2)
    width, height = map(int, arguments.size.split("x"))
    stack = render_random_sweep(
        FIRST_HELD_OUT_SEED, slices=arguments.slices, width=width, height=height
    ).stack

    table = Table(title=f"{arguments.slices} x {arguments.size}, alignment {arguments.align}")
    for heading in (
        "backend",
        "frame [ms]",
        "alone",
        "ratio",
        "last [ms]",
        "alone",
        "ratio",
        "image",
    ):
        table.add_column(heading, justify="right")
    for name in arguments.backends:
        pipeline = DepthPipeline(create_backend(name), alignment=AlignmentConfig(arguments.align))
        usual, alone = (picture(pipeline, stack, depth=depth) for depth in (True, False))
        times: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for _ in range(arguments.rounds):
            for depth, measured in times.items():
                measured.append(swept(pipeline, stack, now, depth=depth))
        cells = []
        for of_frame in (0, 1):
            whole, image = (
                statistics.median(spent[of_frame] for spent in times[depth])
                for depth in (True, False)
            )
            cells += [f"{whole:.1f}", f"{image:.1f}", f"{image / whole:.2f}"]
        same = "the same" if np.array_equal(usual, alone) else f"{cv2.PSNR(usual, alone):.1f} dB"
        table.add_row(name, *cells, same)
    Console().print(table)


if __name__ == "__main__":
    main()
