"""Copies of bags with some messages changed or left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from focdepth_ros.bags.message_types import message_types

#: Topic, number from 0 on that topic, and message; gives the message, or None to leave it out.
Change = Callable[[str, int, Any], Any]


def rewritten(source: Path, path: Path, change: Change, storage: str = "SQLITE3") -> Path:
    """A copy whose messages went through `change`, with the quality of service of the source."""
    store = message_types()
    counts: dict[str, int] = {}
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage])
    with Reader(source) as reader, writer:
        connections = {
            c.topic: writer.add_connection(
                c.topic,
                c.msgtype,
                typestore=store,
                offered_qos_profiles=c.ext.offered_qos_profiles,
            )
            for c in reader.connections
        }
        for connection, stamp, data in reader.messages():
            topic = connection.topic
            number = counts[topic] = counts.get(topic, -1) + 1
            message = change(topic, number, store.deserialize_cdr(data, connection.msgtype))
            if message is not None:
                data = store.serialize_cdr(message, connection.msgtype)
                writer.write(connections[topic], stamp, data)
    return path


def without(*topics: str) -> Change:
    return lambda topic, number, message: None if topic in topics else message
