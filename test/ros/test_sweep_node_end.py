"""How `sweep_node` begins and ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from ros_harness import Peer, Value, refusal
from simulated_drivers import raw_lens_map
from std_srvs.srv import Trigger
from sweep_rig import SWEEP, sweep_rig

from focdepth_ros.lens.lens_map import write_lens_map
from focdepth_ros.ros.sweep_node import main


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"driver": "magic"}, "no table of the driver 'magic'; give one of camera_ros, depthai"),
        ({"driver": ""}, "parameter 'driver' is empty; give camera_ros"),
        ({"driver": "/no/such/table.yaml"}, "driver table '/no/such/table.yaml' cannot be read"),
        ({"driver": "usb_cam", "lens_map": "/none.yaml"}, "lens map '/none.yaml' cannot be read"),
        ({"near": 2.0, "far": 1.0}, "near is 2.0 m and far 1.0 m; near must be smaller than far"),
        ({"mode": "sometimes"}, "parameter 'mode' is 'sometimes'; it must be one of ping_pong"),
        ({"steps": 1}, "parameter 'steps' is 1; it must be in [2, 200]"),
        ({"frames": "diagnostics", "driver": "usb_cam", "lens_map": "LENS"}, "tells nothing of"),
        ({"driver_node": "a b"}, "'a b' cannot be a node, set driver_node: "),
    ],
)
def test_parameters_of_no_use(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], parameters: dict[str, Value], words: str
) -> None:
    if parameters.get("lens_map") == "LENS":
        write_lens_map(tmp_path / "lens.yaml", raw_lens_map())
        parameters = {**parameters, "lens_map": str(tmp_path / "lens.yaml")}
    assert words in refusal(main, parameters, capfd)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_signal_with_a_request_under_way(
    peer: Peer, tmp_path: Path, number: signal.Signals
) -> None:
    with sweep_rig(peer, "camera_ros", tmp_path, mode="on_demand", steps=50) as rig:
        rig.wait(lambda: rig.states, "frames")
        client = rig.peer.client(Trigger, SWEEP)
        client.call_async(Trigger.Request())
        rig.wait(lambda: any(state.settled for state in rig.states), "the sweep to begin")
        os.kill(rig.node.pid, number)

        def has_ended() -> bool:
            client.call_async(Trigger.Request())  # what keeps nobody from coming to an end
            return rig.node.exit_code is not None

        rig.wait(has_ended, "the node to end")
        assert rig.node.exit_code == 0
        log = rig.node.log.read_text(encoding="utf-8")
        assert "Traceback" not in log
        assert "never awaited" not in log
        assert rig.get("AfMode", "ExposureTimeMode") == [2, 0]
