"""What can still be read of a bag that was cut off, as by a robot that lost its power.

SQLite and MCAP both begin with what they need to be read, so all messages up to the cut are
there; but neither is opened as it is. They are copied into files that are whole.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from focdepth_ros.errors import BagError

_MAGIC = b"\x89MCAP0\r\n"
_RECORD = struct.Struct("<BQ")  # kind and length of what follows
_MESSAGE, _CHUNK = 0x05, 0x06
_KINDS = range(0x01, 0x0F)  # before the end of the data
# A footer that says there is no summary, so that the file is read from its beginning.
_END = _RECORD.pack(0x02, 20) + bytes(20) + _MAGIC
_BLOCK = 2**20  # bytes
# Of the SQLite storage of rosbag2; all that is read.
_TABLES = ("schema", "metadata", "message_definitions", "topics", "messages")


def salvage_file(damaged: Path, target: Path) -> str:
    """Copy what is whole of a ``.db3`` or ``.mcap`` file into a new one.

    Returns
    -------
    str
        How much that is.

    Raises
    ------
    BagError
        If no message can be read.
    OSError
        If the file cannot be read or the new one not be written.
    """
    if damaged.suffix == ".mcap":
        return _salvage_mcap(damaged, target)
    return _salvage_sqlite(damaged, target)


def _salvage_mcap(damaged: Path, target: Path) -> str:
    size = damaged.stat().st_size
    ends: list[int] = []  # of what comes before the last message or chunk, and of that itself
    with damaged.open("rb") as source:
        if source.read(len(_MAGIC)) != _MAGIC:
            raise BagError(f"{damaged}: is no MCAP file")
        before = len(_MAGIC)
        for kind, end in _mcap_records(source, size):
            if kind in (_MESSAGE, _CHUNK):
                ends = [before, end]
            before = end
    # Of the last one only the length may be there.
    for whole in reversed(ends):
        _copy_mcap(damaged, target, whole)
        if _is_bag_with_messages(target):
            return f"{damaged.name}: the first {whole} of {size} bytes are read"
    raise BagError(f"{damaged}: has no whole message")


def _copy_mcap(damaged: Path, target: Path, size: int) -> None:
    with damaged.open("rb") as source, target.open("wb") as out:
        left = size
        while left:
            left -= out.write(source.read(min(left, _BLOCK)))
        out.write(_END)


def _is_bag_with_messages(path: Path) -> bool:
    from rosbags.rosbag2 import Reader

    try:
        with Reader(path) as reader:
            return bool(reader.message_count)
    except Exception:  # a damaged file fails in many ways
        return False


def _mcap_records(source: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Kind and end of the whole records from here on."""
    position = source.tell()
    while position + _RECORD.size <= size:
        kind, length = _RECORD.unpack(source.read(_RECORD.size))
        position += _RECORD.size + length
        if position > size or kind not in _KINDS:
            return
        yield kind, position
        source.seek(position)


def _salvage_sqlite(damaged: Path, target: Path) -> str:
    count = 0
    uri = f"{damaged.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as source:
            source.execute("PRAGMA writable_schema = ON")  # or a cut-off file is refused at once
            with closing(sqlite3.connect(target)) as out, out:
                for name in _tables(source):
                    _create_like(source, out, name)
                    if name != "messages":
                        _copy_rows(source, out, name)
                try:
                    for row in source.execute("SELECT * FROM messages ORDER BY id"):
                        _insert(out, "messages", row)
                        count += 1
                except sqlite3.DatabaseError:
                    pass  # here it is cut off
                out.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
    except sqlite3.DatabaseError as error:
        raise BagError(f"{damaged}: {error}") from error
    if not count:
        raise BagError(f"{damaged}: has no whole message")
    return f"{damaged.name}: its first {count} messages are read"


def _tables(source: sqlite3.Connection) -> list[str]:
    found = source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return [name for (name,) in found.fetchall() if name in _TABLES]


def _create_like(source: sqlite3.Connection, out: sqlite3.Connection, table: str) -> None:
    """A table with the same columns; the statement in the file could be any."""
    columns = [row[1] for row in source.execute(f'PRAGMA table_info("{table}")')]
    names = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
    out.execute(f'CREATE TABLE "{table}" ({names})')


def _copy_rows(source: sqlite3.Connection, out: sqlite3.Connection, table: str) -> None:
    for row in source.execute(f'SELECT * FROM "{table}"'):
        _insert(out, table, row)


def _insert(out: sqlite3.Connection, table: str, row: tuple[object, ...]) -> None:
    out.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)
