"""A depth node whose surroundings misbehave: it says so, and answers the next good sweep."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from depth_results import KINDS
from depth_rig import GOOD, DepthRig, depth_rig
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile
from ros_harness import Peer, Value, focus_fields, image_message, parameter_request, pixels
from small_sweep import HEIGHT, WIDTH, small_sweep

from focdepth_ros.msg import FocusState
from focdepth_ros.stack import FocalStack, Slice

STACK = small_sweep().stack
DAY = 86_400.0


@pytest.fixture(scope="module")
def rig(domain: int, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepthRig]:
    with depth_rig(peer, tmp_path_factory.mktemp("depth_node")) as rig:
        yield rig
        rig.assert_unharmed()


def test_focus_states_that_never_match(rig: DepthRig) -> None:
    before = rig.diagnostics.count("no focus state"), rig.diagnostics.count("no image")
    for _ in range(2 * len(STACK)):
        header, other = rig.driver.next_header(), rig.driver.next_header()
        other.stamp.sec, other.stamp.nanosec = header.stamp.sec, header.stamp.nanosec + 1
        rig.driver.images.publish(image_message(GOOD, header))
        rig.driver.focus.publish(FocusState(header=other, **focus_fields(1.0)))
        rig.peer.spin(0.02)
    for _ in range(300):  # of no image
        header = rig.driver.next_header()
        rig.driver.focus.publish(FocusState(header=header, **focus_fields(1.0)))
        rig.peer.spin(0.001)
    rig.peer.wait_for(
        lambda: (
            rig.diagnostics.count("no focus state") >= before[0] + 2 * len(STACK)
            and rig.diagnostics.count("no image") >= before[1] + 200
        ),
        "images and focus states to be counted",
    )
    assert rig.diagnostics.level == 1
    rig.assert_good_sweep()


@pytest.mark.parametrize("jump", [-DAY, DAY, -2.0, 2.0, 14 * 365 * DAY, -90 * 365 * DAY])
def test_clock_of_the_driver_jumps(rig: DepthRig, jump: float) -> None:
    """In the middle of a sweep, and between two."""
    now = 1_700_000_000.0
    rig.driver.set_clock(now)
    rig.assert_good_sweep()
    rig.driver.send_sweep(STACK, STACK.slices[:4])
    rig.driver.set_clock(now + 2.0 + jump)
    rig.assert_good_sweep()
    rig.driver.set_clock(now + 4.0)
    rig.assert_good_sweep()


def test_clock_of_the_driver_stands_still(rig: DepthRig) -> None:
    header = rig.driver.next_header()
    for item in STACK.slices:
        assert item.focus_distance is not None
        rig.driver.send(item.image, item.focus_distance, header)
        rig.peer.spin(0.01)
    rig.peer.wait_for(lambda: "repeated stamp" in rig.diagnostics.message, "the fault")
    rig.assert_good_sweep()


def smaller(stack: FocalStack) -> FocalStack:
    """The same sweep in half the resolution."""
    half = (WIDTH // 2, HEIGHT // 2)
    slices = [
        Slice(cv2.resize(item.image, half, interpolation=cv2.INTER_AREA), item.focus_distance)
        for item in stack.slices
    ]
    assert stack.intrinsics is not None
    intrinsics = stack.intrinsics
    return FocalStack(
        slices,
        intrinsics=replace(
            intrinsics, width=half[0], height=half[1], fx=intrinsics.fx / 2, fy=intrinsics.fy / 2
        ),
    )


def test_resolution_changes_in_mid_run(rig: DepthRig) -> None:
    half = smaller(STACK)
    for stack, size in ((STACK, (HEIGHT, WIDTH)), (half, (HEIGHT // 2, WIDTH // 2))) * 2:
        messages = rig.assert_good_sweep(stack)
        assert pixels(messages["depth/image"]).shape == size
        # Now in the middle of a sweep.
        rig.driver.send_sweep(stack, stack.slices[:4])


@pytest.mark.faults
def test_a_hundred_subscribers_come_and_go(rig: DepthRig) -> None:
    rig.assert_good_sweep()
    before = rig.process.usage()
    node = rig.peer.node
    for number in range(100):
        subscriptions = [
            node.create_subscription(kind, topic, lambda _: None, QoSProfile(depth=1))
            for topic, kind in KINDS.items()
        ]
        if number % 10 == 0:
            rig.driver.send_sweep(STACK)
        rig.peer.spin(0.01)
        for subscription in subscriptions:
            node.destroy_subscription(subscription)
    rig.assert_good_sweep()
    rig.peer.wait_for(
        lambda: (
            set(rig.diagnostics.value("results subscribed to").split(", "))
            == set(rig.results.topics)
        ),
        "the node to know that they have gone",
    )

    def is_as_before() -> bool:
        now = rig.process.usage()
        assert before is not None
        assert now is not None
        return (now.files, now.threads) == (before.files, before.threads)

    rig.peer.wait_for(is_as_before, "files and threads to be as many as before")


def test_results_that_nobody_wants_for_a_moment(rig: DepthRig, peer: Peer) -> None:
    """The last subscriber goes in the middle of a sweep, and comes back in the next one."""
    for _ in range(3):
        rig.driver.send_sweep(STACK, STACK.slices[:4])
        topics = ("depth/image", "sweep_info")
        for subscription in list(peer.node.subscriptions):
            if subscription.topic_name.lstrip("/") in topics:
                peer.node.destroy_subscription(subscription)
        peer.wait_for(
            lambda: rig.diagnostics.value("results subscribed to") == "", "the node to know"
        )
        rig.driver.send_sweep(STACK, STACK.slices[:4])
        rig.results = type(rig.results)(peer, topics)
        rig.results.wait_until_served(rig.diagnostics, rig.driver)
        rig.assert_good_sweep()


@pytest.mark.parametrize("seconds", [2.0, pytest.param(30.0, marks=pytest.mark.faults)])
def test_parameters_change_50_times_per_second(rig: DepthRig, seconds: float) -> None:
    """Valid and invalid ones in turn, while sweeps come in."""
    changes = [
        ("min_confidence", 0.5, True),
        ("min_confidence", 1.5, False),
        ("min_range", 0.1, True),
        ("min_range", "near", False),
        ("fill_holes", True, True),
        ("sweep.count", 3, False),
        ("reference", "first", True),
        ("reference", "elsewhere", False),
        ("no_such_parameter", 1, False),
        ("max_range", 0.05, False),
    ]
    client = rig.peer.client(SetParameters, "depth_node/set_parameters")
    rig.peer.get_parameters("depth_node", "reference")  # answered: the two know each other
    asked, start = [], time.monotonic()
    while len(asked) < 50 * seconds:
        name, value, is_valid = changes[len(asked) % len(changes)]
        future = client.call_async(parameter_request({name: value}))
        asked.append((future, name, value, is_valid))
        if len(asked) % 25 == 0:
            rig.driver.send_sweep(STACK, pause=0.001)
        rig.peer.spin(max(0.0, start + 0.02 * len(asked) - time.monotonic()))
    for future, name, value, is_valid in asked:
        result = rig.peer.wait_for(future.result, f"the answer to {name}").results[0]
        assert result.successful == is_valid, (name, value, result.reason)
        assert is_valid or result.reason
    last: dict[str, Value] = {"fill_holes": False, "min_confidence": 0.0, "reference": "last"}
    assert all(result.successful for result in rig.peer.set_parameters("depth_node", last))
    messages = rig.assert_good_sweep()
    assert np.isfinite(pixels(messages["depth/image"])).all()
