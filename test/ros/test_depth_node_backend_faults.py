"""A backend that fails and recovers, and one that stalls, while sweeps go on coming in."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, pixels
from small_sweep import small_sweep

from focdepth_ros.ros.node_process import NodeProcess, ParameterValue

STACK = small_sweep().stack
STALL = 4  # seconds


@dataclass
class Moody:
    """A depth node whose backend does what is written into a file."""

    process: NodeProcess
    mood: Path
    peer: Peer
    driver: CameraDriver
    diagnostics: Diagnostics
    results: DepthResults

    def answer(self) -> tuple[str, str]:
        """Send a sweep; the backend that answered, and why it was not the one asked for."""
        self.results.clear()
        self.driver.send_sweep(STACK)
        messages = self.results.wait_for_one()
        assert np.isfinite(pixels(messages["depth/image"])).all()
        info = messages["sweep_info"]
        return info.backend, info.fallback_reason


@contextmanager
def moody_node(peer: Peer, folder: Path, **parameters: ParameterValue) -> Iterator[Moody]:
    mood = folder / "mood"
    mood.write_text("well", encoding="utf-8")
    path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "MOOD": str(mood), "PYTHONPATH": path}
    every: dict[str, ParameterValue] = {
        "backend": "moody",
        "min_confidence": 0.0,
        "diagnostics_period": 0.1,
        **parameters,
    }
    with NodeProcess("failing_backend_node", every, folder / "log", environment) as process:
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        yield Moody(process, mood, peer, driver, diagnostics, results)
        assert process.exit_code is None
        assert "internal error" not in process.log.read_text(encoding="utf-8")


def test_a_device_that_comes_back_is_used_again(domain: int, peer: Peer, tmp_path: Path) -> None:
    with moody_node(peer, tmp_path, cooldown_s=2.0) as node:
        assert node.answer() == ("moody", "")
        for _ in range(2):
            node.mood.write_text("lost", encoding="utf-8")
            backend, reason = node.answer()
            assert backend == "graph_cut"
            assert "device 'cuda' failed: it has fallen off the bus" in reason
            peer.wait_for(lambda: "fell back" in node.diagnostics.message, "the fallback")
            assert node.diagnostics.level == 1
            node.mood.write_text("well", encoding="utf-8")
            backend, reason = node.answer()  # within the cool-down
            assert backend == "graph_cut"
            assert "is not tried for another" in reason
            peer.wait_for(lambda: node.answer() == ("moody", ""), "the device to be tried again")


@pytest.mark.faults
def test_a_worker_that_stalls_for_seconds(domain: int, peer: Peer, tmp_path: Path) -> None:
    """Meanwhile the node listens and reports; what is outrun is counted, the newest answered."""
    with moody_node(peer, tmp_path) as node:
        assert node.answer() == ("moody", "")
        answered = node.diagnostics.count("sweeps answered")
        node.mood.write_text(str(STALL), encoding="utf-8")
        node.results.clear()
        node.driver.send_sweep(STACK)
        peer.spin(0.5)
        node.mood.write_text("well", encoding="utf-8")
        start, sent = time.monotonic(), 1
        while time.monotonic() - start < STALL - 2.0:
            headers = node.driver.send_sweep(STACK)
            sent += 1
            node.diagnostics.clear()
            peer.wait_for(lambda: node.diagnostics.status, "news of the node")
        assert node.results.received["depth/image"] == []
        peer.wait_for(
            lambda: any(m.header == headers[-1] for m in node.results.received["depth/image"]),
            "the newest sweep to be answered",
        )
        peer.wait_for(
            lambda: (
                node.diagnostics.count("sweeps answered")
                - answered
                + node.diagnostics.count("sweep outrun")
                == sent
            ),
            "every sweep to be accounted for",
        )
        assert node.diagnostics.count("sweep outrun") >= sent - 4
        assert "sweep outrun: sweeps come faster" in node.process.log.read_text(encoding="utf-8")
        assert node.answer() == ("moody", "")
