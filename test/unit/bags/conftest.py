"""Fixtures of the tests of bags, which are left out without rosbags."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rosbags")

from bag_copies import HEIGHT, SLICES, WIDTH, recorded

from focdepth_ros.simulation import SimulatedStack, render_random_sweep


@pytest.fixture(scope="session")
def simulated() -> SimulatedStack:
    """A small scene with depth and calibration."""
    return render_random_sweep(7, slices=SLICES, width=WIDTH, height=HEIGHT)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, simulated: SimulatedStack) -> Path:
    """Two sweeps with truth; not to change."""
    return recorded(tmp_path_factory.mktemp("bags") / "whole", simulated)
