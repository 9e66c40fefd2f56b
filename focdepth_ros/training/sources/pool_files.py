"""Rendered focal stacks on disk, read a crop at a time.

A pool is a folder of .npz files, one a stack, without noise and not compressed, so that they
can be mapped into memory: a training step touches only the pages that its crops lie on, and
the operating system keeps those that are used. What else lies there, such as the pool.yaml of
`focdepth pool`, is not read.

| key | type | what |
|---|---|---|
| images | (N, H, W, 3) uint8 | sRGB, near to far, without noise |
| dioptre | (H, W) float32 | true inverse depth in 1/m; 0 at infinity, NaN where not known |
| focus | (N,) float64 | inverse focus distances in 1/m, falling |
| labels | (H, W) int8, optional | see `random_layers.SurfaceClass`; -1 where not known |
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import StackFileError

_LOCAL_HEADER = 30  # bytes, before the name and the extra field of a zip member
_UNPACKED = "save it with numpy.savez, as `focdepth pool` does"


@dataclass(frozen=True)
class _Member:
    offset: int
    shape: tuple[int, ...]
    kind: str


@dataclass(frozen=True, eq=False)
class PoolStack:
    """Where the parts of one rendered stack lie in its file.

    Parameters
    ----------
    path : Path
    focus : (N,) float64
        Inverse focus distances in 1/m, falling.
    size : (int, int)
        Height and width.
    """

    path: Path
    focus: NDArray[np.float64]
    size: tuple[int, int]
    members: dict[str, _Member]

    @property
    def has_labels(self) -> bool:
        """Whether it is known what is seen."""
        return "labels" in self.members

    def mapped(self, name: str) -> NDArray[Any]:
        """``images``, ``dioptre`` or ``labels``, mapped into memory and not to be written to."""
        member = self.members[name]
        return np.memmap(
            self.path, dtype=member.kind, mode="r", offset=member.offset, shape=member.shape
        )


def find_pool(folder: Path | str) -> tuple[PoolStack, ...]:
    """All stacks of a pool in the order of their names.

    Raises
    ------
    StackFileError
        If there is no such folder, no stack in it, or a file that is no rendered stack.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StackFileError(
            f"pool folder '{folder}' does not exist; make one with `focdepth pool`"
        )
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise StackFileError(f"pool folder '{folder}' holds no .npz; fill it with `focdepth pool`")
    return tuple(_read_stack(path) for path in paths)


def _read_stack(path: Path) -> PoolStack:
    try:
        members = _find_members(path)
        with np.load(path, allow_pickle=False) as stored:
            focus = np.asarray(stored["focus"], dtype=np.float64)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StackFileError(f"'{path}' is no rendered stack ({error}); {_UNPACKED}") from error
    images, dioptre = members["images"], members["dioptre"]
    size = images.shape[1:3]
    fits = (
        images.kind == "|u1"
        and images.shape == (len(focus), *size, 3)
        and dioptre.kind == "<f4"
        and dioptre.shape == size
        and ("labels" not in members or members["labels"].shape == size)
    )
    if not fits or len(focus) < 2 or np.any(np.diff(focus) >= 0.0) or focus[-1] < 0.0:
        raise StackFileError(
            f"'{path}' holds images {images.kind} {images.shape}, dioptre {dioptre.kind} "
            f"{dioptre.shape} and focus {focus.tolist()}; give (N, H, W, 3) uint8, (H, W) float32 "
            "and N falling dioptres of at least 2 slices"
        )
    return PoolStack(path, focus, (size[0], size[1]), members)


def _find_members(path: Path) -> dict[str, _Member]:
    """Place and type of the arrays inside an uncompressed .npz."""
    members = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for name in ("images", "dioptre", "labels"):
            if name == "labels" and "labels.npy" not in archive.namelist():
                continue
            info = archive.getinfo(f"{name}.npy")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{name} is compressed")
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER)
            name_length, extra_length = (
                int.from_bytes(header[at : at + 2], "little") for at in (26, 28)
            )
            file.seek(info.header_offset + _LOCAL_HEADER + name_length + extra_length)
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"{name} has npy format {version}")
            shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
            if fortran:
                raise ValueError(f"{name} is in column order")
            members[name] = _Member(file.tell(), shape, kind.str)
    return members
