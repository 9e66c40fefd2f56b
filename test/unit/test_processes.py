"""Programs end as they are asked to, and with them what they have started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from focdepth_ros.processes import ending_signals, interrupted_by_signals

POOL = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from focdepth_ros.processes import end_with_parent

def work(folder, number):
    Path(folder, str(multiprocessing.current_process().pid)).touch()
    time.sleep(0.05)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=end_with_parent) as workers:
        for _ in workers.map(work, [sys.argv[1]] * 10_000, range(10_000)):
            pass
"""


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_made_them(
    tmp_path: Path, number: signal.Signals
) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    seen = tmp_path / "seen"
    seen.mkdir()
    with subprocess.Popen([sys.executable, str(script), str(seen)]) as process:
        until(lambda: len(list(seen.iterdir())) == 2, "both workers")
        process.send_signal(number)
    workers = [int(path.name) for path in seen.iterdir()]
    until(lambda: not any(map(is_alive, workers)), "their end")


@pytest.fixture
def no_nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("no_nohup")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_way_to_end_clears_away(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before


@pytest.mark.usefixtures("no_nohup")
def test_what_nohup_has_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in ending_signals()
        with interrupted_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in ending_signals()
