"""The all-in-focus image alone: of cameras without metres, without calibration, and of others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from depth_results import WITHOUT_DEPTH, DepthResults
from rcl_interfaces.srv import DescribeParameters
from ros_harness import CameraDriver, Diagnostics, Peer, pixels
from small_sweep import HEIGHT, WIDTH
from uncalibrated_sweep import PARAMETERS, STACK, expected, send_positions, sharp_as_expected

from focdepth_ros.ros.node_process import NodeProcess


@dataclass
class Rig:
    """A node that makes the picture alone, and all that is needed to talk to it."""

    process: NodeProcess
    peer: Peer
    diagnostics: Diagnostics

    def results(self, driver: Any, *topics: str) -> DepthResults:
        results = DepthResults(self.peer, topics or ("all_in_focus/image", "sweep_info"))
        results.wait_until_served(self.diagnostics, driver)
        return results


@pytest.fixture(scope="module")
def rig(domain: int, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    log = tmp_path_factory.mktemp("aif_only") / "log"
    with NodeProcess("focdepth_ros.ros.depth_node", PARAMETERS, log) as process:
        yield Rig(process, peer, Diagnostics(peer))


def test_a_sweep_without_metres_and_without_calibration(rig: Rig, peer: Peer) -> None:
    driver = CameraDriver(peer, calibrated=False)
    results = rig.results(driver)
    headers = send_positions(driver, peer, range(len(STACK)))
    messages = results.wait_for_one()
    picture, info = messages["all_in_focus/image"], messages["sweep_info"]
    assert picture.header == info.header == headers[-1]
    assert (picture.encoding, picture.height, picture.width) == ("rgb8", HEIGHT, WIDTH)
    assert sharp_as_expected(picture)
    assert np.isnan(info.focus_distances).all()
    # By rising lens position, which here is from far to near.
    assert list(info.stamps) == [header.stamp for header in reversed(headers)]
    assert info.stamps[info.reference] == headers[-1].stamp
    assert (info.end_reason, info.backend, info.fallback_reason) == ("complete", "graph_cut", "")
    assert info.coverage == 0.0
    assert not any(info.dropped_counts)
    peer.wait_for(lambda: rig.diagnostics.count("sweeps answered") == 1, "the sweep to be counted")
    assert rig.diagnostics.level == 0  # a camera_info is not missed
    assert rig.diagnostics.message == "backend graph_cut, all-in-focus image alone"


def test_what_is_about_depth_does_not_exist(rig: Rig, peer: Peer) -> None:
    published = dict(peer.node.get_publisher_names_and_types_by_node("depth_node", "/"))
    assert {f"/{topic}" for topic in WITHOUT_DEPTH} < published.keys()
    others = {"/depth/image", "/depth/camera_info", "/confidence/image", "/points"}
    assert not others & published.keys()


def test_ping_pong_without_sweep_ids(rig: Rig, peer: Peer) -> None:
    driver = CameraDriver(peer, calibrated=False)
    driver.set_clock(2_000)
    results = rig.results(driver)
    there = list(range(len(STACK)))
    send_positions(driver, peer, [*there, *there[-2::-1], 1], counted=False)
    peer.wait_for(lambda: len(results.received["sweep_info"]) >= 2, "two sweeps")
    infos = results.received["sweep_info"][:2]
    assert [info.end_reason for info in infos] == ["reversal", "reversal"]
    assert [len(info.stamps) for info in infos] == [len(STACK)] * 2
    peer.wait_for(lambda: len(results.received["all_in_focus/image"]) >= 2, "two pictures")
    assert all(map(sharp_as_expected, results.received["all_in_focus/image"][:2]))


def test_a_sweep_in_metres(rig: Rig, peer: Peer) -> None:
    driver = CameraDriver(peer)
    driver.set_clock(3_000)
    results = rig.results(driver, *WITHOUT_DEPTH)
    headers = driver.send_sweep(STACK)
    messages = results.wait_for_one()
    assert {str(message.header) for message in messages.values()} == {str(headers[-1])}
    np.testing.assert_array_equal(pixels(messages["all_in_focus/image"]), expected())
    info = messages["all_in_focus/camera_info"]
    assert (info.width, info.height, info.k[0]) == (WIDTH, HEIGHT, 200.0)
    distances = list(messages["sweep_info"].focus_distances)
    assert distances == [item.focus_distance for item in STACK.slices]
    assert messages["sweep_info"].coverage == 0.0


def test_the_parameter_is_described_and_stays(rig: Rig, peer: Peer) -> None:
    request = DescribeParameters.Request(names=["aif_only"])
    (described,) = peer.call(
        DescribeParameters, "depth_node/describe_parameters", request
    ).descriptors
    assert described.description.startswith("Publish the all-in-focus image alone: no depth,")
    assert described.read_only
    assert peer.get_parameters("depth_node", "aif_only") == [True]
    assert "read-only" in peer.set_parameters("depth_node", {"aif_only": False})[0].reason


def test_frames_that_tell_no_focus_at_all_are_named(rig: Rig, peer: Peer) -> None:
    driver = CameraDriver(peer, calibrated=False)
    driver.set_clock(4_000)
    rig.results(driver)
    driver.send(STACK.slices[0].image, math.nan, lens_position=math.nan)
    peer.wait_for(lambda: rig.diagnostics.count("unknown lens position") == 1, "the fault")
    log = rig.process.log.read_text(encoding="utf-8")
    assert "neither the focus distance, nan m, nor the lens position, nan, tells the focus" in log
    assert "internal error" not in log
