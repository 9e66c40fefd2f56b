"""What the tests of the command line share: ways to run it, and to change a stack."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from focdepth_ros.cli import main

SLICES = 4


def run_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "focdepth_ros.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def shown_on_a_terminal(*arguments: object) -> bytes:
    """What a command that ends well shows where its standard error is a terminal."""
    try:
        terminal, other_end = pty.openpty()
    except OSError as problem:
        pytest.skip(f"no terminal can be made here: {problem}")
    command = [sys.executable, "-m", "focdepth_ros.cli", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=other_end) as process:
        os.close(other_end)
        shown = b""
        try:
            while part := os.read(terminal, 4096):
                shown += part
        except OSError:  # how Linux says that the other end is closed
            pass
        finally:
            os.close(terminal)
        assert process.wait(timeout=120) == 0
    return shown


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def change(stack_dir: Path, *without: str, **changes: object) -> None:
    path = stack_dir / "stack.yaml"
    content = yaml.safe_load(path.read_text())
    content = {key: value for key, value in content.items() if key not in without} | changes
    path.write_text(yaml.safe_dump(content))
