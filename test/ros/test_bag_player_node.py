"""A bag is played as it was recorded: bytes, order, times, latched topics, clock, loop."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rosbags")

from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from ros_harness import Peer, Value, refusal
from rosbags.rosbag2 import Reader, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from small_sweep import small_sweep

from focdepth_ros.bags.message_types import message_types
from focdepth_ros.bags.reading import BagReader
from focdepth_ros.bags.writing import GROUND_TRUTH, IMAGES, STATES, record_camera
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.bag_player_node import main
from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.simulation import SimulatedCamera

MODULE = "focdepth_ros.ros.bag_player_node"
SWEEPS = 2
FRAMES = 8 * SWEEPS


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps of eight frames in half a second; not to change."""
    return recorded(tmp_path_factory.mktemp("bags") / "bag")


def recorded(path: Path, **how: Any) -> Path:
    camera = SimulatedCamera(small_sweep().stack, pattern="far_to_near")
    record_camera(path, camera, depth=small_sweep().depth, sweeps=SWEEPS, **how)
    return path


def collect_raw(peer: Peer, kind: type, topic: str) -> list[bytes]:
    messages: list[bytes] = []
    peer.node.create_subscription(kind, topic, messages.append, QoSProfile(depth=100), raw=True)
    return messages


def end_of(peer: Peer, process: NodeProcess) -> str:
    """The log of a node that has ended."""
    peer.wait_for(lambda: process.exit_code is not None, "the node to end")
    return process.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("storage", "compression"),
    [("mcap", "message"), pytest.param("sqlite3", "file", marks=pytest.mark.slow)],
)
def test_bytes_are_those_of_the_bag(
    domain: int, peer: Peer, tmp_path: Path, storage: str, compression: str
) -> None:
    bag = recorded(tmp_path / "bag", storage=storage, compression=compression)
    received = {
        topic: collect_raw(peer, kind, topic)
        for topic, kind in ((IMAGES, Image), (STATES, FocusState), (GROUND_TRUTH, Image))
    }
    parameters = {"bag": str(bag), "wait_for_subscribers": 1, "start_delay": 0.5, "rate": 4.0}
    with NodeProcess(MODULE, parameters, tmp_path / "log") as process:
        log = end_of(peer, process)
    assert process.exit_code == 0, log
    assert f"played {3 * FRAMES + SWEEPS} messages of {bag}" in log
    with BagReader(bag) as reader:
        for topic, messages in received.items():
            expected = [bytes(data) for _, _, data in reader.serialised([topic])]
            peer.wait_for(lambda m=messages, e=expected: len(m) >= len(e), f"all of {topic}")
            assert messages == expected, topic


def test_time_and_clock_go_as_fast_as_asked(
    domain: int, peer: Peer, bag: Path, tmp_path: Path
) -> None:
    times: list[float] = []
    note: Callable[[Any], None] = lambda _: times.append(time.monotonic())  # noqa: E731
    peer.node.create_subscription(FocusState, STATES, note, QoSProfile(depth=100))
    clocks = peer.collect(Clock, "/clock")
    states = peer.collect(FocusState, STATES)
    parameters = {
        "bag": str(bag),
        "clock": True,
        "rate": 0.25,
        "topics": STATES,
        "wait_for_subscribers": 1,
        "start_delay": 0.5,
    }
    with NodeProcess(MODULE, parameters, tmp_path / "log") as process:
        log = end_of(peer, process)
    assert f"played {FRAMES} messages" in log
    peer.wait_for(lambda: len(states) == len(times) == FRAMES, "all states")
    recorded_for = (FRAMES - 1) / 30
    # Nothing is precise on a busy computer.
    assert 2 * recorded_for < times[-1] - times[0] < 8 * recorded_for
    first, last = (stamp_of(states[i].header) for i in (0, -1))

    def told() -> list[int]:
        return [clock.clock.sec * 10**9 + clock.clock.nanosec for clock in clocks]

    peer.wait_for(lambda: told() and told()[-1] > last - 0.1 * 10**9, "the end on /clock")
    assert len(told()) > 20
    assert told() == sorted(set(told()))
    assert first <= told()[0]
    assert told()[-1] < last + 10**9  # it is late on a busy computer


def test_loop_until_interrupted(domain: int, peer: Peer, bag: Path, tmp_path: Path) -> None:
    states = peer.collect(FocusState, STATES)
    parameters = {"bag": str(bag), "loop": True, "rate": 4.0, "wait_for_subscribers": 1}
    with NodeProcess(MODULE, parameters, tmp_path / "log") as process:
        peer.wait_for(lambda: len(states) > 3 * FRAMES, "the bag to begin for the fourth time")
        os.kill(process.pid, signal.SIGINT)
        log = end_of(peer, process)
    assert process.exit_code == 0
    assert log.count("from the beginning") >= 3
    assert "Traceback" not in log
    stamps = [stamp_of(state.header) for state in states]
    once = sorted(set(stamps))
    assert stamps[: 2 * len(once)] == [*once, *once]


def test_latched_truth_is_had_by_whoever_comes_late(
    domain: int, peer: Peer, bag: Path, tmp_path: Path
) -> None:
    parameters = {"bag": str(bag), "exit_at_end": False, "rate": 10.0}
    with NodeProcess(MODULE, parameters, tmp_path / "log") as process:
        peer.wait_for(lambda: "played" in process.last_words(), "the bag to be played")
        truths: list[Image] = []
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        peer.node.create_subscription(Image, GROUND_TRUTH, truths.append, latched)
        peer.wait_for(lambda: truths, "the truth")
        assert process.exit_code is None
    assert process.exit_code == 0


@pytest.fixture(scope="module")
def two_cameras(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bag with all topics twice, under /left and under /right."""
    path = tmp_path_factory.mktemp("bags") / "two"
    store = message_types()
    with Reader(bag) as reader, Writer(path, version=8) as writer:
        connections = {
            (side, connection.topic): writer.add_connection(
                f"/{side}{connection.topic}", connection.msgtype, typestore=store
            )
            for connection in reader.connections
            for side in ("left", "right")
        }
        for connection, stamp, data in reader.messages():
            for side in ("left", "right"):
                writer.write(connections[side, connection.topic], stamp, data)
    return path


def test_where_it_is_not_clear_which_camera_any_subscriber_will_do(
    domain: int, peer: Peer, two_cameras: Path, tmp_path: Path
) -> None:
    """Those of both would never all have one."""
    parameters: dict[str, Value] = {"bag": str(two_cameras), "wait_for_subscribers": 1}
    parameters |= {"start_delay": 1.0, "rate": 10.0}
    images = collect_raw(peer, Image, f"/left{IMAGES}")
    process = NodeProcess(MODULE, parameters, tmp_path / "log")
    try:
        peer.wait_for(lambda: len(images) == FRAMES, "all images of one camera")
        assert "left out" not in end_of(peer, process)
    finally:
        process.stop()


def test_what_is_awaited_can_be_named(
    domain: int, peer: Peer, two_cameras: Path, tmp_path: Path
) -> None:
    parameters: dict[str, Value] = {"bag": str(two_cameras), "wait_for_subscribers": 1}
    parameters |= {"awaited": f"/left{IMAGES}, /left{STATES}", "start_delay": 0.3, "rate": 10.0}
    images = collect_raw(peer, Image, f"/left{IMAGES}")
    process = NodeProcess(MODULE, parameters, tmp_path / "log")
    try:
        peer.wait_for(lambda: peer.node.count_publishers(f"/left{IMAGES}"), "the player")
        peer.spin(2.0)
        assert not images  # nobody listens to the states yet
        states = collect_raw(peer, FocusState, f"/left{STATES}")
        peer.wait_for(lambda: len(images) == len(states) == FRAMES, "all of both")
    finally:
        process.stop()


@pytest.mark.slow
def test_nobody_subscribes(domain: int, peer: Peer, bag: Path, tmp_path: Path) -> None:
    parameters = {"bag": str(bag), "wait_for_subscribers": 7}
    with NodeProcess(MODULE, parameters, tmp_path / "log") as process:
        peer.wait_for(lambda: "waiting for 7 subscribers" in process.last_words(), "its waiting")
        assert process.exit_code is None
    assert process.exit_code == 0
    assert "waiting for 7 subscribers to" in process.log.read_text(encoding="utf-8")


def test_what_can_be_played_of_a_damaged_bag(
    domain: int, peer: Peer, bag: Path, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(bag, tmp_path / "bag"))
    with sqlite3.connect(next(damaged.glob("*.db3"))) as database:
        of_states = f"topic_id = (SELECT id FROM topics WHERE name = '{STATES}')"
        database.execute(
            "UPDATE messages SET data = x'0001' WHERE id = "
            f"(SELECT max(id) FROM messages WHERE {of_states})"
        )
        odd = f"UPDATE topics SET type = 'odd_msgs/msg/Odd' WHERE name = '{GROUND_TRUTH}'"
        database.execute(odd)
    metadata = (damaged / "metadata.yaml").read_text(encoding="utf-8")
    start = metadata.index(f"name: {GROUND_TRUTH}")
    changed = metadata[start:].replace("sensor_msgs/msg/Image", "odd_msgs/msg/Odd", 1)
    (damaged / "metadata.yaml").write_text(metadata[:start] + changed, encoding="utf-8")
    states = peer.collect(FocusState, STATES)
    parameters = {"bag": str(damaged), "wait_for_subscribers": 1, "start_delay": 0.5, "rate": 4.0}
    with NodeProcess(MODULE, parameters, tmp_path / "log") as process:
        log = end_of(peer, process)
    assert process.exit_code == 1
    assert f"left out: {GROUND_TRUTH}: messages of type odd_msgs/msg/Odd are not known" in log
    assert f"left out: damaged message on {STATES}, at 0.500 s of the bag" in log
    assert "2 left out" in log
    assert "Traceback" not in log
    peer.wait_for(lambda: len(states) == FRAMES - 1, "all states but one")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"bag": "/no/such/bag"}, "/no/such/bag: no such bag"),
        ({"bag": __file__}, "is no bag; give its folder, or a .db3 or .mcap file"),
        ({"rate": 0.0}, "parameter 'rate' is 0.0; it must be in [0.001, 1000]"),
        ({"topics": "/image_raw, /other"}, "parameter 'topics' names /other; "),
    ],
)
def test_parameters_of_no_use(
    bag: Path, capfd: pytest.CaptureFixture[str], parameters: dict[str, Value], words: str
) -> None:
    assert words in refusal(main, {"bag": str(bag), **parameters}, capfd)
