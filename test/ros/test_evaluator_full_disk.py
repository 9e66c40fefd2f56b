"""A disk that is full while scores, pictures and the report are written."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from ros_harness import Diagnostics, Peer
from test_evaluator_node import publishing, scores_of, wait_for_end

from focdepth_ros.ros.node_process import NodeProcess

FOLDER = Path(__file__).parent
ROOM, SWEEPS = 10_000, 30  # bytes of the largest file, and sweeps whose scores are more


def limited_evaluator(folder: Path) -> NodeProcess:
    path = f"{FOLDER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "PYTHONPATH": path, "FILE_BYTES": str(ROOM)}
    parameters = {"output": str(folder / "out"), "diagnostics_period": 0.1}
    return NodeProcess("limited_evaluator_node", parameters, folder / "log", environment)


def test_scores_that_cannot_be_written_are_named(domain: int, peer: Peer, tmp_path: Path) -> None:
    """There is room for some scores, not for all."""
    diagnostics = Diagnostics(peer, "evaluator_node")
    with publishing(peer) as publisher, limited_evaluator(tmp_path) as process:
        publisher.wait_until_heard()
        for sweep in range(1, SWEEPS + 1):
            publisher.send(sweep)
        peer.wait_for(lambda: "not written: " in diagnostics.message, "the lack of room")
        peer.wait_for(
            lambda: diagnostics.value("sweeps evaluated") == str(SWEEPS), "all to be scored"
        )
        assert diagnostics.level == 2
        assert "make room on the disk" in diagnostics.message
        process.stop()
        log = wait_for_end(peer, process)
    assert process.exit_code == 1
    assert "no report: [Errno 27] File too large" in log
    assert "Traceback" not in log
    assert "internal error" not in log
    assert [path.name for path in (tmp_path / "out").glob("*.part")] == []


def test_a_report_that_cannot_be_written(domain: int, peer: Peer, tmp_path: Path) -> None:
    """Scores and pictures find room, the report does not: there is none, rather than a half."""
    with publishing(peer) as publisher, limited_evaluator(tmp_path) as process:
        diagnostics = Diagnostics(peer, "evaluator_node")
        publisher.wait_until_heard()
        publisher.send(1)
        peer.wait_for(lambda: diagnostics.value("sweeps evaluated") == "1", "the score")
        process.stop()
        log = wait_for_end(peer, process)
    assert process.exit_code == 1
    assert "no report: [Errno 27] File too large" in log
    assert "Traceback" not in log
    assert list(scores_of(tmp_path)) == ["sweep_0001"]
    assert not (tmp_path / "out" / "report.html").exists()


def has_own_mounts() -> bool:
    command = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.faults
@pytest.mark.skipif(not has_own_mounts(), reason="no disk can be mounted without being root here")
def test_no_space_left_on_device(domain: int, peer: Peer, tmp_path: Path) -> None:
    """On a real disk of its own, of 512 kB, which gets room again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = tmp_path / "mounted.sh"
    script.write_text(
        f'mount -t tmpfs -o size=512k none "{disk}" && head -c 500000 /dev/zero > "{disk}/full"\n'
        f'python3 -m focdepth_ros.ros.evaluator_node "$@" & node=$!\n'
        f'while [ ! -e "{tmp_path}/free" ]; do sleep 0.1; done; rm "{disk}/full"\n'
        f"while kill -0 $node 2> /dev/null; do wait $node; code=$?; done\n"
        f'cp -r "{disk}/out" "{tmp_path}/out"; exit $code\n',
        encoding="utf-8",
    )
    diagnostics = Diagnostics(peer, "evaluator_node")
    with (tmp_path / "log").open("wb") as log, publishing(peer) as publisher:
        process = subprocess.Popen(
            [
                *("unshare", "--user", "--map-root-user", "--mount", "bash", str(script)),
                *("--ros-args", "-p", f"output:={disk / 'out'}", "-p", "diagnostics_period:=0.1"),
                *("-p", "patience:=1.0"),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            publisher.wait_until_heard()
            sweep = 0

            def is_full() -> bool:
                nonlocal sweep
                sweep += 1
                publisher.send(sweep)
                peer.spin(0.05)
                return "No space left on device" in diagnostics.message

            peer.wait_for(is_full, "the disk to be full")
            assert diagnostics.level == 2
            (tmp_path / "free").touch()
            peer.spin(0.5)
            publisher.send(sweep + 1)
            peer.wait_for(
                lambda: diagnostics.value("sweeps evaluated") == str(sweep + 1), "the last score"
            )
            publisher.close()  # ends the evaluation
            assert process.wait(30) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")
    assert len(scores_of(tmp_path)) == sweep + 1
