"""A depth node ends soon after a signal, however long its backend would still work."""

from __future__ import annotations

from pathlib import Path

import pytest
from ros_harness import Diagnostics, Peer
from small_sweep import LENS

from focdepth_ros.libraries import missing_because
from focdepth_ros.ros.node_process import NodeProcess

MISSING = missing_because(("torch",), "torch")
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

ENDLESS = {
    "backend": "defocus",
    "defocus.device": "cpu",
    "defocus.epochs": 1000,
    "defocus.tolerance": 0.0,
    "lens.focal_length": LENS.focal_length,
    "lens.f_number": LENS.f_number,
    "lens.pixel_pitch": LENS.pixel_pitch,
    "diagnostics_period": 0.1,
}


def test_a_signal_in_the_middle_of_long_work_is_heeded(
    domain: int, peer: Peer, tmp_path: Path
) -> None:
    parameters = {**ENDLESS, "defocus.plots_dir": str(tmp_path)}
    with NodeProcess("focdepth_ros.ros.depth_node", parameters, tmp_path / "log") as process:
        diagnostics = Diagnostics(peer)
        peer.wait_for(lambda: diagnostics.level >= 0, "the node, which warms up for minutes")
        peer.wait_for((tmp_path / "epoch_003.png").exists, "the third of a thousand epochs")
        assert diagnostics.count("fell back") == 0
        assert process.stop() == 0, process.last_words()
