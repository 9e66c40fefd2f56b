"""How the simulated camera begins and ends; what it sends is for the system tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from ros_harness import Peer, Value, refusal
from sensor_msgs.msg import Image
from small_sweep import small_sweep

from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.ros.sim_camera_node import main
from focdepth_ros.stack_folder.saving import save_stack

MODULE = "focdepth_ros.ros.sim_camera_node"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_the_scene_is_rendered(
    domain: int, peer: Peer, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    with NodeProcess(MODULE, {"width": 2560, "height": 1920}, log) as process:
        peer.wait_for(lambda: "rendering" in process.last_words(), "the node to render")
        os.kill(process.pid, number)
        peer.wait_for(lambda: process.exit_code is not None, "the node to end")
    assert process.exit_code == 0
    words = log.read_text(encoding="utf-8")
    assert "Traceback" not in words
    assert "sending sweeps" not in words  # it did not render to the end first


def test_reliable_on_request(domain: int, peer: Peer, tmp_path: Path) -> None:
    images = peer.collect(Image, "image_raw")  # reliable, which hears no best-effort publisher
    save_stack(tmp_path / "stack", small_sweep().stack)
    parameters = {
        "stack": str(tmp_path / "stack"),
        "qos_overrides./image_raw.publisher.reliability": "reliable",
    }
    with NodeProcess(MODULE, parameters, tmp_path / "log"):
        peer.wait_for(lambda: images, "an image")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"near": 4.0, "far": 0.4}, "near is 4.0 m and far 0.4 m; near must be smaller than far"),
        ({"pattern": "spiral"}, "parameter 'pattern' is 'spiral'; it must be one of near_to_far"),
        ({"stack": "/no/such/folder"}, "/no/such/folder"),
        ({"textures": "/no/such/folder"}, "'/no/such/folder' does not exist; give a folder of"),
    ],
)
def test_parameters_of_no_use(
    capfd: pytest.CaptureFixture[str], parameters: dict[str, Value], words: str
) -> None:
    assert words in refusal(main, parameters, capfd)
