"""Everything that one depth node publishes, as seen by a subscriber."""

from __future__ import annotations

from typing import Any

from ros_harness import Diagnostics, Peer
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from focdepth_ros.msg import SweepInfo

KINDS = {
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "confidence/image": Image,
    "all_in_focus/image": Image,
    "points": PointCloud2,
    "sweep_info": SweepInfo,
}
#: Of a node with the parameter aif_only.
WITHOUT_DEPTH = ("all_in_focus/image", "all_in_focus/camera_info", "sweep_info")


class DepthResults:
    """Subscribes to results and waits for them.

    Parameters
    ----------
    peer : Peer
    topics : sequence of str, optional
        Those to subscribe to; all by default.
    """

    def __init__(self, peer: Peer, topics: tuple[str, ...] = tuple(KINDS)) -> None:
        self._peer = peer
        self.topics = topics
        self.received: dict[str, list[Any]] = {
            topic: peer.collect(KINDS.get(topic, CameraInfo), topic) for topic in topics
        }

    def wait_until_served(self, diagnostics: Diagnostics, driver: Any) -> None:
        """Until the node knows its subscribers and its camera."""

        driver.wait_until_heard(diagnostics)
        self._peer.wait_for(
            lambda: set(self.topics) <= set(diagnostics.value("results subscribed to").split(", ")),
            "the node to know its subscribers",
        )

    def clear(self) -> None:
        for messages in self.received.values():
            messages.clear()

    def wait_for_one(self, *without: str) -> dict[str, Any]:
        """One message of every topic, but for some."""
        topics = [topic for topic in self.topics if topic not in without]
        self._peer.wait_for(
            lambda: all(self.received[topic] for topic in topics), f"results on {topics}"
        )
        return {topic: self.received[topic][-1] for topic in topics}
