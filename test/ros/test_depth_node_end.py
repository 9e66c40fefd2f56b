"""How the node begins and ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from depth_results import DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, Value, refusal
from small_sweep import small_sweep

from focdepth_ros.ros.depth_node import main
from focdepth_ros.ros.node_process import NodeProcess


@pytest.fixture
def process(domain: int, tmp_path: Path) -> Iterator[NodeProcess]:
    parameters = {"diagnostics_period": 0.1}
    with NodeProcess("focdepth_ros.ros.depth_node", parameters, tmp_path / "log") as process:
        yield process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_the_middle_of_a_sweep(
    process: NodeProcess, peer: Peer, number: signal.Signals
) -> None:
    diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
    DepthResults(peer).wait_until_served(diagnostics, driver)
    driver.send_sweep(small_sweep().stack, small_sweep().stack.slices[:5])
    peer.wait_for(lambda: diagnostics.count("images received") == 5, "five images to come in")
    os.kill(process.pid, number)
    peer.wait_for(lambda: process.exit_code is not None, "the node to end")
    assert process.exit_code == 0
    # The session of the node has no other process left in it.
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    log = process.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert "ERROR" not in log


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"backend": "magic"}, "there is no backend 'magic'; choose one of"),
        ({"min_confidence": 1.5}, "parameter 'min_confidence' is 1.5; it must be in [0, 1]"),
        ({"graph_cut.pair_scale": -1.0}, "parameter 'graph_cut.pair_scale' is -1.0; it must be"),
        ({"graph_cut.gaussian_size": 4}, "'gaussian_size' is 4; a kernel has a middle"),
        ({"alignment.method": "magic"}, "parameter 'alignment.method' is 'magic'; it must be one"),
        ({"alignment.method": "external"}, "external alignment needs flow_path"),
        ({"lens.f_number": 2}, "set all three of them, or none"),
        ({"sweep.split": "magic"}, "parameter 'sweep.split' is 'magic'; it must be one of"),
        ({"use_sim_time": 3}, "'use_sim_time' to '3' of type 'INTEGER', expecting type 'BOOL'"),
        ({"qos_overrides./points.publisher.reliability": "magic"}, "`reliability`: `magic`"),
        ({"no.name.ends.so.": 1}, "Couldn't parse parameter override rule"),
    ],
)
def test_parameters_of_no_use(
    capfd: pytest.CaptureFixture[str], parameters: dict[str, Value], words: str
) -> None:
    assert words in refusal(main, parameters, capfd)


def test_misspelt_parameters_are_named(peer: Peer, tmp_path: Path) -> None:
    parameters = {"min_confidense": 0.2, "diagnostics_period": 0.1}
    with NodeProcess("focdepth_ros.ros.depth_node", parameters, tmp_path / "log") as process:
        diagnostics = Diagnostics(peer)
        peer.wait_for(lambda: diagnostics.status, "the node to be at work")
    log = process.log.read_text(encoding="utf-8")
    assert "no parameter 'min_confidense', it is ignored; did you mean 'min_confidence'?" in log
