"""Depth from defocus answers a sweep that comes over DDS; run by make test-torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, pixels
from small_sweep import LENS, small_sweep

from focdepth_ros.libraries import missing_because
from focdepth_ros.ros.node_process import NodeProcess

MISSING = missing_because(("torch",), "torch")
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

NODE = "focdepth_ros.ros.depth_node"
BUDGET = 1.0  # s
ONE_EPOCH = 10.0  # s, of these images on a machine that is busy with other things
PARAMETERS = {
    "backend": "defocus",
    "defocus.device": "cpu",
    "defocus.depths": 30,
    "defocus.epochs": 1000,
    "defocus.tolerance": 0.0,
    "defocus.max_seconds": BUDGET,
    "min_confidence": 0.0,
    "diagnostics_period": 0.1,
}
LENS_PARAMETERS = {
    "lens.focal_length": LENS.focal_length,
    "lens.f_number": LENS.f_number,
    "lens.pixel_pitch": LENS.pixel_pitch,
}


@pytest.fixture(autouse=True)
def _alone(domain: int) -> None:
    """Every test here has a node of its own."""


def test_answers_within_its_budget(peer: Peer, tmp_path: Path) -> None:
    simulated = small_sweep()
    every = {**PARAMETERS, **LENS_PARAMETERS}
    with NodeProcess(NODE, every, tmp_path / "log"):
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image", "all_in_focus/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        driver.send_sweep(simulated.stack)
        messages = results.wait_for_one()
        info = messages["sweep_info"]
        assert info.backend == "defocus"
        assert info.fallback_reason == ""
        assert diagnostics.count("fell back") == 0
        peer.wait_for(lambda: diagnostics.value("last step [ms]"), "the time to be told")
        assert float(diagnostics.value("last step [ms]")) < 1e3 * (BUDGET + ONE_EPOCH)
        depth = pixels(messages["depth/image"])
        known = np.isfinite(depth)
        assert known.mean() > 0.7
        error = np.abs(depth - simulated.depth)[known] / simulated.depth[known]
        assert error.mean() < 0.05
        assert pixels(messages["all_in_focus/image"]).shape == simulated.stack.slices[0].image.shape


def test_a_signal_in_the_middle_of_long_work_is_heeded(peer: Peer, tmp_path: Path) -> None:
    endless = {**PARAMETERS, **LENS_PARAMETERS, "defocus.max_seconds": 0.0}
    with NodeProcess(NODE, endless, tmp_path / "log") as process:
        diagnostics = Diagnostics(peer)
        peer.wait_for(lambda: diagnostics.level >= 0, "the node, which warms up for minutes")
        assert process.stop() == 0, process.last_words()


def test_without_a_lens_another_backend_answers_and_the_status_says_why(
    peer: Peer, tmp_path: Path
) -> None:
    with NodeProcess(NODE, PARAMETERS, tmp_path / "log"):
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        driver.send_sweep(small_sweep().stack)
        messages = results.wait_for_one()
        reason = messages["sweep_info"].fallback_reason
        assert messages["sweep_info"].backend == "graph_cut"
        assert reason.startswith("backend 'defocus' failed: it needs the lens (focal_length, ")
        assert "or as the parameters lens.* of depth_node" in reason
        assert np.isfinite(pixels(messages["depth/image"])).all()
        peer.wait_for(lambda: diagnostics.count("sweeps answered"), "the sweep to be counted")
        assert diagnostics.level == 1
        assert f"fell back: to backend 'graph_cut': {reason}" in diagnostics.message
