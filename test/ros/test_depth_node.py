"""A good sweep goes in, and all results come out as they should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import FRAME_ID, CameraDriver, Diagnostics, Peer, pixels
from small_sweep import HEIGHT, INTRINSICS, WIDTH, small_sweep

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.geometry import back_project
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.torch_device import cuda_missing_because

PARAMETERS = {"backend": "graph_cut", "min_confidence": 0.5, "diagnostics_period": 0.1}


@dataclass
class Sweep:
    """A sweep as it was sent, and what came of it."""

    headers: list[Any]
    messages: dict[str, Any]
    status: Any


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
    messages = results.wait_for_one()
    # At once: a little later the node misses further images.
    peer.wait_for(lambda: diagnostics.count("sweeps answered") == 1, "the sweep to be counted")
    return Sweep(headers, messages, diagnostics.status)


@pytest.fixture(scope="module")
def expected() -> DepthEstimate:
    pipeline = DepthPipeline(create_backend("graph_cut"), min_confidence=0.5)
    return pipeline.estimate(small_sweep().stack)


def test_loads_no_library_of_an_extra(depth_node: NodeProcess, sweep: Sweep) -> None:
    if cuda_missing_because() is None:
        pytest.skip("there is a GPU here: graph_cut loads torch to use it")
    mapped = Path(f"/proc/{depth_node.pid}/maps").read_text(encoding="utf-8")
    assert "/cv2/" in mapped
    assert [name for name in ("h5py", "scipy", "skimage", "torch") if f"/{name}/" in mapped] == []


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


def test_points_are_the_depth_image_in_space(sweep: Sweep, expected: DepthEstimate) -> None:
    message = sweep.messages["points"]
    assert (message.height, message.width) == (HEIGHT, WIDTH)
    values = np.frombuffer(message.data, np.float32).reshape(HEIGHT, WIDTH, 4)
    np.testing.assert_array_equal(values[..., :3], back_project(expected.depth, INTRINSICS))
    colours = np.ascontiguousarray(values[..., 3]).view(np.uint32)
    assert expected.all_in_focus is not None
    for shift, channel in ((16, 0), (8, 1), (0, 2)):
        np.testing.assert_array_equal(
            (colours >> shift) & 0xFF, expected.all_in_focus[..., channel]
        )


def test_sweep_info(sweep: Sweep, expected: DepthEstimate) -> None:
    info = sweep.messages["sweep_info"]
    stack = small_sweep().stack
    assert info.sequence == 1
    assert list(info.stamps) == [header.stamp for header in sweep.headers]
    assert list(info.focus_distances) == [item.focus_distance for item in stack.slices]
    assert info.stamps[info.reference] == info.header.stamp
    assert info.end_reason == "complete"
    assert (info.backend, info.fallback_reason) == ("graph_cut", "")
    assert info.coverage == pytest.approx(np.mean(np.isfinite(expected.depth)), abs=1e-6)
    assert 0.0 < info.time_finish < info.latency_after_last_frame
    assert info.time_per_slice > 0.0
    assert not any(info.dropped_counts)


def test_diagnostics_are_fine(sweep: Sweep) -> None:
    status, values = sweep.status, {item.key: item.value for item in sweep.status.values}
    assert (status.level, status.message) == (b"\x00", "backend graph_cut")
    assert status.hardware_id == FRAME_ID
    assert int(values["images received"]) == len(sweep.headers)
    assert float(values["latency after last frame [ms]"]) > 0.0


def test_sweeps_from_far_to_near_end_with_the_first_of_the_next(
    sweep: Sweep, peer: Peer, expected: DepthEstimate
) -> None:
    """No sweep id: the order of the focus tells."""
    driver, results = CameraDriver(peer), DepthResults(peer, ("depth/image", "sweep_info"))
    results.wait_until_served(Diagnostics(peer), driver)
    slices = small_sweep().stack.slices
    headers = []
    for item in (*reversed(slices), slices[-1]):
        headers.append(driver.send(item.image, item.focus_distance))
        peer.spin(0.01)
    messages = results.wait_for_one()
    info = messages["sweep_info"]
    assert info.end_reason == "reversal"
    assert info.reference == 0
    assert info.header == headers[-2]
    np.testing.assert_array_equal(pixels(messages["depth/image"]), expected.depth)
