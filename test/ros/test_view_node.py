"""What depth_node publishes arrives in a recording of the viewer as it was sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from depth_results import KINDS, DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, pixels, refusal
from sensor_msgs.msg import Image, PointCloud2
from small_sweep import HEIGHT, INTRINSICS, WIDTH, small_sweep
from std_msgs.msg import Header
from viewer_recordings import Recording, needs_viewer

from focdepth_ros.errors import MessageError
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.ros.conversions import point_cloud_message, time_message
from focdepth_ros.ros.listening.cloud_reading import cloud_arrays
from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.ros.view_node import main

SWEEPS = 2


@dataclass
class Shown:
    """What was published, by topic and stamp, and what of it was recorded."""

    sent: dict[str, dict[int, Any]]
    recording: Recording
    exit_code: int
    log: str

    @property
    def stamps(self) -> list[int]:
        return sorted(self.sent["depth/image"])


@pytest.fixture(scope="module")
def shown(domain: int, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("view")
    file = folder / "live.rrd"
    period = {"diagnostics_period": 0.1}
    with (
        NodeProcess("focdepth_ros.ros.depth_node", period, folder / "depth.log"),
        NodeProcess(
            "focdepth_ros.ros.view_node", {**period, "save": str(file)}, folder / "view.log"
        ) as viewer,
    ):
        driver, of_depth = CameraDriver(peer), Diagnostics(peer)
        of_viewer = Diagnostics(peer, "view_node")
        results = DepthResults(peer)
        peer.wait_for(lambda: of_viewer.status, "the viewer")
        results.wait_until_served(of_depth, driver)
        for topic in KINDS:
            peer.wait_for(
                lambda topic=topic: peer.node.count_subscribers(topic) == 2, f"two on {topic}"
            )
        for number in range(1, SWEEPS + 1):
            driver.send_sweep(small_sweep().stack)
            for topic in KINDS:
                peer.wait_for(
                    lambda topic=topic, number=number: (
                        len(results.received[topic]) >= number
                        and of_viewer.count(f"shown of /{topic}") >= number
                    ),
                    f"sweep {number} on {topic}",
                )
        exit_code = viewer.stop()
        log = viewer.log.read_text()
    sent = {
        topic: {stamp_of(m.header): m for m in messages}
        for topic, messages in results.received.items()
    }
    return Shown(sent, Recording(file), exit_code, log)


@needs_viewer
def test_it_ends_cleanly_and_says_what_it_listens_to(shown: Shown) -> None:
    assert shown.exit_code == 0
    assert "Traceback" not in shown.log
    assert "internal error" not in shown.log
    assert "waiting for /sweep_info, /depth/image" in shown.log
    assert "live.rrd" in shown.log


@needs_viewer
def test_depth_and_confidence_are_those_sent_to_the_bit(shown: Shown) -> None:
    assert len(shown.stamps) == SWEEPS
    for stamp in shown.stamps:
        for topic, place in (("depth/image", "depth/values"), ("confidence/image", "confidence")):
            found = shown.recording.image(f"/camera/{place}", stamp, (HEIGHT, WIDTH), "<f4")
            np.testing.assert_array_equal(found, pixels(shown.sent[topic][stamp]))
        assert np.isfinite(found).mean() > 0.5


@needs_viewer
def test_the_picture_is_that_sent(shown: Shown) -> None:
    for stamp in shown.stamps:
        found = shown.recording.image("/camera/all_in_focus", stamp, (HEIGHT, WIDTH, 3), "u1")
        np.testing.assert_array_equal(found, pixels(shown.sent["all_in_focus/image"][stamp]))


@needs_viewer
def test_the_cloud_is_the_known_points_of_that_sent(shown: Shown) -> None:
    for stamp in shown.stamps:
        message = shown.sent["points"][stamp]
        floats = np.frombuffer(message.data, "<f4").reshape(-1, 4)
        known = np.isfinite(floats[:, :3]).all(axis=1)
        points, colours = shown.recording.cloud(stamp)
        np.testing.assert_array_equal(points, floats[known, :3])
        bgr = np.frombuffer(message.data, "u1").reshape(-1, 16)[known, 12:15]
        np.testing.assert_array_equal(colours, bgr[:, ::-1])


@needs_viewer
def test_camera_figures_facts_and_diagnostics_are_there(shown: Shown) -> None:
    rows = shown.recording.rows
    for stamp in shown.stamps:
        info = shown.sent["sweep_info"][stamp]
        latency = rows["/figures/seconds/after_the_last_frame"][stamp]["Scalars:scalars"]
        assert latency == [info.latency_after_last_frame]
        (text,) = rows["/sweep"][stamp]["TextDocument:text"]
        assert f"sweep {info.sequence}" in text
        assert "- backend: graph\\_cut" in text
        (matrix,) = rows["/camera"][stamp]["Pinhole:image_from_camera"]
        expected = [INTRINSICS.fx, 0, 0, 0, INTRINSICS.fy, 0, INTRINSICS.cx, INTRINSICS.cy, 1]
        np.testing.assert_allclose(matrix, expected, rtol=1e-6)
    lines = [row["TextLog:text"][0] for row in rows["/log"].values()]
    assert any(line.startswith("depth_node: depth from focus: ") for line in lines)
    assert not any("view_node" in line for line in lines)


@needs_viewer
def test_bad_messages_are_named_and_nothing_dies(domain: int, peer: Peer, tmp_path: Path) -> None:
    parameters = {"diagnostics_period": 0.1, "save": str(tmp_path / "bad.rrd")}
    with NodeProcess("focdepth_ros.ros.view_node", parameters, tmp_path / "log") as viewer:
        state = Diagnostics(peer, "view_node")
        senders = {
            "depth/image": peer.node.create_publisher(Image, "depth/image", 5),
            "points": peer.node.create_publisher(PointCloud2, "points", 5),
        }
        for publisher in senders.values():
            peer.wait_for(publisher.get_subscription_count, "the viewer")
        bad = {
            "depth/image": Image(height=4, width=4, encoding="32FC1", step=16),
            "points": PointCloud2(height=1, width=9, point_step=16, row_step=144),
        }
        for topic, message in bad.items():

            def is_counted(topic: str = topic, message: Any = message) -> bool:
                senders[topic].publish(message)
                return state.count(f"not shown of /{topic}") > 0

            peer.wait_for(is_counted, f"a complaint of {topic}")
        assert viewer.exit_code is None
        assert viewer.stop() == 0
    assert "internal error" not in (tmp_path / "log").read_text()


@needs_viewer
def test_where_nobody_publishes_it_says_what_it_waits_for(
    domain: int, peer: Peer, tmp_path: Path
) -> None:
    parameters = {"diagnostics_period": 0.1, "save": str(tmp_path / "none.rrd")}
    node, names = "focdepth_ros.ros.view_node", {"__ns": "/alone"}
    with NodeProcess(node, parameters, tmp_path / "log", remappings=names):
        state = Diagnostics(peer, "alone/view_node")
        said = "nobody publishes /alone/sweep_info, /alone/depth/image"
        peer.wait_for(lambda: said in state.message, "a word of it")
        assert "start depth_node" in state.message


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        return int(other.getsockname()[1])


@needs_viewer
def test_what_cannot_be_is_refused(
    domain: int,
    taken_port: int,
    free_port: int,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for parameters, words in (
        ({"port": taken_port}, f"port {taken_port} of 127.0.0.1 cannot be had"),
        (
            {"port": free_port, "data_port": taken_port},
            f"data port {taken_port} of 127.0.0.1 cannot be had",
        ),
        ({"port": 9000, "data_port": 9000}, "cannot both have port 9000"),
        ({"host": "robot"}, "host 'robot' is no IP address"),
        ({"save": "live.txt"}, "must have a name that ends in .rrd"),
        ({"save": str(tmp_path / "no" / "a.rrd")}, "No such file or directory"),
        ({"connect": "nowhere"}, "'nowhere' is no Rerun viewer; give HOST:PORT"),
        ({"connect": "127.0.0.1:1"}, "no viewer answers at 127.0.0.1:1"),
    ):
        assert words in refusal(main, parameters, capfd)


def cloud() -> PointCloud2:
    depth = np.linspace(1.0, 2.0, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    colours = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    message = point_cloud_message(depth, INTRINSICS, colours, Header(stamp=time_message(1)))
    points, found = cloud_arrays(message, "points")
    np.testing.assert_array_equal(points[..., 2], depth)
    np.testing.assert_array_equal(found, colours)
    return message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"height": HEIGHT + 1}, "120|121 rows"),
        ({"row_step": 4}, "are expected"),
        ({"point_step": 0}, "are expected"),
        ({"point_step": 8, "row_step": 16 * WIDTH}, "no z of 32-bit floats"),
        ({"fields": []}, "no x, y, z of 32-bit floats"),
    ],
)
def test_a_cloud_that_contradicts_itself_is_refused(changes: dict[str, Any], words: str) -> None:
    message = cloud()
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=words):
        cloud_arrays(message, "points")
