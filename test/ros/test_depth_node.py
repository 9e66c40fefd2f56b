"""A good sweep goes in, and all results come out as they should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import FRAME_ID, CameraDriver, Diagnostics, Peer, pixels
from small_sweep import HEIGHT, WIDTH, small_sweep

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.ros.node_process import NodeProcess

PARAMETERS = {"backend": "graph_cut", "min_confidence": 0.5, "diagnostics_period": 0.1}


@dataclass
class Sweep:
    """A sweep as it was sent, and what came of it."""

    headers: list[Any]
    messages: dict[str, Any]


@pytest.fixture(scope="module")
def depth_node(domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    log = tmp_path_factory.mktemp("depth_node") / "log"
    with NodeProcess("focdepth_ros.ros.depth_node", PARAMETERS, log) as process:
        yield process


@pytest.fixture(scope="module")
def sweep(depth_node: NodeProcess, peer: Peer) -> Sweep:
    diagnostics, driver, results = Diagnostics(peer), CameraDriver(peer), DepthResults(peer)
    results.wait_until_served(diagnostics, driver)
    headers = driver.send_sweep(small_sweep().stack)
    return Sweep(headers, results.wait_for_one())


@pytest.fixture(scope="module")
def expected() -> DepthEstimate:
    pipeline = DepthPipeline(create_backend("graph_cut"), min_confidence=0.5)
    return pipeline.estimate(small_sweep().stack)


def test_all_results_have_the_header_of_the_last_slice(sweep: Sweep) -> None:
    for topic, message in sweep.messages.items():
        assert message.header == sweep.headers[-1], topic
        assert message.header.frame_id == FRAME_ID


def test_depth_is_that_of_the_backend(sweep: Sweep, expected: DepthEstimate) -> None:
    message = sweep.messages["depth/image"]
    assert (message.encoding, message.height, message.width) == ("32FC1", HEIGHT, WIDTH)
    np.testing.assert_array_equal(pixels(message), expected.depth)


def test_depth_is_near_the_truth(sweep: Sweep) -> None:
    depth, truth = pixels(sweep.messages["depth/image"]), small_sweep().depth
    known = np.isfinite(depth)
    assert known.mean() > 0.9
    assert np.mean(np.abs(depth - truth)[known] / truth[known]) < 0.03


def test_confidence_and_all_in_focus_are_those_of_the_backend(
    sweep: Sweep, expected: DepthEstimate
) -> None:
    confidence = sweep.messages["confidence/image"]
    assert confidence.encoding == "32FC1"
    np.testing.assert_array_equal(pixels(confidence), expected.confidence)
    all_in_focus = sweep.messages["all_in_focus/image"]
    assert all_in_focus.encoding == "rgb8"
    np.testing.assert_array_equal(pixels(all_in_focus), expected.all_in_focus)


def test_camera_info_is_that_of_the_camera(sweep: Sweep) -> None:
    info = sweep.messages["depth/camera_info"]
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    assert list(info.k) == [200.0, 0.0, 80.5, 0.0, 210.0, 57.25, 0.0, 0.0, 1.0]
