"""The topics that `depth_node` publishes; work is done only for those somebody listens to."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.msg import SweepInfo
from focdepth_ros.ros.conversions import (
    float_image_message,
    point_cloud_message,
    rgb_image_message,
    time_message,
    with_header,
)
from focdepth_ros.ros.node_support.qos_events import QosWatch, overridable
from focdepth_ros.stack import CameraIntrinsics, FocalStack

# Results are large and soon outdated: nobody is served by a long queue of them.
_RESULTS_QOS = QoSProfile(depth=2)

_RESULTS: dict[str, type] = {
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "confidence/image": Image,
    "all_in_focus/image": Image,
    "points": PointCloud2,
    "sweep_info": SweepInfo,
}
_WITHOUT_DEPTH: dict[str, type] = {
    "all_in_focus/image": Image,
    "all_in_focus/camera_info": CameraInfo,
    "sweep_info": SweepInfo,
}


@dataclass(frozen=True, eq=False)
class Camera:
    """What is known of the camera: its ``camera_info`` as it came, and the model made of it."""

    info: CameraInfo
    intrinsics: CameraIntrinsics


@dataclass(frozen=True, eq=False)
class SweepResult:
    """The answer to one sweep.

    Parameters
    ----------
    stack : FocalStack
        The stamp of its reference slice is that of all messages.
    frame_id : str
    estimate : DepthEstimate
    camera : Camera or None
        Without it there is neither a cloud nor a ``camera_info``.
    """

    stack: FocalStack
    frame_id: str
    estimate: DepthEstimate
    camera: Camera | None

    def header(self) -> Header:
        """Stamp and frame of the reference slice."""
        stamp = self.stack.slices[self.stack.reference].stamp
        return Header(stamp=time_message(stamp), frame_id=self.frame_id)


class DepthOutputs:
    """All publishers of results.

    Parameters
    ----------
    node : Node
    qos_watch : QosWatch
        Reports subscribers that cannot be served.
    depth : bool
        Whether there is more than the all-in-focus image.
    """

    def __init__(self, node: Node, qos_watch: QosWatch, *, depth: bool = True) -> None:
        def publisher(kind: type, topic: str) -> Any:
            full_name = str(node.resolve_topic_name(topic))
            qos = copy(_RESULTS_QOS)  # rclpy writes overrides into it
            return node.create_publisher(
                kind,
                topic,
                qos,
                qos_overriding_options=overridable(),
                event_callbacks=qos_watch.publisher_events(full_name, qos),
            )

        self._has_depth = depth
        kinds = _RESULTS if depth else _WITHOUT_DEPTH
        self._publishers = {topic: publisher(kind, topic) for topic, kind in kinds.items()}

    def wanted(self) -> list[str]:
        """The topics that somebody listens to, by their relative names."""
        return [topic for topic in self._publishers if self._is_wanted(topic)]

    def anything_wanted(self) -> bool:
        """Whether somebody listens to any result."""
        return any(map(self._is_wanted, self._publishers))

    def picture_wanted(self) -> bool:
        """Whether somebody listens to what needs the all-in-focus image, or there is no other."""
        return (
            not self._has_depth
            or self._is_wanted("all_in_focus/image")
            or self._is_wanted("points")
        )

    def lacking_without_camera(self, reason: str) -> str | None:
        """What is not published for want of a usable ``camera_info``; None if nothing is missed."""
        if self._has_depth:
            return f"depth is published, but no points: {reason}"
        if self._is_wanted("all_in_focus/camera_info"):
            return f"the all-in-focus image is published, but no camera_info of it: {reason}"
        return None

    def publish(self, result: SweepResult) -> None:
        """Publish what somebody listens to, but for `publish_info`.

        Raises
        ------
        CalibrationError
            If the camera's distortion model is not known. All but the cloud is out then.
        """
        header, estimate, camera = result.header(), result.estimate, result.camera
        # Before the depth: depthimage_to_laserscan lets go of a depth that it knows no camera of.
        if camera is not None:
            for topic in ("depth/camera_info", "all_in_focus/camera_info"):
                self._offer(topic, with_header, camera.info, header)
        self._offer("depth/image", float_image_message, estimate.depth, header)
        self._offer("confidence/image", float_image_message, estimate.confidence, header)
        if estimate.all_in_focus is not None:
            self._offer("all_in_focus/image", rgb_image_message, estimate.all_in_focus, header)
        if camera is not None:
            colours = estimate.all_in_focus
            if colours is None:  # somebody came to listen in the middle of the sweep
                colours = result.stack.slices[result.stack.reference].image
            cloud = (estimate.depth, camera.intrinsics, colours, header)
            self._offer("points", point_cloud_message, *cloud)

    def publish_info(
        self,
        result: SweepResult,
        *,
        sequence: int,
        end_reason: str,
        fallback_reason: str,
        latency: float,
        dropped: dict[str, int],
    ) -> None:
        """Publish how the result came about; the parameters are fields of ``SweepInfo``."""
        if not self._is_wanted("sweep_info"):
            return
        stack, estimate, timings = result.stack, result.estimate, result.estimate.timings
        self._publishers["sweep_info"].publish(
            SweepInfo(
                header=result.header(),
                sequence=sequence,
                stamps=[time_message(item.stamp) for item in stack.slices],
                focus_distances=[float(item.focus_distance or np.nan) for item in stack.slices],
                reference=stack.reference,
                end_reason=end_reason,
                backend=estimate.backend,
                fallback_reason=fallback_reason,
                coverage=1.0 - float(np.mean(np.isnan(estimate.depth))),
                latency_after_last_frame=latency,
                time_per_slice=(timings["align"] + timings["add"]) / len(stack),
                time_finish=timings["finish"],
                dropped_reasons=list(dropped),
                dropped_counts=list(dropped.values()),
            )
        )

    def _is_wanted(self, topic: str) -> bool:
        publisher = self._publishers.get(topic)
        return publisher is not None and bool(publisher.get_subscription_count() > 0)

    def _offer(self, topic: str, make: Callable[..., Any], *contents: Any) -> None:
        """Make and publish a message where somebody listens to it."""
        if self._is_wanted(topic):
            self._publishers[topic].publish(make(*contents))
