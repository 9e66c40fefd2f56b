"""Quality of service that does not fit is named, and only as long as it is so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from depth_results import DepthResults
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from ros_harness import CameraDriver, Diagnostics, Peer
from sensor_msgs.msg import Image, PointCloud2
from small_sweep import small_sweep

from focdepth_ros.ros.node_process import NodeProcess, ParameterValue

OVERRIDE = "qos_overrides./image_raw.subscription.reliability"


@pytest.fixture(scope="module")
def depth_node(domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Wants reliable images, and publishes an unreliable cloud."""
    parameters: dict[str, ParameterValue] = {
        "diagnostics_period": 0.1,
        OVERRIDE: "reliable",
        "qos_overrides./points.publisher.reliability": "best_effort",
        "qos_overrides./depth/image.publisher.durability": "transient_local",
    }
    log = tmp_path_factory.mktemp("depth_node") / "log"
    with NodeProcess("focdepth_ros.ros.depth_node", parameters, log) as process:
        yield process


def reliability(peer: Peer, node: str, topic: str, end: str) -> QoSReliabilityPolicy:
    """Of the publisher or the subscription of a node."""
    look = getattr(peer.node, f"get_{end}s_info_by_topic")
    found = peer.wait_for(
        lambda: [info for info in look(topic) if info.node_name == node], f"{node} on {topic}"
    )
    return found[0].qos_profile.reliability


def test_a_driver_that_does_not_fit_is_named_until_it_has_gone(
    depth_node: NodeProcess, peer: Peer
) -> None:
    diagnostics = Diagnostics(peer)
    driver = CameraDriver(peer)  # best effort
    words = "a publisher of /image_raw offers another reliability than is asked for"
    peer.wait_for(lambda: words in diagnostics.message, "the misfit on /diagnostics")
    assert f"set the parameter {OVERRIDE}" in diagnostics.message
    peer.spin(2.5)
    assert words in diagnostics.message
    assert diagnostics.level == 1

    peer.node.destroy_publisher(driver.images)
    peer.wait_for(lambda: words not in diagnostics.message, "the warning to be taken back")
    driver.images = peer.node.create_publisher(Image, "image_raw", QoSProfile(depth=10))
    results = DepthResults(peer, ("depth/image",))
    results.wait_until_served(diagnostics, driver)
    driver.send_sweep(small_sweep().stack)
    results.wait_for_one()
    peer.wait_for(lambda: diagnostics.level == 0, "all to be well")
    log = depth_node.log.read_text(encoding="utf-8")
    assert log.count(words) == 2  # when it came and when it went
    assert f"no longer so: {words}" in log


def test_a_subscriber_that_does_not_fit_is_named_until_it_has_gone(
    depth_node: NodeProcess, peer: Peer
) -> None:
    diagnostics = Diagnostics(peer)
    subscription = peer.node.create_subscription(
        PointCloud2, "points", lambda _: None, QoSProfile(depth=1)
    )
    words = "a subscriber to /points asks for another reliability than is offered"
    peer.wait_for(lambda: words in diagnostics.message, "the misfit on /diagnostics")
    peer.node.destroy_subscription(subscription)
    peer.wait_for(lambda: words not in diagnostics.message, "the warning to be taken back")


def test_whoever_wants_the_last_depth_of_before_can_have_it_kept(
    depth_node: NodeProcess, peer: Peer
) -> None:
    """As RViz does by a display's durability."""
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    diagnostics = Diagnostics(peer)
    kept = peer.node.create_subscription(Image, "depth/image", lambda _: None, latched)
    lost = peer.node.create_subscription(PointCloud2, "points", lambda _: None, latched)
    words = (
        "a subscriber to /points asks for another durability than is offered, so it gets nothing; "
        "set the parameter qos_overrides./points.publisher.durability of this node"
    )
    told = peer.wait_for(lambda: "/points asks" in diagnostics.message and diagnostics.message, "")
    # Which of two policies that do not fit is named is up to the middleware.
    assert words in told or words.replace("durability", "reliability") in told
    assert "/depth/image asks" not in told
    for subscription in (kept, lost):
        peer.node.destroy_subscription(subscription)
    found = peer.node.get_publishers_info_by_topic("/depth/image")
    assert found[0].qos_profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL


def test_an_override_is_of_one_topic_only(depth_node: NodeProcess, peer: Peer) -> None:
    for topic, wanted in (
        ("/image_raw", QoSReliabilityPolicy.RELIABLE),
        ("/focus_state", QoSReliabilityPolicy.BEST_EFFORT),
        ("/camera_info", QoSReliabilityPolicy.BEST_EFFORT),
    ):
        assert reliability(peer, "depth_node", topic, "subscription") == wanted


def test_an_override_of_the_simulated_camera_is_of_one_topic_only(
    domain: int, peer: Peer, tmp_path: Path
) -> None:
    parameters: dict[str, ParameterValue] = {
        "width": 64,
        "height": 48,
        "slices": 3,
        "qos_overrides./image_raw.publisher.reliability": "reliable",
    }
    with NodeProcess("focdepth_ros.ros.sim_camera_node", parameters, tmp_path / "log"):
        for topic, wanted in (
            ("/image_raw", QoSReliabilityPolicy.RELIABLE),
            ("/focus_state", QoSReliabilityPolicy.BEST_EFFORT),
            ("/camera_info", QoSReliabilityPolicy.BEST_EFFORT),
        ):
            assert reliability(peer, "sim_camera_node", topic, "publisher") == wanted
