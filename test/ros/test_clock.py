"""``use_sim_time``: without a clock, and with one that jumps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from depth_rig import depth_rig
from rclpy.qos import QoSProfile
from ros_harness import Peer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from small_sweep import small_sweep

from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.ros.conversions import time_message
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue

NO_TIME = "use_sim_time is true, but no time comes on /clock"
CAMERA = "focdepth_ros.ros.sim_camera_node"


class SimulatedTime:
    """Publishes ``/clock``."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._publisher = peer.node.create_publisher(Clock, "/clock", QoSProfile(depth=10))
        self.seconds = 1000.0

    def run(self, seconds: float) -> None:
        """Let time pass, in steps of 20 ms, as fast as real time."""
        for _ in range(round(seconds / 0.02)):
            self.seconds += 0.02
            self._publisher.publish(Clock(clock=time_message(round(1e9 * self.seconds))))
            self._peer.spin(0.02)


@pytest.fixture
def peer(domain: int) -> Iterator[Peer]:
    """One of its own for each test: what published a clock must be gone in the next."""
    peer = Peer()
    yield peer
    peer.close()


def test_depth_node_without_a_clock(peer: Peer, tmp_path: Path) -> None:
    with depth_rig(peer, tmp_path, {"use_sim_time": True}) as rig:
        for _ in range(2):
            rig.assert_good_sweep()
        peer.wait_for(lambda: NO_TIME in rig.diagnostics.message, "the lack of time to be named")
        rig.assert_unharmed()


@pytest.mark.faults
def test_depth_node_with_a_clock_that_jumps(peer: Peer, tmp_path: Path) -> None:
    """All waiting is done in real time: neither sweeps nor reports stand still."""
    with depth_rig(peer, tmp_path, {"use_sim_time": True}) as rig:
        clock = SimulatedTime(peer)
        for seconds in (1000.0, 50_000.0, 10.0, 0.0, 2_000_000_000.0):
            clock.seconds = seconds
            clock.run(0.3)
            rig.driver.set_clock(clock.seconds)
            rig.assert_good_sweep()
            rig.diagnostics.clear()
            peer.wait_for(lambda: rig.diagnostics.status, "a report after the jump")
        # A sweep that breaks off is ended by the timeout, also while the clock stands.
        before = rig.diagnostics.count("too few slices")
        rig.driver.send_sweep(small_sweep().stack, small_sweep().stack.slices[:2])
        peer.wait_for(
            lambda: rig.diagnostics.count("too few slices") > before, "the sweep to be ended"
        )
        rig.assert_good_sweep()
        rig.assert_unharmed()


def test_camera_without_a_clock_says_what_it_waits_for(peer: Peer, tmp_path: Path) -> None:
    parameters: dict[str, ParameterValue] = {
        "use_sim_time": True,
        "width": 64,
        "height": 48,
        "slices": 3,
    }
    images = peer.collect(Image, "image_raw")
    with NodeProcess(CAMERA, parameters, tmp_path / "log") as process:
        peer.wait_for(lambda: NO_TIME in process.log.read_text(encoding="utf-8"), "the reason")
        assert images == []
        assert process.exit_code is None


@pytest.mark.faults
def test_camera_with_a_clock_that_jumps(peer: Peer, tmp_path: Path) -> None:
    parameters: dict[str, ParameterValue] = {
        "use_sim_time": True,
        "width": 64,
        "height": 48,
        "slices": 3,
        "qos_overrides./image_raw.publisher.reliability": "reliable",
    }
    images = peer.collect(Image, "image_raw")
    with NodeProcess(CAMERA, parameters, tmp_path / "log") as process:
        clock = SimulatedTime(peer)
        peer.wait_for(lambda: clock.run(0.1) or images, "the first image")
        for seconds in (5000.0, 20.0, 100_000.0):
            clock.seconds = seconds
            images.clear()
            clock.run(1.0)
            stamps = [stamp_of(image.header) / 1e9 for image in images]
            assert len([stamp for stamp in stamps if seconds <= stamp <= seconds + 1.1]) > 10
        assert process.exit_code is None
        assert "Traceback" not in process.log.read_text(encoding="utf-8")
