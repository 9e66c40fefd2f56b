"""What the set-up scripts share: errors with a remedy, progress, running commands, stamps."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "log"


class SetupError(Exception):
    """Something that stops the set-up, and what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n[setup] to do: {remedy}")
        self.problem = problem


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"[setup] {text}", flush=True)


def run(command: Sequence[object], environ: Mapping[str, str], log_name: str) -> None:
    """Run a command, its output going to a log; on a terminal its latest line is shown.

    Raises
    ------
    SetupError
        If it fails, with the end of the log.
    """
    LOGS.mkdir(exist_ok=True)
    log = LOGS / log_name
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 4
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            [str(part) for part in command],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            if on_terminal:
                print(f"\r\033[K  {line.strip()[:width]}", end="", flush=True)
    if on_terminal:
        print("\r\033[K", end="", flush=True)
    if process.returncode != 0:
        tail = "\n".join("  | " + line for line in log.read_text("utf-8").splitlines()[-25:])
        raise SetupError(
            f"{Path(str(command[0])).name} failed (exit status {process.returncode}):\n{tail}",
            f"read {log}, remove the cause, run make setup again",
        )


def digest(parts: Iterable[str | Path]) -> str:
    """Fingerprint of texts and of the contents of files, in the order given."""
    result = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        result.update(str(part).encode() + b"\0" + content + b"\0")
    return result.hexdigest()


def read_stamp(path: Path) -> dict[str, Any]:
    """What the last successful run noted in `path`; empty if there was none."""
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(path: Path, stamp: Mapping[str, Any]) -> None:
    """Note for the next run that `path`'s directory is complete, and what it was made from."""
    path.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
