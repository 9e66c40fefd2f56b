"""Bags whose messages rclpy has serialised are read as those that rosbags writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags")

import yaml
from ament_index_python import get_package_share_directory
from cli_runs import run
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from small_sweep import small_sweep
from std_msgs.msg import Header

from focdepth_ros.bags import message_types as types
from focdepth_ros.bags.reading import BagReader, FocusFrame
from focdepth_ros.bags.sweeps import find_sweeps
from focdepth_ros.bags.writing import FRAME_ID, GROUND_TRUTH, IMAGES, INFOS, STATES, record_camera
from focdepth_ros.messages.image_decoding import ImageLimits
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.conversions import (
    camera_info_message,
    float_image_message,
    rgb_image_message,
    time_message,
)
from focdepth_ros.simulation import SimulatedCamera

START = 1_000_000_000
KINDS = {
    STATES: (types.FOCUS_STATE, FocusState),
    INFOS: (types.CAMERA_INFO, CameraInfo),
    IMAGES: (types.IMAGE, Image),
    GROUND_TRUTH: (types.IMAGE, Image),
}
Serialised = tuple[str, int, bytes]


def camera() -> SimulatedCamera:
    return SimulatedCamera(small_sweep(), pattern="far_to_near")


def serialised_by_rclpy() -> Iterator[Serialised]:
    """What `record_camera` writes, in the same order, from messages of ROS."""
    for frame in camera().frames(START, sweeps=2):
        header = Header(stamp=time_message(frame.stamp), frame_id=FRAME_ID)
        state = FocusState(
            header=header,
            focus_distance=frame.focus_distance,
            lens_position=frame.lens_position,
            lens_position_unit="dioptre",
            settled=frame.settled,
            sweep_id=frame.sweep_id,
            sweep_step=frame.sweep_step,
            sweep_size=frame.sweep_size,
        )
        assert camera().intrinsics is not None
        sent: dict[str, Any] = {
            STATES: state,
            INFOS: camera_info_message(camera().intrinsics, header),
            IMAGES: rgb_image_message(frame.image, header),
        }
        if frame.settled and frame.sweep_step == frame.sweep_size - 1:
            sent[GROUND_TRUTH] = float_image_message(small_sweep().depth, header)
        for topic, message in sent.items():
            yield topic, frame.stamp, serialize_message(message)


def definition(kind: str) -> str:
    """As rosbag2 writes it: the .msg file of ROS, and those of its parts after it."""
    texts: dict[str, str] = {}
    waiting = [kind]
    while waiting:
        name = waiting.pop(0)
        if name in texts:
            continue
        package, _, base = name.split("/")
        path = Path(get_package_share_directory(package)) / "msg" / f"{base}.msg"
        texts[name] = path.read_text(encoding="utf-8")
        for line in texts[name].splitlines():
            part = line.partition("#")[0].split()
            if part and part[0][0].isupper():
                waiting.append(f"{package}/msg/{part[0]}")
            elif part and "/" in part[0]:
                waiting.append("{}/msg/{}".format(*part[0].split("/")))
    first, *others = (f"MSG: {n.replace('/msg/', '/')}\n{text}" for n, text in texts.items())
    return ("=" * 80 + "\n").join([first.partition("\n")[2], *others])


def of_rclpy(path: Path, storage: str) -> Path:
    """With the definitions and hashes of ROS, as a recorder of Jazzy writes them."""
    store = types.message_types()
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage])
    with writer:
        topics = {
            topic: writer.add_connection(
                topic, kind, msgdef=definition(kind), rihs01=store.hash_rihs01(kind)
            )
            for topic, (kind, _) in KINDS.items()
        }
        for topic, stamp, data in serialised_by_rclpy():
            writer.write(topics[topic], stamp, data)
    return path


def of_humble(path: Path, storage: str) -> Path:
    """As a recorder of Humble leaves it: SQLite of schema 3, without definitions."""
    path.mkdir()
    counts = dict.fromkeys(KINDS, 0)
    stamps = []
    with sqlite3.connect(path / "bag_0.db3") as database:
        database.executescript(
            "CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);"
            "CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL,"
            " metadata TEXT NOT NULL);"
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,"
            " serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL);"
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL,"
            " timestamp INTEGER NOT NULL, data BLOB NOT NULL);"
            "CREATE INDEX timestamp_idx ON messages (timestamp ASC);"
            "INSERT INTO schema VALUES (3, 'humble');"
        )
        ids = {topic: number for number, topic in enumerate(KINDS, start=1)}
        for topic, (kind, _) in KINDS.items():
            row = (ids[topic], topic, kind, "cdr", "")
            database.execute("INSERT INTO topics VALUES (?, ?, ?, ?, ?)", row)
        for topic, stamp, data in serialised_by_rclpy():
            counts[topic] += 1
            stamps.append(stamp)
            database.execute(
                "INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)",
                (ids[topic], stamp, data),
            )
    duration = {"nanoseconds": max(stamps) - min(stamps)}
    begin = {"nanoseconds_since_epoch": min(stamps)}
    total = sum(counts.values())
    information = {
        "version": 5,
        "storage_identifier": "sqlite3",
        "duration": duration,
        "starting_time": begin,
        "message_count": total,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic,
                    "type": kind,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": "",
                },
                "message_count": counts[topic],
            }
            for topic, (kind, _) in KINDS.items()
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": ["bag_0.db3"],
        "files": [
            {
                "path": "bag_0.db3",
                "starting_time": begin,
                "duration": duration,
                "message_count": total,
            }
        ],
    }
    (path / "metadata.yaml").write_text(
        yaml.safe_dump({"rosbag2_bagfile_information": information})
    )
    return path


@pytest.fixture(scope="module")
def of_rosbags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "of_rosbags"
    record_camera(path, camera(), depth=small_sweep().depth, sweeps=2)
    return path


@pytest.mark.parametrize(
    ("write", "storage"), [(of_rclpy, "SQLITE3"), (of_rclpy, "MCAP"), (of_humble, "")]
)
def test_all_is_read_alike(of_rosbags: Path, tmp_path: Path, write: Any, storage: str) -> None:
    bag = write(tmp_path / "bag", storage)
    found, expected = find_sweeps(bag), find_sweeps(of_rosbags)
    assert found.topics == expected.topics
    assert found.dropped == expected.dropped
    assert found.left_out == expected.left_out == ()
    assert len(found.sweeps) == len(expected.sweeps) == 2
    for one, other in zip(found.sweeps, expected.sweeps, strict=True):
        assert one.slices == other.slices
        assert one.depth == other.depth
        assert one.frame_id == other.frame_id == FRAME_ID
        assert one.intrinsics() == other.intrinsics()
        assert one.intrinsics()[0] is not None
        (stack, depth), (other_stack, other_depth) = found.load(one), expected.load(other)
        assert depth is not None
        np.testing.assert_array_equal(depth, other_depth)
        assert stack.intrinsics == other_stack.intrinsics
        for a, b in zip(stack.slices, other_stack.slices, strict=True):
            np.testing.assert_array_equal(a.image, b.image)
            assert a.stamp == b.stamp
    assert focus_samples(bag, found.topics) == focus_samples(of_rosbags, found.topics)


def focus_samples(bag: Path, topics: Any) -> list[str]:
    """All focus states; as texts, since NaN is not NaN."""
    with BagReader(bag) as reader:
        frames = list(reader.frames(topics, ImageLimits(), lambda *what: pytest.fail(str(what))))
    return [repr(frame.sample) for frame in frames if isinstance(frame, FocusFrame)]


def test_both_evaluate_to_the_same_figures(of_rosbags: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    figures = []
    for bag in (of_rosbags, of_rclpy(tmp_path / "of_rclpy", "SQLITE3")):
        out = tmp_path / f"figures_{len(figures)}"
        arguments = ("--backend", "argmax", "--output", out, "--no-pictures")
        assert run("bag", "eval", bag, *arguments) == 0
        lines = (out / "scores.jsonl").read_text().splitlines()
        figures.append([json.loads(line)["figures"] for line in lines])
    assert len(figures[0]) == 2
    assert figures[0] == figures[1]


def test_compressed_images_of_rclpy(tmp_path: Path) -> None:
    """The sequence of bytes of an image may have any length, so padding matters."""
    pictures = [png_of(item.image) for item in small_sweep().stack.slices]
    store = types.message_types()
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            topic: writer.add_connection(topic, kind, typestore=store)
            for topic, kind in (
                (STATES, types.FOCUS_STATE),
                ("/image_raw/compressed", types.COMPRESSED_IMAGE),
            )
        }
        for number, (item, data) in enumerate(
            zip(small_sweep().stack.slices, pictures, strict=True)
        ):
            stamp = START + number * 33_000_000
            header = Header(stamp=time_message(stamp), frame_id="c" * (number + 1))
            image = CompressedImage(header=header, format="png", data=data)
            state = FocusState(
                header=header,
                focus_distance=item.focus_distance,
                lens_position=float("nan"),
                settled=True,
            )
            writer.write(topics[STATES], stamp, serialize_message(state))
            writer.write(topics["/image_raw/compressed"], stamp, serialize_message(image))
    contents = find_sweeps(tmp_path / "bag")
    (sweep,) = contents.sweeps
    stack, _ = contents.load(sweep)
    for found, given in zip(stack.slices, small_sweep().stack.slices, strict=True):
        np.testing.assert_array_equal(found.image, given.image)


def png_of(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
