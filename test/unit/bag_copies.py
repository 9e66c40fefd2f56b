"""Small bags for tests, and copies of them that are other in one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lz4.frame
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import zstd

from focdepth_ros.bags import message_types as types
from focdepth_ros.bags.writing import record_camera
from focdepth_ros.simulation import SimulatedCamera, SimulatedStack

SLICES = 4
WIDTH, HEIGHT = 96, 72

#: Topic, number from 0 on that topic, and message; gives the message, or None to leave it out.
Change = Callable[[str, int, Any], Any]
#: Topic, type, time of receipt and message.
More = tuple[str, str, int, Any]


def recorded(path: Path, simulated: SimulatedStack, **how: Any) -> Path:
    """Two sweeps of a simulated camera with truth."""
    camera = SimulatedCamera(simulated.stack, pattern="far_to_near")
    record_camera(path, camera, **{"depth": simulated.depth, "sweeps": 2, **how})
    return path


def rewritten(
    source: Path,
    path: Path,
    change: Change = lambda topic, number, message: message,
    storage: str = "SQLITE3",
    *,
    chunks: str = "",
    more: Iterable[More] = (),
) -> Path:
    """A copy with `more`, whose messages went through `change`, its quality of service kept.

    `chunks`: what compresses the chunks of MCAP, each of a few messages.
    """
    store = types.message_types()
    counts: dict[str, int] = {}
    more = list(more)
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage])
    with Reader(source) as reader, writer:
        if chunks:
            writer.storage.compression = chunks
            writer.storage.compressor = {"lz4": lz4.frame.compress, "zstd": zstd.compress}[chunks]
        connections = {
            c.topic: writer.add_connection(
                c.topic,
                c.msgtype,
                typestore=store,
                offered_qos_profiles=c.ext.offered_qos_profiles,
            )
            for c in reader.connections
        }
        for topic, kind, _, _ in more:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
        for connection, stamp, data in reader.messages():
            topic = connection.topic
            number = counts[topic] = counts.get(topic, -1) + 1
            message = change(topic, number, store.deserialize_cdr(data, connection.msgtype))
            if message is not None:
                data = store.serialize_cdr(message, connection.msgtype)
                writer.write(connections[topic], stamp, data)
            if chunks and sum(counts.values()) % 5 == 0:
                writer.storage.close_chunk()
        for topic, kind, stamp, message in more:
            writer.write(connections[topic], stamp, store.serialize_cdr(message, kind))
    return path


def without(*topics: str) -> Change:
    """A change that leaves out topics."""
    return lambda topic, number, message: None if topic in topics else message


def storage_file(bag: Path) -> Path:
    """That with the messages, of a bag of one."""
    (file,) = [path for path in bag.iterdir() if path.suffix in (".db3", ".mcap")]
    return file
