"""Bags that can be read only as a copy: compressed as a whole, or cut off.

The copy is made once, not whenever a sweep is read.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import weakref
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from focdepth_ros.bags.salvage import salvage_file
from focdepth_ros.errors import BagError
from focdepth_ros.files.yaml_files import parse_yaml

METADATA = "metadata.yaml"

_INFORMATION = "rosbag2_bagfile_information"
_PACKED_LINES = (r"compression_mode:\s*['\"]?file\b", r"compression_format:\s*['\"]?zstd\b")
_BLOCK = 2**20  # bytes


class ReadableBag:
    """A bag to be read at `path`; if that is a copy, it is there as long as this object.

    Attributes
    ----------
    path : Path
    damage : str
        What was left out of a bag that was cut off.
    """

    def __init__(self, path: Path, damage: str = "") -> None:
        self.path = path
        self.damage = damage


def unpacked(bag: Path) -> ReadableBag:
    """The bag itself, or a copy without compression if its files are compressed.

    The copy of the bag that was asked for last is kept until another is, or the program ends.
    """
    if not bag.is_dir() or not _is_packed(bag / METADATA):
        return ReadableBag(bag)
    return _copy(bag, state_of(bag))


def state_of(bag: Path) -> tuple[tuple[str, int, int], ...]:
    """Something that is another one when a file of the bag was changed."""
    files = sorted(bag.iterdir()) if bag.is_dir() else [bag]
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def lacks_messages_because(bag: Path) -> str:
    """Why messages may be in none of the files of a bag that are read; empty if all are."""
    files = sorted(bag.glob("*.db3")) if bag.is_dir() else [bag]
    logs = [(file, Path(f"{file}-wal")) for file in files]
    return "; ".join(
        f"{log.name} may hold messages that its recorder had no time to write into {file.name}, "
        f"and which are left out; `sqlite3 {file} 'PRAGMA wal_checkpoint(TRUNCATE)'` does that"
        for file, log in logs
        if log.is_file() and log.stat().st_size > 0
    )


def salvaged(bag: Path) -> ReadableBag:
    """A copy of what can still be read of a bag that was cut off; kept as that of `unpacked`.

    Raises
    ------
    BagError
        If that is nothing.
    """
    return _salvaged_copy(bag, state_of(bag))


@lru_cache(maxsize=1)
def _copy(bag: Path, state: object) -> ReadableBag:
    copy = _empty_copy()
    metadata = _metadata(bag)
    names = [Path(name).name for name in metadata["relative_file_paths"]]
    for name in names:
        _decompress(bag / name, copy.path / Path(name).stem)
    changed = {"compression_mode": "", "compression_format": ""}
    _write_metadata(copy.path, {**metadata, **changed}, [Path(name).stem for name in names])
    return copy


@lru_cache(maxsize=1)
def _salvaged_copy(bag: Path, state: object) -> ReadableBag:
    copy = _empty_copy()
    if bag.is_file():
        copy.damage = salvage_file(bag, copy.path / bag.name)
        copy.path /= bag.name
        return copy
    metadata = _metadata(bag)
    found, damages = [], []
    for path in (bag / Path(name).name for name in metadata["relative_file_paths"]):
        try:
            damages.append(_salvaged_or_linked(path, copy.path / path.name))
            found.append(path.name)
        except (BagError, OSError) as error:
            damages.append(f"{path.name}: nothing can be read: {error}")
    if not found:
        raise BagError("; ".join(damages))
    _write_metadata(copy.path, metadata, found)
    copy.damage = "; ".join(filter(None, damages))
    return copy


def _salvaged_or_linked(path: Path, target: Path) -> str:
    """Nothing to say where the file is whole."""
    from rosbags.rosbag2 import Reader

    try:
        with Reader(path):
            target.symlink_to(path.absolute())
            return ""
    except Exception:  # as a damaged file fails in many ways
        return salvage_file(path, target)


def _empty_copy() -> ReadableBag:
    folder = Path(tempfile.mkdtemp(prefix="focdepth-bag-"))
    copy = ReadableBag(folder)
    weakref.finalize(copy, shutil.rmtree, folder, ignore_errors=True)
    return copy


def _metadata(bag: Path) -> dict[str, Any]:
    return dict(parse_yaml((bag / METADATA).read_bytes())[_INFORMATION])


def _write_metadata(folder: Path, metadata: dict[str, Any], files: list[str]) -> None:
    text = yaml.safe_dump({_INFORMATION: {**metadata, "relative_file_paths": files}})
    (folder / METADATA).write_text(text, encoding="utf-8")


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
