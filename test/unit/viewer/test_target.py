"""Where things are shown, also where nobody takes them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from viewer_recordings import Recording, free_ports, needs_viewer

from focdepth_ros.errors import ViewerError
from focdepth_ros.viewer.recording import ViewerRecording
from focdepth_ros.viewer.server import PageServer
from focdepth_ros.viewer.target import ViewerTarget, open_viewer

DEPTH = np.linspace(0.5, 2.0, 480 * 640, dtype=np.float32).reshape(480, 640)


@needs_viewer
def test_a_running_viewer_and_a_file_at_once(tmp_path: Path) -> None:
    port, data_port = free_ports(2)
    server = PageServer("127.0.0.1", port, data_port, 64)
    try:
        target = ViewerTarget(connect=f"127.0.0.1:{data_port}", save=str(tmp_path / "both.rrd"))
        assert not target.serves
        with open_viewer(target) as viewer:
            assert viewer.server is None
            assert viewer.place.endswith(f"sent to rerun+http://127.0.0.1:{data_port}/proxy")
            viewer.recording.show_depth(DEPTH, 5)
    finally:
        server.stop()
    found = Recording(tmp_path / "both.rrd").image("/camera/depth/values", 5, DEPTH.shape, "<f4")
    np.testing.assert_array_equal(found, DEPTH)


def show_many(recording: ViewerRecording) -> None:
    for stamp in range(2, 50):
        recording.show_depth(DEPTH, stamp)


@needs_viewer
def test_a_viewer_that_takes_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("recording._PATIENCE", "server._END_PATIENCE"):
        monkeypatch.setattr(f"focdepth_ros.viewer.{module}", 0.5)
    port, data_port = free_ports(2)
    with open_viewer(ViewerTarget(port=port, data_port=data_port)) as viewer:
        viewer.recording.show_depth(DEPTH, 1)
        assert viewer.server is not None
        os.kill(viewer.server.pid, signal.SIGSTOP)
        with pytest.raises(ViewerError, match="the viewer has taken nothing for"):
            show_many(viewer.recording)
        ended = time.monotonic()
    assert time.monotonic() - ended < 20.0
    assert not Path(f"/proc/{viewer.server.pid}").exists()


@needs_viewer
def test_a_port_is_not_taken_twice() -> None:
    port, data_port = free_ports(2)
    server = PageServer("127.0.0.1", port, data_port, 64)
    try:
        for ports in ((port, data_port + 1), (port + 1, data_port)):
            with pytest.raises(ViewerError, match="is another viewer running"):
                PageServer("127.0.0.1", *ports, 64)
    finally:
        server.stop()
    PageServer("127.0.0.1", port, data_port, 64).stop()
