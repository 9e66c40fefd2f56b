"""Unpacking a zip file of a stranger: nothing outside the folder, and no more than was agreed."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from focdepth_ros.errors import StackFileError, quoted
from focdepth_ros.web.limits import WebLimits

_BLOCK = 2**20  # bytes
_MEGABYTE = 1e6
_ENTRIES_PER_IMAGE = 4  # a stack has few files beside its images; the rest is something else
_END = b"PK\x05\x06"
_END_RECORD = struct.Struct("<12sI")  # what comes before, size of the table of contents
_ZIP64 = b"PK\x06\x07"  # more than 65,535 files or 4 GB
_LONGEST_END = 2**17  # bytes; more than an end has with the longest comment
_LARGEST_DIRECTORY = 1_000_000  # bytes; more than any stack has
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".jar"})


def unpack(
    archive: Path, folder: Path, limits: WebLimits, wanted: Callable[[str], bool]
) -> tuple[str, ...]:
    """Unpack the wanted files of a zip file into one flat folder.

    What systems and viewers leave in zip files, such as ``__MACOSX`` or hidden files, is passed
    over without a word.

    Parameters
    ----------
    archive : Path
    folder : Path
        Is there and empty.
    limits : WebLimits
    wanted : callable
        Says of a file name without folders whether it is to be unpacked.

    Returns
    -------
    tuple of str
        Names, without folders, of the files that are not wanted.

    Raises
    ------
    StackFileError
        If it is no zip file, is damaged or encrypted, holds more than the limits allow, another
        archive, a path that leads out of it, or wanted files in several folders.
    """
    try:
        _check_directory(archive)
        with zipfile.ZipFile(archive) as opened:
            entries, foreign = _entries(opened, archive.name, limits, wanted)
            left = int(limits.max_unpacked_mb * _MEGABYTE)
            for entry in entries:
                target = folder / PurePosixPath(entry.filename).name
                left -= _write(opened, entry, target, left, archive.name, limits)
            return foreign
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        # zipfile raises the last three for kinds of compression and headers that it does not know.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StackFileError(
            f"{archive.name}: not a zip file that can be read ({reason}); make it anew"
        ) from error
    except Exception as error:  # of zlib, lzma and bz2: each has an error of its own
        if isinstance(error, StackFileError | OSError):
            raise
        raise StackFileError(f"{archive.name}: is damaged ({error}); make it anew") from error


def _entries(
    opened: zipfile.ZipFile, name: str, limits: WebLimits, wanted: Callable[[str], bool]
) -> tuple[list[zipfile.ZipInfo], tuple[str, ...]]:
    """The files to unpack, after everything that the zip file claims of itself was checked.

    Beside them the names of those that are not wanted.
    """
    everything = opened.infolist()
    most = _ENTRIES_PER_IMAGE * limits.max_images
    if len(everything) > most:
        raise StackFileError(
            f"{name}: holds {len(everything)} files, at most {most} are taken; zip the images of "
            "one stack only"
        )
    kept: list[zipfile.ZipInfo] = []
    foreign: list[str] = []
    for entry in everything:
        entry.filename = entry.filename.replace("\\", "/")  # some programs of Windows write these
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
            raise StackFileError(
                f"{name}: holds {quoted(entry.filename)}, a path that leads out of it; zip plain "
                "files"
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise StackFileError(
                f"{name}: {quoted(entry.filename)} is a link; zip the file that it leads to"
            )
        if entry.is_dir() or any(part.startswith((".", "__")) for part in path.parts):
            continue
        if path.suffix.lower() in _ARCHIVES:
            raise StackFileError(
                f"{name}: holds another archive, {quoted(path.name)}; zip the images themselves"
            )
        if entry.flag_bits & 1:
            raise StackFileError(f"{name}: is encrypted; make it anew without a password")
        if wanted(path.name):
            kept.append(entry)
        else:
            foreign.append(path.name)
    claimed = sum(entry.file_size for entry in kept)
    if claimed > limits.max_unpacked_mb * _MEGABYTE:
        raise _too_much(name, f"{claimed / _MEGABYTE:.0f} MB", limits)
    folders = sorted({str(PurePosixPath(entry.filename).parent) for entry in kept})
    if len(folders) > 1:
        shown = ", ".join(quoted(folder) for folder in folders[:3])
        raise StackFileError(
            f"{name}: has files of a stack in {len(folders)} folders ({shown}); zip one stack only"
        )
    names = [PurePosixPath(entry.filename).name for entry in kept]
    for found in names:
        if names.count(found) > 1:
            raise StackFileError(f"{name}: holds {quoted(found)} twice; make it anew")
    return kept, tuple(foreign)


def _check_directory(archive: Path) -> None:
    """Refuse a table of contents that would fill the memory, which is read as a whole."""
    with archive.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - _LONGEST_END))
        end = file.read()
    # Whichever of several ends is taken for the true one, and however large one may be by zip64.
    places = [found.start() for found in re.finditer(re.escape(_END), end)]
    sizes = [
        _END_RECORD.unpack_from(end, place)[1]
        for place in places
        if place + _END_RECORD.size <= len(end)
    ]
    if _ZIP64 in end or max(sizes, default=0) > _LARGEST_DIRECTORY:
        raise StackFileError(
            f"{archive.name}: its table of contents may have more than {_LARGEST_DIRECTORY} bytes; "
            "zip the images of one stack only"
        )


def _write(
    opened: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    target: Path,
    left: int,
    name: str,
    limits: WebLimits,
) -> int:
    """Unpack one file, counting what really comes; returns its size in bytes."""
    size = 0
    with opened.open(entry) as source, target.open("wb") as file:
        while block := source.read(_BLOCK):
            size += len(block)
            if size > left:
                raise _too_much(name, "more", limits)
            file.write(block)
    return size


def _too_much(name: str, size: str, limits: WebLimits) -> StackFileError:
    return StackFileError(
        f"{name}: unpacks to {size}, at most {limits.max_unpacked_mb:g} MB are taken; zip fewer or "
        "smaller images"
    )
