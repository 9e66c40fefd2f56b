from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.files.ply import write_ply

# As the format's own description reads, written down a second time to check the first.
VERTEX = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
)


def read(path: Path) -> tuple[list[str], np.ndarray]:
    header, _, body = path.read_bytes().partition(b"end_header\n")
    return header.decode("ascii").splitlines(), np.frombuffer(body, VERTEX)


def test_holds_the_known_points_with_their_colours(tmp_path: Path) -> None:
    points = np.array([[[1, 2, 3], [np.nan] * 3], [[4, 5, np.inf], [-1, 0, 0.5]]], np.float32)
    colours = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    write_ply(tmp_path / "a.ply", points, colours)
    header, vertices = read(tmp_path / "a.ply")
    assert header[:2] == ["ply", "format binary_little_endian 1.0"]
    assert header[-7:] == [
        "element vertex 2",
        *(f"property float {name}" for name in "xyz"),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
    ]
    assert vertices.tolist() == [(1.0, 2.0, 3.0, 0, 1, 2), (-1.0, 0.0, 0.5, 9, 10, 11)]


def test_may_be_empty(tmp_path: Path) -> None:
    write_ply(
        tmp_path / "a.ply", np.full((2, 2, 3), np.nan, np.float32), np.zeros((2, 2, 3), np.uint8)
    )
    header, vertices = read(tmp_path / "a.ply")
    assert "element vertex 0" in header
    assert len(vertices) == 0


def test_raises_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_ply(
            tmp_path / "no" / "a.ply", np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8)
        )
