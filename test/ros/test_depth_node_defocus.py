"""Depth from defocus answers a sweep that comes over DDS; run by make test-torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, pixels
from small_sweep import LENS, small_sweep

from focdepth_ros.libraries import missing_because
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue
from focdepth_ros.stack import FocalStack

MISSING = missing_because(("torch",), "torch")
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

PARAMETERS: dict[str, ParameterValue] = {
    "backend": "defocus",
    "defocus.device": "cpu",
    "defocus.max_seconds": 8.0,
    "defocus.window": 1,
    "min_confidence": 0.0,
    "diagnostics_period": 0.1,
}
KNOWN_LENS: dict[str, ParameterValue] = {
    "lens.focal_length": LENS.focal_length,
    "lens.f_number": LENS.f_number,
    "lens.pixel_pitch": LENS.pixel_pitch,
}


def answer_to_a_sweep(
    peer: Peer,
    log: Path,
    parameters: dict[str, ParameterValue],
    stack: FocalStack | None = None,
) -> tuple[dict[str, object], Diagnostics]:
    with NodeProcess("focdepth_ros.ros.depth_node", parameters, log):
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image", "all_in_focus/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        driver.send_sweep(stack or small_sweep().stack)
        messages = results.wait_for_one()
        peer.wait_for(lambda: diagnostics.count("sweeps answered") == 1, "the diagnostics")
        return messages, diagnostics


def test_depth_within_its_time(domain: int, peer: Peer, tmp_path: Path) -> None:
    messages, _ = answer_to_a_sweep(peer, tmp_path / "log", {**PARAMETERS, **KNOWN_LENS})
    info = messages["sweep_info"]
    assert (info.backend, info.fallback_reason) == ("defocus", "")
    depth, truth = pixels(messages["depth/image"]), small_sweep().depth
    assert np.nanmedian(np.abs(depth / truth - 1.0)) < 0.03


def test_warnings_of_the_backend_and_of_the_alignment_are_told(
    domain: int, peer: Peer, tmp_path: Path
) -> None:
    slices = list(small_sweep().stack.slices)
    slices[3] = replace(slices[3], image=np.zeros_like(slices[3].image))
    parameters = {**PARAMETERS, **KNOWN_LENS, "defocus.epochs": 1, "defocus.far": 2.0}
    stack = replace(small_sweep().stack, slices=slices)
    messages, diagnostics = answer_to_a_sweep(peer, tmp_path / "log", parameters, stack)
    assert messages["sweep_info"].backend == "defocus"
    assert diagnostics.level == 1
    for reason, words in (
        ("backend warning", "depth is looked for from "),
        ("not aligned", "slice 4 at "),
    ):
        assert f"{reason}: {words}" in diagnostics.message
        assert diagnostics.count(reason) == 1
        (line,) = [
            line
            for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()
            if f"{reason}: " in line
        ]
        assert words in line


def test_without_the_lens_the_graph_cut_answers_and_says_why(
    domain: int, peer: Peer, tmp_path: Path
) -> None:
    messages, diagnostics = answer_to_a_sweep(peer, tmp_path / "log", PARAMETERS)
    info = messages["sweep_info"]
    assert info.backend == "graph_cut"
    assert "defocus' failed: it needs the lens (focal_length, f_number" in info.fallback_reason
    peer.wait_for(lambda: diagnostics.level == 1, "a warning")
