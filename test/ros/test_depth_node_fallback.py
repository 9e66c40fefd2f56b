"""A backend that fails is answered for by a simpler one, and that is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, pixels
from small_sweep import small_sweep

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.libraries import NETWORK_LIBRARIES, missing_because
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.ros.node_process import NodeProcess

PARAMETERS = {"backend": "failing", "min_confidence": 0.0, "diagnostics_period": 0.1}


@pytest.fixture(autouse=True)
def _alone(domain: int) -> None:
    """Every test here has a node of its own."""


@contextmanager
def failing_node(
    log: Path, *, parameters: dict[str, object] | None = None, **environment: str
) -> Iterator[NodeProcess]:
    path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, **environment, "PYTHONPATH": path}
    every = {**PARAMETERS, **(parameters or {})}
    with NodeProcess("failing_backend_node", every, log, environment) as process:
        yield process


def test_simpler_backend_answers(peer: Peer, tmp_path: Path) -> None:
    with failing_node(tmp_path / "log"):
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        driver.send_sweep(small_sweep().stack)
        messages = results.wait_for_one()
        info = messages["sweep_info"]
        assert info.backend == "graph_cut"
        assert info.fallback_reason == "backend 'failing' failed: division by zero"
        pipeline = DepthPipeline(create_backend("graph_cut"), min_confidence=0.0)
        expected = pipeline.estimate(small_sweep().stack)
        np.testing.assert_array_equal(pixels(messages["depth/image"]), expected.depth)
        peer.wait_for(lambda: diagnostics.count("sweeps answered"), "the sweep to be counted")
        assert diagnostics.level == 1
        assert "fell back: to backend 'graph_cut'" in diagnostics.message


def test_no_backend_can_answer(peer: Peer, tmp_path: Path) -> None:
    with failing_node(tmp_path / "log", BROKEN_FALLBACKS="graph_cut argmax") as process:
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image",))
        results.wait_until_served(diagnostics, driver)
        before = diagnostics.count("no depth")
        driver.send_sweep(small_sweep().stack)
        peer.wait_for(lambda: diagnostics.count("no depth") > before, "the failure on /diagnostics")
        assert diagnostics.level == 2
        for cause in ("'failing' failed: division by zero", "'argmax' failed: out of memory"):
            assert cause in diagnostics.message
        assert process.exit_code is None
        assert results.received["depth/image"] == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"weights": "/nowhere/absent.safetensors"},
            "there are no weights at /nowhere/absent.safetensors",
        ),
        pytest.param(
            {"weights": "huge"},
            "there are no weights 'huge' of 'focdepthformer'",
            marks=pytest.mark.slow,
        ),
        # As with the device auto where the GPU is gone.
        ({"device": "cpu", "compile": "cuda_graphs"}, "compile 'cuda_graphs' needs a GPU"),
        pytest.param(
            {"device": "cpu", "precision": "fp16"},
            "precision 'fp16' needs a GPU",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_network_without_weights_or_its_gpu_is_answered_for(
    peer: Peer, tmp_path: Path, options: dict[str, str], reason: str
) -> None:
    reason = missing_because(NETWORK_LIBRARIES, "torch") or reason
    given = {f"focdepthformer.{name}": value for name, value in options.items()}
    parameters = {"backend": "focdepthformer", **given}
    with failing_node(tmp_path / "log", parameters=parameters) as process:
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        driver.send_sweep(small_sweep().stack)
        messages = results.wait_for_one()
        assert messages["sweep_info"].backend == "graph_cut"
        assert "backend 'focdepthformer' failed: " in messages["sweep_info"].fallback_reason
        assert reason in messages["sweep_info"].fallback_reason
        assert np.isfinite(pixels(messages["depth/image"])).all()
        words = "a simpler backend answers instead of 'focdepthformer': "
        peer.wait_for(lambda: words in diagnostics.message, "the reason on /diagnostics")
        assert diagnostics.level == 2
        assert reason in diagnostics.message
        log = process.log.read_text(encoding="utf-8")
        assert log.count(words) == 1


def test_a_device_that_failed_is_left_alone_for_a_while(peer: Peer, tmp_path: Path) -> None:
    parameters = {"backend": "lost", "cooldown_s": 3600.0}
    with failing_node(tmp_path / "log", parameters=parameters):
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        driver.send_sweep(small_sweep().stack)
        info = results.wait_for_one()["sweep_info"]
        assert info.backend == "graph_cut"
        # It failed already when the node warmed up.
        assert "backend 'lost' is not tried for another 35" in info.fallback_reason
        assert info.fallback_reason.endswith("device 'cuda' failed: unspecified launch failure")
        peer.wait_for(lambda: diagnostics.count("fell back") >= 2, "the fallback to be counted")
        assert diagnostics.level == 1
