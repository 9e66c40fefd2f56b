"""Two nodes of one name are named, by both."""

from __future__ import annotations

from pathlib import Path

import pytest
from ros_harness import Diagnostics, Peer

from focdepth_ros.ros.node_process import NodeProcess

DEPTH = "focdepth_ros.ros.depth_node"
CAMERA = "focdepth_ros.ros.sim_camera_node"
SMALL = {"width": 64, "height": 48, "slices": 3}


def test_of_depth_nodes_and_how_it_ends(domain: int, peer: Peer, tmp_path: Path) -> None:
    words = "2 nodes are called /depth_node; end all but one, or start them under other names"
    parameters = {"diagnostics_period": 0.1}
    with NodeProcess(DEPTH, parameters, tmp_path / "first") as first:
        diagnostics = Diagnostics(peer)
        peer.wait_for(lambda: diagnostics.level == 0, "the first to be well")
        assert "nodes are called" not in diagnostics.message
        with NodeProcess(DEPTH, parameters, tmp_path / "second") as second:
            for process in (first, second):
                peer.wait_for(
                    lambda log=process.log: words in log.read_text(encoding="utf-8"), "both to warn"
                )
            peer.wait_for(lambda: words in diagnostics.message, "the warning on /diagnostics")
            assert diagnostics.level == 1
            assert second.stop() == 0
        peer.wait_for(
            lambda: f"no longer so: {words}" in first.log.read_text(encoding="utf-8"),
            "the warning to be taken back",
        )
        diagnostics.clear()
        peer.wait_for(lambda: diagnostics.level == 0, "the first to be well again")


@pytest.mark.faults
def test_of_cameras(domain: int, peer: Peer, tmp_path: Path) -> None:
    with (
        NodeProcess(CAMERA, SMALL, tmp_path / "first") as first,
        NodeProcess(CAMERA, SMALL, tmp_path / "second") as second,
    ):
        for process in (first, second):
            peer.wait_for(
                lambda log=process.log: (
                    "2 nodes are called /sim_camera_node" in log.read_text(encoding="utf-8")
                ),
                "both to warn",
            )
