"""Bags whose files are compressed as a whole: unpacked once, not whenever a sweep is read."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import weakref
from functools import lru_cache
from pathlib import Path

import yaml

METADATA = "metadata.yaml"

_INFORMATION = "rosbag2_bagfile_information"
_PACKED_LINES = (r"compression_mode:\s*['\"]?file\b", r"compression_format:\s*['\"]?zstd\b")
_BLOCK = 2**20  # bytes


class UnpackedBag:
    """A bag to be read at `path`; if that is a copy, it is there as long as this object."""

    def __init__(self, path: Path) -> None:
        self.path = path


def unpacked(bag: Path) -> UnpackedBag:
    """The bag itself, or a copy without compression if its files are compressed.

    The copy of the bag that was asked for last is kept until another is, or the program ends.
    """
    if not bag.is_dir() or not _is_packed(bag / METADATA):
        return UnpackedBag(bag)
    return _copy(bag, state_of(bag))


def state_of(bag: Path) -> tuple[tuple[str, int, int], ...]:
    """Something that is another one when a file of the bag was changed."""
    files = sorted(bag.iterdir()) if bag.is_dir() else [bag]
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


@lru_cache(maxsize=1)
def _copy(bag: Path, state: object) -> UnpackedBag:
    folder = Path(tempfile.mkdtemp(prefix="focdepth-bag-"))
    copy = UnpackedBag(folder)
    weakref.finalize(copy, shutil.rmtree, folder, ignore_errors=True)
    metadata = yaml.safe_load((bag / METADATA).read_text(encoding="utf-8"))[_INFORMATION]
    files = [Path(name).name for name in metadata["relative_file_paths"]]
    for name in files:
        _decompress(bag / name, folder / Path(name).stem)
    changed = {
        "relative_file_paths": [Path(name).stem for name in files],
        "compression_mode": "",
        "compression_format": "",
    }
    text = yaml.safe_dump({_INFORMATION: {**metadata, **changed}})
    (folder / METADATA).write_text(text, encoding="utf-8")
    return copy


def _is_packed(path: Path) -> bool:
    """Whether metadata say so; looked for as text, since to parse them takes long."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return all(re.search(line, text, re.IGNORECASE) for line in _PACKED_LINES)


def _decompress(source: Path, target: Path) -> None:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:  # comes with rosbags
        from backports import zstd
    with zstd.open(source, "rb") as packed, target.open("wb") as out:
        shutil.copyfileobj(packed, out, _BLOCK)
