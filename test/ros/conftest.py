"""Fixtures of the tests with ROS, which are left out where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("focdepth_ros.msg")

from ros_harness import Peer, own_domain


@pytest.fixture(scope="session", autouse=True)
def domain() -> Iterator[int]:
    """Number of the ROS domain of these tests."""
    with own_domain() as number:
        yield number


@pytest.fixture(scope="module")
def peer(domain: int) -> Iterator[Peer]:
    """The test's own node."""
    peer = Peer()
    yield peer
    peer.close()
