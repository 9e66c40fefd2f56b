"""What the tests of the viewer share: its recordings, read back by Rerun's own reader; ports."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

needs_viewer = pytest.mark.skipif(
    find_spec("rerun") is None,
    reason="rerun-sdk is not installed: pip install -r requirements/view.txt, or make test-view",
)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()


class Recording:
    """Everything that was shown, by place and then by stamp [ns]; None: for all times."""

    def __init__(self, path: Path) -> None:
        from rerun.chunk import RrdReader

        self.rows: dict[str, dict[int | None, dict[str, Any]]] = {}
        for chunk in RrdReader(path).stream().to_chunks():
            place = self.rows.setdefault(chunk.entity_path, {})
            for row in _rows(chunk.to_record_batch()):
                place[row.get("stamp")] = row

    def image(self, place: str, stamp: int | None, shape: tuple[int, ...], kind: str) -> np.ndarray:
        """The pixels, bit by bit as they were logged."""
        return np.frombuffer(self.rows[place][stamp]["buffer"], kind).reshape(shape)

    def cloud(self, stamp: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3) and colours (N, 3)."""
        row = self.rows["/cloud"][stamp]
        colours = np.array(row["Points3D:colors"], np.uint32)
        points = np.array(row["Points3D:positions"], np.float32)
        return points, np.stack([colours >> s & 0xFF for s in (24, 16, 8)], -1).astype(np.uint8)


def _rows(batch: Any) -> list[dict[str, Any]]:
    """Rows by column; stamps in nanoseconds, bytes of images as arrays: as lists they are slow."""
    rows: list[dict[str, Any]] = [{} for _ in range(batch.num_rows)]
    for name in batch.schema.names:
        column = batch.column(name)
        for index, row in enumerate(rows):
            if name.endswith(":buffer"):
                row["buffer"] = column[index].values[0].values.to_numpy(zero_copy_only=False)
            elif name == "stamp":
                row[name] = column[index].value
            elif name not in ("log_time", "rerun.controls.RowId"):
                row[name] = column[index].as_py()
    return rows
