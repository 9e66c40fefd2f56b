"""Fixtures of the tests of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from focdepth_ros.files.image_io import write_image
from focdepth_ros.simulation import SimulatedStack, render_random_sweep

SLICES = 4


@pytest.fixture(scope="session")
def small_sweep() -> SimulatedStack:
    return render_random_sweep(3, slices=SLICES, width=96, height=72)


@pytest.fixture
def pictures(small_sweep: SimulatedStack, tmp_path: Path) -> list[Path]:
    """The slices as files, near to far, without anything that tells distances."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"slice_{number}.png" for number in range(SLICES)]
    for path, item in zip(paths, small_sweep.stack.slices, strict=True):
        write_image(path, item.image)
    return paths
