"""The stamps of a camera's frames, from whatever topic costs least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from focdepth_ros.errors import MessageError
from focdepth_ros.messages.header import read_header
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.node_support.qos_events import QosWatch, overridable

_SENSOR_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_DIAGNOSTICS = "/diagnostics"
_TOPICS = {
    "camera_info": (CameraInfo, "camera_info"),
    "image": (Image, "image_raw"),
    "compressed": (CompressedImage, "image_raw/compressed"),
}


@dataclass(frozen=True)
class SeenFrame:
    """A frame of which nothing but the header was looked at.

    Parameters
    ----------
    stamp : int
        Nanoseconds.
    frame_id : str
    values : mapping
        What the driver tells of it, as text by name.
    """

    stamp: int
    frame_id: str
    values: Mapping[str, str] = field(default_factory=dict)


class FrameSource:
    """Calls back for each frame of the camera, once.

    Parameters
    ----------
    node : Node
    topic : str
        ``camera_info``, ``image``, ``compressed``; or ``diagnostics``: the driver's own, once per
        frame, with the header of the image.
    key : str
        Name of the value by which the driver's diagnostics are known.
    hardware_id : str
        Of the camera, for ``diagnostics``; if empty the only one, and of several none is taken.
    health : NodeHealth
    on_frame : callable
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        *,
        key: str,
        hardware_id: str,
        health: NodeHealth,
        on_frame: Callable[[SeenFrame], None],
    ) -> None:
        self._key = key
        self._hardware_id = hardware_id
        self._health = health
        self._on_frame = on_frame
        self._last_stamp: int | None = None
        self._cameras: set[str] = set()
        self._qos_watch = QosWatch(node, health.condition)
        options: dict[str, Any] = {"qos_overriding_options": overridable()}
        if topic == "diagnostics":
            self.name = _DIAGNOSTICS
            node.create_subscription(
                DiagnosticArray, _DIAGNOSTICS, self._on_diagnostics, copy(_SENSOR_QOS), **options
            )
        else:
            kind, relative = _TOPICS[topic]
            self.name = str(node.resolve_topic_name(relative))
            qos = copy(_SENSOR_QOS)  # overriding writes into it
            events = self._qos_watch.subscription_events(self.name, qos)
            # Raw: nothing of the message is wanted but its first bytes.
            node.create_subscription(
                kind,
                relative,
                self._on_bytes,
                qos,
                raw=True,
                event_callbacks=events,
                **options,
            )

    def recheck(self) -> None:
        """Take back what was said of publishers that have gone."""
        self._qos_watch.recheck()

    def _on_bytes(self, data: bytes) -> None:
        try:
            stamp, frame_id = read_header(data)
        except MessageError as error:
            self._health.problem(error.reason, str(error))
            return
        self._take(SeenFrame(stamp, frame_id))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            if self._key not in values:
                continue
            if self._hardware_id and status.hardware_id != self._hardware_id:
                continue
            self._note_camera(status.hardware_id)
            if len(self._cameras) > 1:  # whose lens it is that moves nobody has said
                return
            try:
                stamp = stamp_of(message.header)
            except MessageError as error:
                self._health.problem(error.reason, str(error))
                return
            self._take(SeenFrame(stamp, message.header.frame_id, values))

    def _note_camera(self, hardware_id: str) -> None:
        if hardware_id in self._cameras or len(self._cameras) > 8:
            return
        self._cameras.add(hardware_id)
        if len(self._cameras) > 1:
            self._health.condition(
                "cameras",
                f"several cameras tell their {self._key} on {_DIAGNOSTICS}: "
                f"{', '.join(sorted(self._cameras))}; set the parameter hardware_id to one of them",
                Level.ERROR,
            )

    def _take(self, frame: SeenFrame) -> None:
        if frame.stamp == self._last_stamp:  # some drivers send a frame twice
            self._health.count("frames sent twice")
            return
        self._last_stamp = frame.stamp
        self._on_frame(frame)
