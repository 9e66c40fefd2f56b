"""A USB camera, simulated, as a node: its focus sweeps, and depth comes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from ros_harness import Diagnostics, Peer, Value, pixels, refusal
from sensor_msgs.msg import CameraInfo, Image
from simulated_uvc_device import LENS_MAP, scene
from small_sweep import HEIGHT, INTRINSICS, WIDTH

from focdepth_ros.lens.lens_map import write_lens_map
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.ros.uvc_camera_node import main

NODE = "focdepth_ros.ros.uvc_camera_node"
BEST_EFFORT = QoSProfile(depth=200, reliability=QoSReliabilityPolicy.BEST_EFFORT)
PARAMETERS = {
    "width": WIDTH,
    "height": HEIGHT,
    "frame_rate": 100.0,
    "slices": 8,
    "settle_frames": 5,
    "jump_settle_frames": 7,
    "diagnostics_period": 0.1,
    "retry_period": 0.1,
}


@pytest.fixture
def lens_map(tmp_path: Path) -> str:
    write_lens_map(tmp_path / "lens.yaml", LENS_MAP)
    return str(tmp_path / "lens.yaml")


@pytest.fixture
def calibration(tmp_path: Path) -> str:
    camera = INTRINSICS
    matrix = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    content = {
        "image_width": WIDTH,
        "image_height": HEIGHT,
        "camera_matrix": {"rows": 3, "cols": 3, "data": matrix},
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
    }
    path = tmp_path / "camera.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@contextmanager
def uvc_node(folder: Path, **parameters: Any) -> Iterator[NodeProcess]:
    """The node with the simulated camera, which is unplugged while ``unplugged`` exists."""
    helpers = [Path(__file__).parent, Path(__file__).parents[1] / "unit"]
    path = os.pathsep.join([*map(str, helpers), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "UNPLUGGED": str(folder / "unplugged")}
    log = folder / "uvc_camera.log"
    every = {**PARAMETERS, **parameters}
    with NodeProcess("simulated_uvc_node", every, log, environment) as process:
        yield process


class Listener:
    """What the camera says, by stamp."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.images: dict[int, Any] = {}
        self.states: dict[int, Any] = {}
        self.infos: dict[int, Any] = {}
        for kind, topic, kept in (
            (Image, "image_raw", self.images),
            (FocusState, "focus_state", self.states),
            (CameraInfo, "camera_info", self.infos),
        ):
            peer.node.create_subscription(kind, topic, self._keeper(kept), BEST_EFFORT)

    @staticmethod
    def _keeper(kept: dict[int, Any]) -> Any:
        def keep(message: Any) -> None:
            kept[stamp_of(message.header)] = message

        return keep

    def clear(self) -> None:
        for kept in (self.images, self.states, self.infos):
            kept.clear()

    @property
    def newest(self) -> Any:
        return list(self.states.values())[-1]

    def whole_sweeps(self) -> list[list[Any]]:
        """Settled focus states of sweeps of which none is missing."""
        sweeps: dict[int, list[Any]] = {}
        for state in self.states.values():
            if state.settled and state.sweep_id:
                sweeps.setdefault(state.sweep_id, []).append(state)
        return [states for states in sweeps.values() if len(states) == states[0].sweep_size]

    def wait_for_consecutive_sweeps(self) -> list[list[Any]]:
        """Two, of which neither is missing a frame: on a busy computer some are lost."""

        def pair() -> list[list[Any]]:
            whole = {states[0].sweep_id: states for states in self.whole_sweeps()}
            first = next((number for number in whole if number + 1 in whole), None)
            return [] if first is None else [whole[first], whole[first + 1]]

        return list(self._peer.wait_for(pair, "two sweeps one after the other"))

    def wait_for_sweeps(self, count: int) -> list[list[Any]]:
        return list(
            self._peer.wait_for(
                lambda: (sweeps := self.whole_sweeps())[count - 1 :] and sweeps, f"{count} sweeps"
            )
        )


@pytest.fixture
def own_peer(domain: int) -> Iterator[Peer]:
    peer = Peer("uvc_observer")
    yield peer
    peer.close()


def set_mode(peer: Peer, mode: str) -> Any:
    return peer.set_parameters("uvc_camera_node", {"mode": mode})[0]


def test_depth_of_a_usb_camera(
    own_peer: Peer, tmp_path: Path, lens_map: str, calibration: str
) -> None:
    depths = own_peer.collect(Image, "depth/image")
    listener = Listener(own_peer)
    depth_node = NodeProcess(
        "focdepth_ros.ros.depth_node",
        {"backend": "graph_cut", "min_confidence": 0.5},
        tmp_path / "depth.log",
    )
    camera = uvc_node(tmp_path, lens_map=lens_map, camera_info_file=calibration, near=0.5, far=3.0)
    with depth_node, camera as process:
        own_peer.wait_for(lambda: len(depths) >= 2, "two depth images")
        sweeps = listener.wait_for_sweeps(2)
        assert process.stop() == 0
    truth = scene()[1]
    depth = pixels(depths[-1])
    known = np.isfinite(depth)
    assert known.mean() > 0.9
    assert np.mean(np.abs(depth - truth)[known] / truth[known]) < 0.03

    states = sweeps[0]
    dioptres = 1.0 / np.array([state.focus_distance for state in states])
    even = np.linspace(2.0, 1.0 / 3.0, 8)  # near to far and back, in turns
    expected = even if dioptres[0] > dioptres[-1] else even[::-1]
    np.testing.assert_allclose(dioptres, expected, atol=0.005)
    np.testing.assert_allclose(
        LENS_MAP.to_dioptres([state.lens_position for state in states]), dioptres, atol=1e-9
    )
    assert {state.lens_position_unit for state in states} == {"raw"}
    for stamp in listener.images.keys() & listener.infos.keys() & listener.states.keys():
        image, info = listener.images[stamp], listener.infos[stamp]
        assert image.header == info.header == listener.states[stamp].header
        assert (image.encoding, info.k[0]) == ("bgr8", INTRINSICS.fx)
    # Exposure was locked: else the picture is darker by 40 in the near. Blur alone makes 6.
    brightness = [
        np.frombuffer(listener.images[stamp_of(state.header)].data, np.uint8).mean()
        for state in states
        if stamp_of(state.header) in listener.images
    ]
    assert len(brightness) >= 4
    assert np.ptp(brightness) < 10.0
    log = process.log.read_text(encoding="utf-8")
    assert "'AUTO_FOCUS': 1.0, 'AUTO_EXPOSURE': 3.0, 'AUTO_WHITE_BALANCE': 1.0" in log


def test_modes_change_while_it_runs(own_peer: Peer, tmp_path: Path, lens_map: str) -> None:
    listener, diagnostics = Listener(own_peer), Diagnostics(own_peer, "uvc_camera_node")
    with uvc_node(tmp_path, lens_map=lens_map) as process:
        first, second = listener.wait_for_consecutive_sweeps()
        assert [s.focus_distance for s in second] == [s.focus_distance for s in first][::-1]
        own_peer.wait_for(
            lambda: diagnostics.message == "/dev/video0, ping_pong", "a status without a warning"
        )
        assert diagnostics.level == 0

        assert set_mode(own_peer, "saw_tooth").successful
        listener.clear()
        sweeps = listener.wait_for_sweeps(3)[1:]
        for states in sweeps:
            distances = [state.focus_distance for state in states]
            assert distances == sorted(distances)

        assert set_mode(own_peer, "paused").successful
        own_peer.wait_for(lambda: listener.newest.sweep_id == 0, "the last image of the sweep")
        own_peer.spin(0.3)
        listener.clear()
        own_peer.wait_for(lambda: len(listener.states) > 20, "images of the paused camera")
        assert {state.sweep_id for state in listener.states.values()} == {0}
        assert len({state.lens_position for state in listener.states.values()}) == 1
        assert not any(state.settled for state in listener.states.values())  # no sweep to wait for

        refused = set_mode(own_peer, "spiral")
        assert not refused.successful
        assert "parameter 'mode' is 'spiral'; it must be one of ping_pong" in refused.reason
        assert process.stop() == 0


def test_unsettled_images_on_request(own_peer: Peer, tmp_path: Path, lens_map: str) -> None:
    listener = Listener(own_peer)
    with uvc_node(tmp_path, lens_map=lens_map, publish_unsettled=True):
        own_peer.wait_for(lambda: len(listener.states) > 30, "focus states")
    unsettled = [state for state in listener.states.values() if not state.settled]
    assert len(unsettled) > 15


def test_unplugged_and_plugged_in_again(own_peer: Peer, tmp_path: Path, lens_map: str) -> None:
    flag = tmp_path / "unplugged"
    flag.touch()
    listener, diagnostics = Listener(own_peer), Diagnostics(own_peer, "uvc_camera_node")
    with uvc_node(tmp_path, lens_map=lens_map) as process:
        for _ in range(2):
            own_peer.wait_for(
                lambda: "gives no more images; is it still plugged in?" in diagnostics.message,
                "the camera to be missed",
            )
            assert diagnostics.level == 2
            flag.unlink()
            listener.clear()
            listener.wait_for_sweeps(1)
            own_peer.wait_for(lambda: diagnostics.level == 0, "the camera to be well again")
            flag.touch()
        ids = [state.sweep_id for state in listener.states.values()]
        assert min(ids) > 1  # they go on where they were
        flag.unlink()
        assert process.stop() == 0
    assert "no longer so: camera '/dev/video0' gives no more" in process.log.read_text("utf-8")


def test_without_a_lens_map(own_peer: Peer, tmp_path: Path) -> None:
    listener, diagnostics = Listener(own_peer), Diagnostics(own_peer, "uvc_camera_node")
    with uvc_node(tmp_path, slices=6):
        states = listener.wait_for_sweeps(2)[0]
        own_peer.wait_for(lambda: diagnostics.level == 1, "a warning")
    assert "no depth can come of the sweeps; measure one with `focdepth calibrate lens`" in (
        diagnostics.message
    )
    assert all(np.isnan(state.focus_distance) for state in states)
    positions = [state.lens_position for state in states]
    assert sorted(positions) == [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]


@pytest.mark.parametrize("with_map", [True, False])
def test_a_focus_that_goes_in_steps(
    own_peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lens_map: str, with_map: bool
) -> None:
    monkeypatch.setenv("FOCUS_STEP", "25")
    listener, diagnostics = Listener(own_peer), Diagnostics(own_peer, "uvc_camera_node")
    parameters = (
        {"lens_map": lens_map} if with_map else {"position_min": 3.0, "position_max": 250.0}
    )
    with uvc_node(tmp_path, slices=15, **parameters):
        states = listener.wait_for_sweeps(2)[0]
        own_peer.wait_for(lambda: "slices is 15" in diagnostics.message, "a warning")
    positions = sorted(state.lens_position for state in states)
    assert positions == [25.0 * k for k in range(0 if with_map else 1, 11)]
    assert "but the lens has only 1" in diagnostics.message
    assert "to 250, in steps of 25" in diagnostics.message
    assert diagnostics.count("focus not where it was sent") == 0


def test_a_camera_that_does_not_exist(own_peer: Peer, tmp_path: Path) -> None:
    """The real one, through OpenCV."""
    diagnostics = Diagnostics(own_peer, "uvc_camera_node")
    parameters = {"device": "/dev/video97", "diagnostics_period": 0.1}
    with NodeProcess(NODE, parameters, tmp_path / "log") as process:
        own_peer.wait_for(lambda: diagnostics.level == 2, "an error")
        assert "camera '/dev/video97' does not exist; there" in diagnostics.message
        assert process.exit_code is None  # it waits for one to be plugged in
        assert process.stop() == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"lens_map": "/no/such.yaml"}, "lens map '/no/such.yaml' cannot be read"),
        ({"camera_info_file": "/no/such.yaml"}, "calibration '/no/such.yaml' cannot be read"),
        ({"near": 3.0, "far": 2.0}, "near is 3.0 m and far 2.0 m; near must be smaller"),
        ({"pixel_format": "RAW"}, "pixel_format is 'RAW'; give four letters"),
        ({"position_max": -1.0}, "position_min is 0.0 and position_max -1.0; position_min must"),
    ],
)
def test_parameters_of_no_use(
    capfd: pytest.CaptureFixture[str], parameters: dict[str, Value], words: str
) -> None:
    assert words in refusal(main, parameters, capfd)
