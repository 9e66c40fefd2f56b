"""Depth images as glTF files of coloured surfaces, which browsers and 3-D programs show."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.simulation.colour import linear_from_srgb
from focdepth_ros.stack import ImageArray

# Neighbours whose inverse depths differ by more than this share of the whole range are two things.
_EDGE = 0.04
_FLOAT, _UNSIGNED_SHORT, _UNSIGNED_INT = 5126, 5123, 5125
_VERTICES, _INDICES = 34962, 34963  # targets of buffers


def write_glb(
    path: Path, points: NDArray[np.float32], colours: ImageArray, *, most_points: int = 80_000
) -> int:
    """Write the known points of an organised cloud as a binary glTF 2.0 file.

    Neighbours on one surface are joined by triangles, so that the cloud looks whole from near by;
    where depth jumps it stays open, and what is not known is left out. The points are turned into
    the axes of glTF: x right, y up, z backward.

    Parameters
    ----------
    path : Path
    points : (H, W, 3) float32
        x right, y down, z forward in metres; NaN where not known.
    colours : (H, W, 3) uint8 RGB
    most_points : int
        Of more pixels, rows and columns are left out evenly.

    Returns
    -------
    int
        How many points were written.

    Raises
    ------
    OSError
        If the file cannot be written.

    References
    ----------
    Khronos Group, "glTF 2.0 Specification", 2021, section 4.4 (GLB).
    """
    step = max(1, int(np.ceil(np.sqrt(points.shape[0] * points.shape[1] / most_points))))
    points, colours = points[::step, ::step], colours[::step, ::step]
    triangles = _triangles(points)
    used = np.unique(triangles)
    renumbered = np.zeros(points.shape[0] * points.shape[1], np.uint32)
    renumbered[used] = np.arange(len(used), dtype=np.uint32)
    corners = renumbered[triangles]
    vertices = points.reshape(-1, 3)[used] * np.array((1.0, -1.0, -1.0), np.float32)
    shades = np.full((len(used), 4), 65535, np.uint16)
    # Colours of vertices are linear light in glTF.
    shades[:, :3] = np.rint(65535.0 * linear_from_srgb(colours.reshape(-1, 3)[used]))
    path.write_bytes(_file(vertices, shades, corners))
    return len(used)


def _triangles(points: NDArray[np.float32]) -> NDArray[np.int64]:
    """Corners, (T, 3) pixel numbers, of the triangles between neighbours on one surface."""
    with np.errstate(divide="ignore"):
        closeness = 1.0 / points[..., 2]
    closeness[~np.isfinite(points).all(axis=-1)] = np.nan
    if np.isnan(closeness).all():
        return np.zeros((0, 3), np.int64)
    low, high = np.nanpercentile(closeness, (1.0, 99.0))
    limit = _EDGE * max(float(high - low), 1e-6)
    height, width = closeness.shape
    numbers = np.arange(height * width).reshape(height, width)
    squares = numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, :-1], numbers[1:, 1:]
    top_left, top_right, bottom_left, bottom_right = (square.ravel() for square in squares)
    # The front faces of glTF run counter-clockwise, seen with y up.
    upper = np.stack([top_left, bottom_left, top_right], axis=1)
    lower = np.stack([top_right, bottom_left, bottom_right], axis=1)
    both = np.concatenate([upper, lower])
    of_corners = closeness.ravel()[both]
    with np.errstate(invalid="ignore"):
        joined = np.ptp(of_corners, axis=1) <= limit  # false where one is not known
    return np.asarray(both[joined])


def _file(
    vertices: NDArray[np.float32], shades: NDArray[np.uint16], corners: NDArray[np.uint32]
) -> bytes:
    parts = [vertices.tobytes(), shades.tobytes(), corners.tobytes()]
    content: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "focdepth_ros"},
        "scene": 0,
        "scenes": [{"nodes": [0] if len(vertices) else []}],
    }
    if len(vertices):
        content |= _mesh(vertices, len(corners), [len(part) for part in parts])
    text = json.dumps(content).encode("ascii")
    text += b" " * (-len(text) % 4)
    data = b"".join(parts)
    chunks = [(b"JSON", text)] + ([(b"BIN\0", data)] if data else [])
    body = b"".join(struct.pack("<I", len(chunk)) + kind + chunk for kind, chunk in chunks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def _mesh(vertices: NDArray[np.float32], triangles: int, sizes: list[int]) -> dict[str, Any]:
    """What glTF says of one mesh whose colours are light of its own, as photographs are."""
    starts = [0, sizes[0], sizes[0] + sizes[1]]
    views = [
        {"buffer": 0, "byteOffset": start, "byteLength": size, "target": target}
        for start, size, target in zip(starts, sizes, (_VERTICES, _VERTICES, _INDICES), strict=True)
    ]
    positions = {
        "bufferView": 0,
        "componentType": _FLOAT,
        "count": len(vertices),
        "type": "VEC3",
        "min": vertices.min(axis=0).tolist(),
        "max": vertices.max(axis=0).tolist(),
    }
    colours = {
        "bufferView": 1,
        "componentType": _UNSIGNED_SHORT,
        "normalized": True,
        "count": len(vertices),
        "type": "VEC4",
    }
    corners = {
        "bufferView": 2,
        "componentType": _UNSIGNED_INT,
        "count": 3 * triangles,
        "type": "SCALAR",
    }
    unlit: dict[str, Any] = {"doubleSided": True, "extensions": {"KHR_materials_unlit": {}}}
    primitive = {"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}
    return {
        "extensionsUsed": ["KHR_materials_unlit"],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [unlit],
        "accessors": [positions, colours, corners],
        "bufferViews": views,
        "buffers": [{"byteLength": sum(sizes)}],
    }
