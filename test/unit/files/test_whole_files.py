"""A file is there as a whole, or as it was before."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest

from focdepth_ros.files.whole_files import whole_file


def test_is_there_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with whole_file(path) as file:
        file.write("half")
        assert not path.exists()
        file.write(" and half")
    assert path.read_text(encoding="utf-8") == "half and half"
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_are_no_text_are_escaped_as_in_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xfccher_\xc3\xbc.png")
    with whole_file(tmp_path / "result.json") as file:
        json.dump(name, file, ensure_ascii=False)
    content = (tmp_path / "result.json").read_text(encoding="utf-8")
    assert content == '"b\\udcfccher_ü.png"'
    assert json.loads(content) == name


def test_a_disk_without_room_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before", encoding="utf-8")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"), whole_file(path) as file:
            file.write("x" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]
