"""What ends a node, and when."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.ros.node_support.node_runner import signals_deferred

NODES = ["depth_node", "sim_camera_node", "bag_player_node", "evaluator_node"]


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    caught = re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    assert caught
    return bool(int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("node", "number"),
    [*((node, signal.SIGINT) for node in NODES), ("depth_node", signal.SIGTERM)],
)
def test_a_signal_while_python_still_imports(
    domain: int, tmp_path: Path, node: str, number: signal.Signals
) -> None:
    with NodeProcess(f"focdepth_ros.ros.{node}", {}, tmp_path / "log") as process:
        # Python itself handles no SIGTERM.
        while process.exit_code is None and not catches(process.pid, signal.SIGTERM):
            time.sleep(0.001)
        os.kill(process.pid, number)
        end = time.monotonic() + 10.0
        while process.exit_code is None:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert process.exit_code == 0
    assert process.log.read_text(encoding="utf-8") == ""


@pytest.mark.parametrize("node", [*NODES, "sweep_node", "uvc_camera_node"])
def test_a_node_that_cannot_start_ends_with_2(domain: int, tmp_path: Path, node: str) -> None:
    with NodeProcess(f"focdepth_ros.ros.{node}", {"use_sim_time": 3}, tmp_path / "log") as process:
        assert process._process.wait(30.0) == 2
    log = process.log.read_text(encoding="utf-8")
    assert "'use_sim_time' to '3' of type 'INTEGER', expecting type 'BOOL'" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_block_is_done(number: signal.Signals) -> None:
    done = []

    def work() -> None:
        with signals_deferred():
            signal.raise_signal(number)
            done.append("work")

    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == ["work"]
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_without_a_signal_nothing_happens() -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with signals_deferred():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
