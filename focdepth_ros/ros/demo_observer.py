"""Listens to the camera and to `depth_node`, and puts together what belongs to one sweep."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from focdepth_ros.errors import MessageError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.messages.image_decoding import ImageLimits, open_image
from focdepth_ros.messages.reading import camera_intrinsics, stamp_of
from focdepth_ros.msg import FocusState, SweepInfo
from focdepth_ros.ros.node_support.node_runner import signals_deferred
from focdepth_ros.stack import CameraIntrinsics, FloatImage, FocalStack, ImageArray, Slice

_RELIABLE = QoSProfile(depth=10)
_SENSOR = QoSProfile(depth=30, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
_RESULTS = {
    "depth/image": Image,
    "confidence/image": Image,
    "all_in_focus/image": Image,
    "points": PointCloud2,
    "sweep_info": SweepInfo,
}
_FRAMES_KEPT = 100
_LIMITS = ImageLimits(max_pixels=100_000_000, bit_depth=16)


@dataclass(frozen=True, eq=False)
class ObservedSweep:
    """All messages of one answered sweep.

    Parameters
    ----------
    messages : dict
        By topic.
    delay : float
        Seconds from the stamp of the last frame until its depth was received here, in another
        process than the one that worked it out.
    """

    messages: dict[str, Any]
    delay: float

    @property
    def info(self) -> Any:
        """The `SweepInfo`."""
        return self.messages["sweep_info"]

    @property
    def depth(self) -> FloatImage:
        """(H, W) float32, metres."""
        return float_image(self.messages["depth/image"])

    def estimate(self) -> DepthEstimate:
        """The answer as it came over the topics, which do not tell positions in the stack."""
        confidence = float_image(self.messages["confidence/image"])
        return DepthEstimate(
            depth=self.depth,
            confidence=confidence,
            slice_index=np.full_like(confidence, np.nan),
            backend=self.info.backend,
            metric=True,
            all_in_focus=open_image(self.messages["all_in_focus/image"], _LIMITS).decode(),
        )

    def points(self) -> tuple[NDArray[np.float32], ImageArray] | None:
        """Points (H, W, 3) in metres and RGB colours (H, W, 3) of the cloud, if there is one."""
        if (cloud := self.messages.get("points")) is None:
            return None
        raw = np.frombuffer(cloud.data, np.uint8).reshape(cloud.height, cloud.width, -1)
        offsets = {field.name: field.offset for field in cloud.fields}
        x = offsets["x"]
        points = np.ascontiguousarray(raw[..., x : x + 12]).view(np.float32)
        colour = offsets["rgb"]
        return points, np.ascontiguousarray(raw[..., colour : colour + 3][..., ::-1])


class DemoObserver:
    """A node that watches the other two. A context manager.

    Parameters
    ----------
    points : bool, optional
        Whether point clouds are waited for; of a camera without intrinsics none come.
    """

    def __init__(self, points: bool = True) -> None:
        # Signals stay with Python: they end what is under way by an exception.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("demo_observer")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        #: Sweeps all of whose messages are there, oldest first.
        self.answers: deque[ObservedSweep] = deque()
        #: (H, W) float32 in metres where the camera tells the ground truth.
        self.truth: FloatImage | None = None
        self._parts: dict[int, dict[str, Any]] = {}
        self._delays: dict[int, float] = {}
        self._sweep_ids: set[int] = set()
        # As they came over the wire: most are never looked at, so they are not unpacked.
        self._frames: deque[bytes] = deque(maxlen=_FRAMES_KEPT)
        self._camera_info: Any = None
        self._heard = time.monotonic()
        self._results = {t: kind for t, kind in _RESULTS.items() if points or t != "points"}
        for topic, kind in self._results.items():
            self._node.create_subscription(kind, topic, self._collector(topic), _RELIABLE)
        self._node.create_subscription(Image, "ground_truth/depth", self._on_truth, _LATCHED)
        subscribe = self._node.create_subscription
        subscribe(Image, "image_raw", self._on_frame, _SENSOR, raw=True)
        subscribe(CameraInfo, "camera_info", self._on_info, _SENSOR)
        subscribe(FocusState, "focus_state", self._on_focus_state, _SENSOR)

    def __enter__(self) -> DemoObserver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    @property
    def sweeps_sent(self) -> int:
        """How many sweeps the camera has begun; 0 if it gives them no ids."""
        return len(self._sweep_ids)

    @property
    def silence(self) -> float:
        """Seconds since the last image or answer came."""
        return time.monotonic() - self._heard

    def spin_once(self) -> None:
        """Take in one message, or return after a moment."""
        with signals_deferred():
            self._executor.spin_once(timeout_sec=0.1)

    def stack_of(self, sweep: ObservedSweep) -> FocalStack:
        """The slices of a sweep as they came over the topics.

        Raises
        ------
        MessageError
            If fewer than 2 of its images were received.
        """
        stamps = [stamp.sec * 10**9 + stamp.nanosec for stamp in sweep.info.stamps]
        frames = {stamp_of(frame.header): frame for frame in self._unpacked_frames()}
        slices = [
            Slice(open_image(frames[stamp], _LIMITS).decode(), distance, stamp)
            for stamp, distance in zip(stamps, sweep.info.focus_distances, strict=True)
            if stamp in frames
        ]
        if len(slices) < 2:
            raise MessageError(
                f"{len(slices)} of the {len(stamps)} images of sweep {sweep.info.sequence} were "
                "received; at least 2 are needed for the pictures",
                reason="frames lost",
            )
        return FocalStack(slices, intrinsics=self._intrinsics(slices[0].size))

    def _intrinsics(self, size: tuple[int, int]) -> CameraIntrinsics | None:
        return None if self._camera_info is None else camera_intrinsics(self._camera_info, size)

    def _collector(self, topic: str) -> Any:
        def collect(message: Any) -> None:
            stamp = stamp_of(message.header)
            parts = self._parts.setdefault(stamp, {})
            parts[topic] = message
            if topic == "depth/image":
                self._delays[stamp] = 1e-9 * (time.time_ns() - stamp)
            if len(parts) == len(self._results):
                messages, delay = self._parts.pop(stamp), self._delays.pop(stamp)
                self.answers.append(ObservedSweep(messages, delay))
                self._heard = time.monotonic()

        return collect

    def _on_truth(self, message: Any) -> None:
        if self.truth is None:
            self.truth = float_image(message)

    def _unpacked_frames(self) -> Iterator[Any]:
        return (deserialize_message(frame, Image) for frame in self._frames)

    def _on_frame(self, serialised: bytes) -> None:
        self._frames.append(serialised)
        self._heard = time.monotonic()

    def _on_focus_state(self, message: Any) -> None:
        if message.sweep_id:
            self._sweep_ids.add(message.sweep_id)

    def _on_info(self, message: Any) -> None:
        self._camera_info = message


def float_image(message: Any) -> FloatImage:
    """(H, W) float32 of an image message of encoding 32FC1."""
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)
