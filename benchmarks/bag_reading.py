"""How fast the frames of a bag are read and put together to sweeps: 1000 of 640x480.

python benchmarks/bag_reading.py [--storage mcap] [--compression message]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from focdepth_ros.bags.sweeps import find_sweeps
from focdepth_ros.bags.writing import record_camera
from focdepth_ros.simulation import SimulatedCamera
from focdepth_ros.stack import FocalStack, Slice

SWEEPS, SLICES = 100, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", default="sqlite3", choices=("sqlite3", "mcap"))
    parser.add_argument("--compression", default="none", choices=("none", "message", "file"))
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    stack = FocalStack(
        [
            Slice(rng.integers(0, 256, (480, 640, 3), np.uint8), 0.4 + 0.2 * number)
            for number in range(SLICES)
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bag"
        count = record_camera(
            path,
            SimulatedCamera(stack),
            sweeps=SWEEPS,
            storage=arguments.storage,
            compression=arguments.compression,
        )
        started = time.perf_counter()
        contents = find_sweeps(path)
        found = time.perf_counter() - started
        started = time.perf_counter()
        for sweep in contents.sweeps:
            contents.load(sweep)
        loaded = time.perf_counter() - started
    assert len(contents.sweeps) == SWEEPS
    print(f"sweeps found: {count / found:.0f} frames/s, loaded: {count / loaded:.0f} frames/s")


if __name__ == "__main__":
    main()
