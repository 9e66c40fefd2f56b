"""Types and quality of service of the topics of a bag."""

from __future__ import annotations

import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from focdepth_ros.bags.reading import OfferedQos
from focdepth_ros.errors import BagError
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.bag_topics import message_class, playback_qos


def offer(
    reliability: str = "reliable",
    durability: str = "volatile",
    history: str = "keep_last",
    depth: int = 10,
) -> OfferedQos:
    return OfferedQos(reliability, durability, history, depth)


def test_types_that_are_installed() -> None:
    assert message_class("sensor_msgs/msg/Image") is Image
    assert message_class("focdepth_ros/msg/FocusState") is FocusState


@pytest.mark.parametrize(
    "kind", ["odd_msgs/msg/Odd", "sensor_msgs/msg/Odd", "nonsense", "", "sensor_msgs/srv/SetMap"]
)
def test_types_that_are_not(kind: str) -> None:
    with pytest.raises(BagError, match=f"messages of type {kind} are not known here"):
        message_class(kind)


def test_reliable_where_the_bag_says_nothing() -> None:
    for offers in ([], [offer("unknown", "unknown", "unknown", 0)]):
        qos = playback_qos(offers)
        assert qos.reliability == QoSReliabilityPolicy.RELIABLE
        assert qos.durability == QoSDurabilityPolicy.VOLATILE
        assert (qos.history, qos.depth) == (QoSHistoryPolicy.KEEP_LAST, 20)


def test_as_recorded() -> None:
    qos = playback_qos([offer("best_effort", depth=100)])
    assert (qos.reliability, qos.depth) == (QoSReliabilityPolicy.BEST_EFFORT, 100)
    latched = playback_qos([offer(durability="transient_local", depth=1)])
    assert latched.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
    assert latched.depth == 1
    keeps_all = playback_qos([offer(durability="transient_local", history="keep_all")])
    assert keeps_all.history == QoSHistoryPolicy.KEEP_ALL


def test_of_several_publishers_the_one_that_is_heard_by_more() -> None:
    qos = playback_qos([offer("best_effort"), offer("reliable", "transient_local", depth=3)])
    assert qos.reliability == QoSReliabilityPolicy.RELIABLE
    assert qos.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
    assert qos.depth == 10
