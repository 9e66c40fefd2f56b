"""Time and memory of classical depth from focus, alignment included.

Run ``python benchmarks/classical_speed.py --keyboard DIR`` with the folder of an unaligned stack
of at least 32 images (Mobile Depth's keyboard); without it a simulated sweep with focus breathing
takes its place. Every case runs in a process of its own, whose largest resident memory is told;
that includes the interpreter and the images. Times are medians of some runs after a first one.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from focdepth_ros.backends.base import SweepSpec
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.simulation import RenderOptions, render_random_sweep
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import ImageArray, Slice
from focdepth_ros.stack_folder.reading import StackFolder

_THREADS = 2
_RUNS = 5
_BREATHING = 0.0005  # growth of the image from slice to slice
_SCALING_SLICES = (5, 10, 20, 40)
_SCALING_MEGAPIXELS = (0.3, 1.0, 2.0, 4.0, 8.0)


def unaligned_sweep(folder: str) -> list[ImageArray]:
    """32 frames of 640x360 px that need alignment."""
    if folder:
        stack = StackFolder.open(Path(folder)).load(max_size=640)
        return [item.image for item in stack.slices]
    options = RenderOptions(breathing=1.0, shake_translation=1.0)
    stack = render_random_sweep(
        FIRST_HELD_OUT_SEED, slices=32, near=0.35, width=640, height=360, options=options
    ).stack
    return [item.image for item in stack.slices]


def still_sweep(count: int, width: int, height: int) -> Iterator[ImageArray]:
    """Frames whose focus travels over a textured plane from left to right, one at a time."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    levels = [cv2.GaussianBlur(texture, (0, 0), 0.8 + 0.7 * level) for level in range(6)]
    place = np.linspace(0.0, count - 1.0, width)
    for step in range(count):
        nearest = np.minimum(np.rint(np.abs(place - step)), len(levels) - 1).astype(int)
        image = np.empty_like(texture)
        for level, blurred in enumerate(levels):
            image[:, nearest == level] = blurred[:, nearest == level]
        yield image


def zoomed_sweep(count: int, width: int, height: int) -> Iterator[ImageArray]:
    """The frames of `still_sweep`, each a little larger than the one before."""
    for step, image in enumerate(still_sweep(count, width, height)):
        scale = 1.0 + _BREATHING * step
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.0, scale)
        moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        yield np.asarray(moved, dtype=np.uint8)


def run_sweep(
    images: Sequence[ImageArray] | Iterator[ImageArray], size: tuple[int, int]
) -> dict[str, float]:
    """Seconds of one sweep from image arrays to depth and all-in-focus image."""
    pipeline = DepthPipeline(create_backend("graph_cut"))
    run = pipeline.start(SweepSpec(height=size[0], width=size[1], metric=False))
    adding = 0.0
    for image in images:
        started = time.perf_counter()
        run.add(Slice(image, None))
        adding += time.perf_counter() - started
    started = time.perf_counter()
    answer = run.finish()
    finishing = time.perf_counter() - started
    assert answer.all_in_focus is not None
    return {"adding": adding, "finishing": finishing}


def run_case(case: str, folder: str) -> dict[str, float]:
    """Measure one case, ``keyboard`` or ``SLICESxWIDTHxHEIGHT[@once|@zoomed]``, in this process."""
    cv2.setNumThreads(_THREADS)
    if case == "keyboard":
        images = unaligned_sweep(folder)
        timings = [run_sweep(images, images[0].shape[:2]) for _ in range(1 + _RUNS)][1:]
    else:
        shape, _, kind = case.partition("@")
        count, width, height = map(int, shape.split("x"))
        if kind:  # too large to be kept: each frame is made when it is needed
            frames_of = zoomed_sweep if kind == "zoomed" else still_sweep
            timings = [run_sweep(frames_of(count, width, height), (height, width))]
        else:
            frames = list(still_sweep(count, width, height))
            timings = [run_sweep(frames, (height, width)) for _ in range(1 + _RUNS)][1:]
    result = {key: statistics.median(timing[key] for timing in timings) for key in timings[0]}
    result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return result


def measured(case: str, folder: str = "") -> dict[str, float]:
    """Measure one case in a new process."""
    command = [sys.executable, __file__, "--case", case, "--keyboard", folder]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(answer)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keyboard", default="", metavar="DIR", help="folder of the stack")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(run_case(arguments.case, arguments.keyboard)))
        return

    cases = {"keyboard": "32 x 640x360, unaligned", "10x640x480": "10 x 640x480, aligned"}
    for count in _SCALING_SLICES:
        cases[f"{count}x1280x960"] = f"{count} x 1280x960, aligned"
    for megapixels in _SCALING_MEGAPIXELS:
        height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
        width = height * 4 // 3
        cases[f"10x{width}x{height}"] = f"10 x {width}x{height}, aligned"
    cases["40x4080x3072@once"] = "40 x 4080x3072, aligned"
    cases["40x4080x3072@zoomed"] = "40 x 4080x3072, unaligned"
    table = Table(
        "sweep", "frames [s]", "after the last [s]", "in all [s]", "ns per slice and pixel",
        "peak memory [MB]", title=f"graph_cut, {_THREADS} threads of OpenCV",
    )  # fmt: skip
    for case, name in track(cases.items(), description="cases"):
        result = measured(case, arguments.keyboard)
        total = result["adding"] + result["finishing"]
        slices, _, size = name.partition(" x ")
        columns, _, rest = size.partition("x")
        values = int(slices) * int(columns) * int(rest.partition(",")[0])
        table.add_row(
            name, f"{result['adding']:.3f}", f"{result['finishing']:.3f}", f"{total:.3f}",
            f"{total / values * 1e9:.1f}", f"{result['memory']:.0f}",
        )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
