"""Depth from what drivers publish of their focus, over DDS; bad messages cost a frame, no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from depth_results import DepthResults
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from ros_harness import FRAME_ID, Diagnostics, Peer, image_message, pixels, refusal
from sensor_msgs.msg import Image, JointState
from small_sweep import small_sweep
from std_msgs.msg import Float32, Header, String

from focdepth_ros.lens.lens_map import LensMap, write_lens_map
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.conversions import time_message
from focdepth_ros.ros.depth_node import main
from focdepth_ros.ros.node_process import NodeProcess

CAMERA = "/base/soc/i2c0mux/i2c@1/imx708@1a"
SLICES = small_sweep().stack.slices
# Raw positions of a driver, rising towards near; the map has what each of them means.
POSITIONS = tuple(float(p) for p in np.round(np.linspace(230, 20, len(SLICES))))
MAP = LensMap(POSITIONS, tuple(item.dioptre for item in SLICES))
PARAMETERS = {"backend": "graph_cut", "min_confidence": 0.5, "diagnostics_period": 0.1}


class Rig:
    """A depth node, and a camera that tells its focus in another way than by focus states."""

    def __init__(self, peer: Peer, kind: type, topic: str) -> None:
        self.peer = peer
        create = peer.node.create_publisher
        self.images = create(Image, "image_raw", qos_profile_sensor_data)
        self.focus = create(kind, topic, QoSProfile(depth=20))
        self._stamp = 1_000 * 10**9
        self.diagnostics = Diagnostics(peer)
        self.results = DepthResults(peer, ("depth/image", "sweep_info"))

    def serve(self) -> None:
        self.results.wait_until_served(self.diagnostics, self)

    def wait_until_heard(self, diagnostics: Diagnostics) -> None:
        publishers, count = (self.images, self.focus), self.peer.node.count_publishers

        def is_heard() -> bool:
            return all(
                item.get_subscription_count() > 0
                and diagnostics.count(f"publishers of {item.topic_name}") >= count(item.topic_name)
                for item in publishers
            )

        self.peer.wait_for(is_heard, "the node to hear the camera")

    def next_header(self) -> Header:
        self._stamp += 33_333_333
        return Header(stamp=time_message(self._stamp), frame_id=FRAME_ID)

    def send_image(self, index: int) -> Header:
        header = self.next_header()
        self.images.publish(image_message(SLICES[index].image, header))
        return header

    def depth_is_good(self, info: Any, depth: Any) -> bool:
        truth, found = small_sweep().depth, pixels(depth)
        assert list(info.focus_distances) == pytest.approx([s.focus_distance for s in SLICES])
        return float(np.nanmean(np.abs(found - truth) / truth)) < 0.05

    def wait_for_good_depth(self) -> None:
        messages = self.results.wait_for_one()
        assert self.depth_is_good(messages["sweep_info"], messages["depth/image"])

    def dropped(self, reason: str) -> int:
        return self.diagnostics.count(reason)

    def wait_for_dropped(self, counts: dict[str, int]) -> None:
        """Until at least so many were left out for each reason; then it must be just so many."""
        self.peer.wait_for(
            lambda: all(self.dropped(reason) >= count for reason, count in counts.items()),
            "the counts",
        )
        assert {reason: self.dropped(reason) for reason in counts} == counts


@contextmanager
def depth_node(folder: Path, **parameters: Any) -> Iterator[NodeProcess]:
    named = {f"focus.{name}": value for name, value in parameters.items()}
    with NodeProcess(
        "focdepth_ros.ros.depth_node", {**PARAMETERS, **named}, folder / "log"
    ) as process:
        yield process


@pytest.fixture
def peer(domain: int) -> Iterator[Peer]:
    """A node for each test: within one, a topic has one type."""
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def map_file(tmp_path: Path) -> str:
    write_lens_map(tmp_path / "lens.yaml", MAP)
    return str(tmp_path / "lens.yaml")


def camera_status(position: str, state: str = "0", **more: str) -> DiagnosticStatus:
    """As of camera_ros: no name, all metadata of the frame as texts."""
    values = {"AfState": state, "ExposureTime": "9985", "LensPosition": position, **more}
    return DiagnosticStatus(
        level=b"\x00",
        hardware_id=CAMERA,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def test_frame_diagnostics(domain: int, peer: Peer, tmp_path: Path) -> None:
    with depth_node(tmp_path, source="diagnostics", settle_time=0.0) as process:
        rig = Rig(peer, DiagnosticArray, "/diagnostics")
        rig.serve()
        # For a second after it was subscribed to, the node puts up with images of no focus state.
        peer.spin(1.2)

        def send(index: int, *statuses: DiagnosticStatus, header: Any = None) -> None:
            of_image = rig.send_image(index)
            rig.focus.publish(DiagnosticArray(header=header or of_image, status=list(statuses)))
            peer.spin(0.01)

        def good(index: int) -> DiagnosticStatus:
            return camera_status(f"{SLICES[index].dioptre:.9f}")

        other = DiagnosticStatus(level=b"\x01", name="robot: battery", hardware_id="battery")
        send(0, other, good(0))
        send(0, camera_status("0.9", state="1"))  # the lens is on its way
        send(0, camera_status("nan"))
        send(0, camera_status("near"))
        send(0, camera_status("-1"))
        send(0)
        send(0, other)
        far_off = rig.next_header()
        send(0, good(0), header=far_off)
        for index in range(1, len(SLICES)):
            send(index, good(index))
        send(0, good(0))  # back to the start: the sweep is over
        rig.wait_for_good_depth()
        rig.wait_for_dropped(
            {
                "unsettled": 1,
                "unknown lens position": 2,
                "outside lens map": 1,
                "no focus state": 3,
                "no image": 1,
            }
        )

        status = camera_status("2.0")
        status.hardware_id = "another camera"
        send(0, status)
        peer.wait_for(
            lambda: "several cameras tell 'LensPosition'" in rig.diagnostics.message, "a warning"
        )
        assert process.exit_code is None


def test_only_the_camera_of_the_hardware_id(domain: int, peer: Peer, tmp_path: Path) -> None:
    with depth_node(tmp_path, source="diagnostics", settle_time=0.0, hardware_id=CAMERA):
        rig = Rig(peer, DiagnosticArray, "/diagnostics")
        rig.serve()
        stranger = camera_status("55.0")
        stranger.hardware_id = "another camera"
        silent = DiagnosticStatus(hardware_id=CAMERA, values=[KeyValue(key="Lux", value="1")])
        lost = DiagnosticStatus(level=b"\x02", hardware_id=CAMERA, message="camera disconnected")
        for index in (*range(len(SLICES)), 0):
            header = rig.send_image(index)
            statuses = [stranger, camera_status(f"{SLICES[index].dioptre:.9f}")]
            rig.focus.publish(DiagnosticArray(header=header, status=statuses))
            peer.spin(0.01)
        rig.wait_for_good_depth()
        header = rig.send_image(0)
        rig.focus.publish(DiagnosticArray(header=header, status=[silent, lost]))
        peer.wait_for(lambda: "camera disconnected" in rig.diagnostics.message, "the error")

        def is_named() -> bool:
            rig.send_image(0)
            rig.focus.publish(DiagnosticArray(header=header, status=[silent]))
            peer.spin(0.1)
            return "does not tell 'LensPosition'" in rig.diagnostics.message

        peer.wait_for(is_named, "what the camera tells instead")
        assert "it tells Lux" in rig.diagnostics.message


def joint(position: float, header: Any) -> JointState:
    return JointState(header=header, name=["shutter", "focus"], position=[0.0, position])


def test_positions_with_stamps(domain: int, peer: Peer, tmp_path: Path, map_file: str) -> None:
    """Told only when they change, before the images or a little after them."""
    with depth_node(
        tmp_path,
        source="lens_position",
        lens_map=map_file,
        position_field="position[1]",
        settle_time=0.02,
    ) as process:
        rig = Rig(peer, JointState, "lens_position")
        rig.serve()
        for index in (*range(len(SLICES)), 0):
            moved = rig.next_header()
            if index % 2:
                rig.focus.publish(joint(POSITIONS[index], moved))
                peer.spin(0.01)
            rig.send_image(index)
            if not index % 2:
                rig.focus.publish(joint(POSITIONS[index], moved))
            peer.spin(0.15)
        rig.wait_for_good_depth()
        peer.spin(0.2)
        assert rig.dropped("unsettled") == 0
        rig.focus.publish(JointState(header=rig.next_header()))  # nothing in it
        rig.send_image(0)
        peer.wait_for(lambda: rig.dropped("unknown lens position"), "the frame to be left out")
        assert rig.dropped("no such field") == 1
        assert process.exit_code is None


def test_positions_without_stamps(domain: int, peer: Peer, tmp_path: Path, map_file: str) -> None:
    """A position holds from its arrival on; an image just after a change does not count."""
    with depth_node(
        tmp_path, source="lens_position", lens_map=map_file, settle_time=0.15
    ) as process:
        rig = Rig(peer, Float32, "lens_position")
        rig.serve()
        for index in (*range(len(SLICES)), 0):
            rig.focus.publish(Float32(data=POSITIONS[index]))
            peer.spin(0.03)
            rig.send_image(max(0, index - 1))  # exposed before the lens moved: not settled
            peer.spin(0.2)
            rig.send_image(index)
            peer.spin(0.03)
        rig.wait_for_good_depth()
        peer.wait_for(lambda: rig.dropped("unsettled") >= len(SLICES), "the counts")
        for position, reason in (
            (float("nan"), "unknown lens position"),
            (-7.0, "outside lens map"),
        ):
            rig.focus.publish(Float32(data=position))
            peer.spin(0.2)
            rig.send_image(0)
            peer.wait_for(partial(rig.dropped, reason), "the frame to be left out")
        assert process.exit_code is None


def test_a_topic_without_numbers(domain: int, peer: Peer, tmp_path: Path, map_file: str) -> None:
    with depth_node(tmp_path, source="lens_position", lens_map=map_file, position_field="point.x"):
        rig = Rig(peer, String, "lens_position")
        peer.wait_for(lambda: rig.diagnostics.value("publishers of /lens_position"), "the node")

        def is_named() -> bool:
            rig.send_image(0)
            peer.spin(0.1)
            return "String has the fields data" in rig.diagnostics.message

        peer.wait_for(is_named, "a warning")


def test_focus_states_with_positions_only(
    domain: int, peer: Peer, tmp_path: Path, map_file: str
) -> None:
    with depth_node(tmp_path, lens_map=map_file):
        rig = Rig(peer, FocusState, "focus_state")
        rig.serve()
        for index in (*range(len(SLICES)), 0):
            header = rig.send_image(index)
            position = POSITIONS[index]
            rig.focus.publish(
                FocusState(
                    header=header,
                    focus_distance=float("nan"),
                    lens_position=position,
                    settled=True,
                )
            )
            peer.spin(0.01)
        rig.wait_for_good_depth()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"source": "lens_position"}, "focus.lens_map is empty"),
        ({"lens_map": "/no/such/map.yaml"}, "'/no/such/map.yaml' cannot be read"),
        ({"source": "smell"}, "must be one of focus_state, diagnostics, lens_position"),
        (
            {"source": "lens_position", "lens_map": "MAP", "position_type": "os/system"},
            "'os/system' is no type of message",
        ),
        (
            {"source": "lens_position", "lens_map": "MAP", "position_type": "no_msgs/msg/Such"},
            "no_msgs/msg/Such is not installed here",
        ),
        (
            {
                "source": "lens_position",
                "lens_map": "MAP",
                "position_type": "std_msgs/msg/Int32",
                "position_field": "value",
            },
            "Int32 has the fields data",
        ),
    ],
)
def test_what_cannot_start(
    map_file: str, capfd: pytest.CaptureFixture[str], parameters: dict[str, str], words: str
) -> None:
    given = {
        f"focus.{name}": map_file if value == "MAP" else value for name, value in parameters.items()
    }
    assert words in refusal(main, given, capfd)
