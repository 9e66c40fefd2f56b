"""Files that are there as a whole or not at all, also when the disk is full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def whole_file(path: Path, *, newline: str | None = None) -> Iterator[TextIO]:
    """A text file to be written, which takes its place when all of it is on disk.

    File names that are no UTF-8 are written with escapes, as JSON has them.

    Parameters
    ----------
    path : Path
        What is there stays as it is if anything goes wrong.
    newline : str, optional
        As of `open`.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline=newline) as file:
            yield file
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
