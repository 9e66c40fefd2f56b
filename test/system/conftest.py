"""Fixtures of the system tests, which are left out where there is no ROS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("focdepth_ros.msg")

from live_run import SEED, SIZE
from ros_harness import own_domain

from focdepth_ros.simulation import SimulatedStack, render_random_sweep


@pytest.fixture(scope="session", autouse=True)
def domain() -> Iterator[int]:
    """Number of the ROS domain of these tests."""
    with own_domain() as number:
        yield number


@pytest.fixture(scope="session")
def simulated() -> SimulatedStack:
    """What sim_camera_node renders of the seed, with the truth."""
    return render_random_sweep(SEED, **SIZE)
