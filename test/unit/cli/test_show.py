"""``--show``: a sheet of pictures; on a desktop it is opened, in a terminal shown in small."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_runs import run

from focdepth_ros.cli.terminal_picture import half_blocks
from focdepth_ros.files.image_io import read_image

_HALF = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀")


def in_terminal(*arguments: object, **variables: str) -> str:
    """What a terminal of 24-bit colours gets to see."""
    main, terminal = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "COLUMNS": "80",
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "focdepth_ros.cli", *map(str, arguments)],
        stdin=terminal, stdout=terminal, stderr=subprocess.PIPE,
        env=environment | variables,
    )  # fmt: skip
    os.close(terminal)
    said = bytearray()
    try:
        while part := os.read(main, 65536):
            said += part
    except OSError:  # it is closed with the process
        pass
    os.close(main)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return said.decode()


def test_elsewhere_the_sheet_is_written_and_its_path_told(
    stack_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("estimate", "fuse"):
        output = tmp_path / command
        assert run(command, stack_dir, "--output", output, "--show") == 0
        said = capsys.readouterr().out
        assert said.splitlines()[-1] == f"pictures: {output / 'sheet.png'}"
        assert "▀" not in said
        sheet = read_image(output / "sheet.png")
        assert sheet.shape[1] == 5 * 408 + 8
        # The all-in-focus image is on it, in its column.
        picture = read_image(output / "all_in_focus.png")
        height = round(400 * picture.shape[0] / picture.shape[1])
        picture = cv2.resize(picture, (400, height), interpolation=cv2.INTER_AREA)
        top, left = 26 + 8 + 8 + 26, 8 + 408 * {"estimate": 4, "fuse": 2}[command]
        panel = sheet[top : top + height, left : left + 400].astype(int)
        assert np.abs(panel - picture).max() <= 1


def test_without_it_there_is_none(stack_dir: Path, tmp_path: Path) -> None:
    assert run("estimate", stack_dir, "--output", tmp_path) == 0
    assert not (tmp_path / "sheet.png").exists()


def test_a_terminal_shows_depth_with_its_scale(stack_dir: Path, tmp_path: Path) -> None:
    options = ("--output", tmp_path, "--min-confidence", 0, "--show")
    said = in_terminal("estimate", stack_dir, *options)
    lines = [line for line in said.splitlines() if "▀" in line]
    assert len(_HALF.findall(lines[0])) == 80
    scale = re.sub(r"\x1b\[[\d;]*m", "", lines[-1])
    near, far = re.fullmatch(r"([\d.]+) m ▀{40} ([\d.]+) m; black: not known", scale).groups()  # type: ignore[union-attr]
    depth = np.load(tmp_path / "depth.npy")
    np.testing.assert_allclose(
        [float(near), float(far)], np.nanpercentile(depth, (1, 99)), rtol=0.01
    )
    # Near is warm, far is cold.
    first, *_, last = (np.array(found, int) for found in _HALF.findall(lines[-1]))
    assert first[0] > first[2]
    assert last[2] > last[0]


def test_a_desktop_opens_it(stack_dir: Path, tmp_path: Path) -> None:
    opener, opened = tmp_path / "bin" / "xdg-open", tmp_path / "opened"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    opener.chmod(0o755)
    path = f"{opener.parent}{os.pathsep}{os.environ['PATH']}"
    said = in_terminal(
        "estimate", stack_dir, "--output", tmp_path / "out", "--show", PATH=path, DISPLAY=":7"
    )
    assert "▀" not in said
    end = time.monotonic() + 10.0
    while not (opened.exists() and opened.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    assert opened.read_text().strip() == str(tmp_path / "out" / "sheet.png")


def test_not_for_whole_datasets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fuse", "--dataset", tmp_path, "--show") == 2
    assert "--show is for one stack" in capsys.readouterr().err


def test_half_blocks_are_two_rows_of_pixels() -> None:
    picture = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)
    lines = half_blocks(picture, 80)
    assert [line.plain for line in lines] == ["▀▀▀", "▀▀▀"]
    style = lines[1].spans[2].style
    assert tuple(style.color.triplet) == tuple(picture[2, 2])
    assert tuple(style.bgcolor.triplet) == tuple(picture[3, 2])
    assert len(half_blocks(picture[:3], 2)) == 1
