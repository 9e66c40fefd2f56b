"""A camera driver that dies and comes back: `sim_camera_node` in its place."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import Diagnostics, Peer, pixels
from small_sweep import small_sweep

from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue
from focdepth_ros.stack_folder.saving import save_stack

MAX_ABS_REL = 0.03
SILENCE = "no images on /image_raw; start the camera driver"


@pytest.mark.parametrize("provide_sweep_ids", [True, pytest.param(False, marks=pytest.mark.faults)])
def test_driver_killed_and_restarted(
    domain: int, peer: Peer, tmp_path: Path, provide_sweep_ids: bool
) -> None:
    save_stack(tmp_path / "stack", small_sweep().stack)
    camera: dict[str, ParameterValue] = {
        "stack": str(tmp_path / "stack"),
        "provide_sweep_ids": provide_sweep_ids,
    }
    depth: dict[str, ParameterValue] = {"diagnostics_period": 0.1, "sweep.timeout": 0.5}
    diagnostics, results = Diagnostics(peer), DepthResults(peer, ("depth/image", "sweep_info"))

    def sees_good_sweeps(count: int) -> None:
        results.clear()
        peer.wait_for(lambda: len(results.received["depth/image"]) > count, "sweeps")
        # The first may be of what was left when the driver died.
        for message in results.received["depth/image"][1:]:
            measures = depth_metrics(pixels(message), small_sweep().depth)
            assert measures["abs_rel"] < MAX_ABS_REL
            assert measures["coverage"] > 0.5
        sequences = [info.sequence for info in results.received["sweep_info"]]
        assert list(np.diff(sequences)) == [1] * (len(sequences) - 1)

    with NodeProcess("focdepth_ros.ros.depth_node", depth, tmp_path / "log") as node:
        for restart in range(2):
            log = tmp_path / f"camera_{restart}"
            with NodeProcess("focdepth_ros.ros.sim_camera_node", camera, log) as driver:
                sees_good_sweeps(3)
                os.kill(driver.pid, signal.SIGKILL)
                assert driver.stop() == -signal.SIGKILL
            if restart == 0:
                peer.wait_for(lambda: SILENCE in diagnostics.message, "silence to be named")
                assert diagnostics.level == 1
        assert node.exit_code is None
        text = node.log.read_text(encoding="utf-8")
        assert "internal error" not in text
        assert f"no longer so: {SILENCE}" in text
