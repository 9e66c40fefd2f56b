"""What the tests of the command line share: ways to run it, and to change a stack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from focdepth_ros.cli import main

SLICES = 4


def run_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "focdepth_ros.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def change(stack_dir: Path, *without: str, **changes: object) -> None:
    path = stack_dir / "stack.yaml"
    content = yaml.safe_load(path.read_text())
    content = {key: value for key, value in content.items() if key not in without} | changes
    path.write_text(yaml.safe_dump(content))
