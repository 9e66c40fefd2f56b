"""Point clouds as binary PLY files, written and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import StackFileError
from focdepth_ros.stack import ImageArray

_VERTEX = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
)
_TYPE_NAMES = {"f": "float", "u": "uchar"}
_END_OF_HEADER = b"\nend_header\n"


def write_ply(path: Path, points: NDArray[np.float32], colours: ImageArray) -> None:
    """Write the known points of a cloud as a little-endian binary PLY file.

    Parameters
    ----------
    path : Path
    points : (..., 3) float32
        x, y, z in metres; points that are not finite are left out.
    colours : (..., 3) uint8 RGB
        One per point.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path.write_bytes(ply_bytes(points, colours))


def ply_bytes(points: NDArray[np.float32], colours: ImageArray) -> bytes:
    """The content of the file that `write_ply` writes.

    References
    ----------
    Turk, "The PLY Polygon File Format", 1994.
    """
    known = np.isfinite(points).all(axis=-1)
    vertices = np.empty(np.count_nonzero(known), _VERTEX)
    for name, values in zip(("x", "y", "z"), points[known].T, strict=True):
        vertices[name] = values
    for name, values in zip(("red", "green", "blue"), colours[known].T, strict=True):
        vertices[name] = values
    return _header(len(vertices)) + vertices.tobytes()


def read_ply(path: Path) -> tuple[NDArray[np.float32], ImageArray]:
    """Points (N, 3) in metres and RGB colours (N, 3) of a file that `write_ply` has written.

    Raises
    ------
    StackFileError
        If it is another kind of file, or damaged.
    OSError
        If it cannot be read.
    """
    content = path.read_bytes()
    start = content.find(_END_OF_HEADER) + len(_END_OF_HEADER)
    size = len(content) - start
    if content[:start] != _header(size // _VERTEX.itemsize) or size % _VERTEX.itemsize:
        raise StackFileError(
            f"{path} is no cloud as `focdepth estimate` writes it, or it is damaged; write it again"
        )
    vertices = np.frombuffer(content, _VERTEX, offset=start)
    points = np.stack([vertices[name] for name in ("x", "y", "z")], axis=-1)
    colours = np.stack([vertices[name] for name in ("red", "green", "blue")], axis=-1)
    return points, colours


def _header(vertices: int) -> bytes:
    properties = [
        f"property {_TYPE_NAMES[_VERTEX[name].kind]} {name}" for name in _VERTEX.names or ()
    ]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment metres; x right, y down, z forward",
        f"element vertex {vertices}",
        *properties,
    ]
    return "\n".join(lines).encode("ascii") + _END_OF_HEADER
