"""Messages in bags that claim sizes which cannot be: they are left out, the rest is read."""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bag_copies import SLICES, recorded, rewritten, storage_file

from focdepth_ros.bags.sweeps import find_sweeps
from focdepth_ros.bags.writing import GROUND_TRUTH, IMAGES, INFOS
from focdepth_ros.datasets.bag_sweeps import BagSweeps
from focdepth_ros.errors import BagError
from focdepth_ros.simulation import SimulatedStack


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"height": 2**32 - 1}, "bad image size"),
        ({"width": 2**32 - 1, "height": 2**32 - 1}, "bad image size"),
        ({"step": 2**32 - 1}, "wrong size of image data"),
        ({"height": 0}, "bad image size"),
        ({"step": 0}, "wrong size of image data"),
    ],
)
def test_of_images(whole: Path, tmp_path: Path, fields: dict[str, int], reason: str) -> None:
    def change(topic: str, number: int, message: Any) -> Any:
        return replace(message, **fields) if (topic, number) == (IMAGES, 1) else message

    contents = find_sweeps(rewritten(whole, tmp_path / "bag", change))
    assert contents.dropped[reason] == 1
    assert any(text.startswith(f"{reason} (1): {IMAGES}, at 1.") for text in contents.left_out)
    assert [len(sweep.slices) for sweep in contents.sweeps] == [SLICES - 1, SLICES]


@pytest.mark.parametrize(
    "fields",
    [{"height": 2**32 - 1}, {"width": 2**32 - 1}, {"step": 2**32 - 1}, {"height": 0}],
)
def test_of_the_truth(whole: Path, tmp_path: Path, fields: dict[str, int]) -> None:
    def change(topic: str, number: int, message: Any) -> Any:
        return replace(message, **fields) if (topic, number) == (GROUND_TRUTH, 0) else message

    dataset = BagSweeps(rewritten(whole, tmp_path / "bag", change))
    with pytest.raises(BagError, match="image on /ground_truth/depth of .* px has 27648 bytes"):
        dataset.load("sweep_0001")
    assert dataset.load("sweep_0002").depth is not None


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 27649])
def test_of_a_sequence(simulated: SimulatedStack, tmp_path: Path, length: int) -> None:
    """Bytes that claim to be more than there are; nothing is allocated for them."""
    bag = recorded(tmp_path / "bag", simulated)
    with sqlite3.connect(storage_file(bag)) as database:
        number, data = database.execute(
            "SELECT m.id, m.data FROM messages m JOIN topics t ON t.id = m.topic_id"
            " WHERE t.name = ? ORDER BY m.id LIMIT 1 OFFSET 1",
            (IMAGES,),
        ).fetchone()
        at = data.index(struct.pack("<I", 96 * 72 * 3))
        lying = data[:at] + struct.pack("<I", length) + data[at + 4 :]
        database.execute("UPDATE messages SET data = ? WHERE id = ?", (lying, number))
    contents = find_sweeps(bag)
    assert [len(sweep.slices) for sweep in contents.sweeps] == [SLICES - 1, SLICES]
    reasons = ("damaged message", "wrong size of image data")
    assert sum(contents.dropped.get(reason, 0) for reason in reasons) == 1


def test_of_a_calibration(whole: Path, tmp_path: Path) -> None:
    def change(topic: str, number: int, message: Any) -> Any:
        return replace(message, width=2**32 - 1) if topic == INFOS else message

    contents = find_sweeps(rewritten(whole, tmp_path / "bag", change))
    intrinsics, why = contents.sweeps[0].intrinsics()
    assert intrinsics is None
    assert "camera_info is for images of 4294967295x72 px" in why
    stack, _ = contents.load(contents.sweeps[0])
    assert stack.intrinsics is None
