"""How fast the frames of bags are read and put together to sweeps: 1000 of 640x480.

python benchmarks/bag_reading.py [--storage mcap] [--compression message] [--images jpeg]

Without options all kinds of bags, as a Markdown table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from focdepth_ros.bags.sweeps import find_sweeps
from focdepth_ros.bags.writing import record_camera
from focdepth_ros.simulation import SimulatedCamera
from focdepth_ros.stack import FocalStack, Slice

SWEEPS, SLICES = 100, 10
KINDS = [
    ("sqlite3", "none", "raw"),
    ("sqlite3", "message", "raw"),
    ("sqlite3", "file", "raw"),
    ("sqlite3", "none", "jpeg"),
    ("mcap", "none", "raw"),
    ("mcap", "chunk", "raw"),
    ("mcap", "message", "raw"),
    ("mcap", "file", "raw"),
    ("mcap", "none", "jpeg"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", choices=("sqlite3", "mcap"))
    parser.add_argument("--compression", choices=("none", "message", "file", "chunk"))
    parser.add_argument("--images", choices=("raw", "jpeg", "png"))
    arguments = parser.parse_args()
    kinds = KINDS
    if arguments.storage or arguments.compression or arguments.images:
        kinds = [
            (
                arguments.storage or "sqlite3",
                arguments.compression or "none",
                arguments.images or "raw",
            )
        ]
    stack = smooth_stack()
    print("| storage | compressed | images | MB | sweeps found, frames/s | loaded, frames/s |")
    print("|---|---|---|---|---|---|")
    for storage, compression, images in kinds:
        with tempfile.TemporaryDirectory() as folder:
            row = measured(Path(folder) / "bag", stack, storage, compression, images)
        print(f"| {storage} | {compression} | {images} | {row} |", flush=True)


def smooth_stack() -> FocalStack:
    """Patterns with the noise of a sensor: they compress as pictures do."""
    rng = np.random.default_rng(0)
    pattern = cv2.GaussianBlur(rng.normal(0.0, 1.0, (480, 640, 3)), (0, 0), 4.0)
    pattern = 128.0 + 50.0 * pattern / pattern.std()
    slices = []
    for number in range(SLICES):
        noisy = cv2.GaussianBlur(pattern, (0, 0), 1.0 + number) + rng.normal(0, 1.5, pattern.shape)
        slices.append(Slice(noisy.clip(0, 255).astype(np.uint8), 0.4 + 0.2 * number))
    return FocalStack(slices)


def measured(path: Path, stack: FocalStack, storage: str, compression: str, images: str) -> str:
    """Size and speeds as cells of a table."""
    count = record_camera(
        path,
        SimulatedCamera(stack),
        sweeps=SWEEPS,
        storage=storage,  # type: ignore[arg-type]
        compression=compression,  # type: ignore[arg-type]
        images=images,  # type: ignore[arg-type]
    )
    size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
    started = time.perf_counter()
    contents = find_sweeps(path)
    found = time.perf_counter() - started
    started = time.perf_counter()
    for sweep in contents.sweeps:
        contents.load(sweep)
    loaded = time.perf_counter() - started
    assert len(contents.sweeps) == SWEEPS
    return f"{size:.0f} | {count / found:.0f} | {count / loaded:.0f}"


if __name__ == "__main__":
    main()
