"""Shows what `depth_node` publishes in a Rerun viewer: a page in a browser, or a recording.

Images and clouds are shown one at a time, and while one is on its way only the newest waits: what
the viewer cannot keep up with is left out, and nothing grows.
"""

from __future__ import annotations

if __name__ == "__main__":
    from focdepth_ros.ros.early_signals import end_at_once_on_signals

    end_at_once_on_signals()

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from focdepth_ros.errors import CalibrationError, MessageError, ViewerError
from focdepth_ros.messages.depth_decoding import depth_image, float_image
from focdepth_ros.messages.image_decoding import ImageLimits, open_image
from focdepth_ros.messages.reading import camera_intrinsics, image_size, stamp_of
from focdepth_ros.msg import SweepInfo
from focdepth_ros.ros.listening.cloud_reading import cloud_arrays
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.node_support.node_runner import NodeFinished, interruptible, log_at, run_node
from focdepth_ros.ros.node_support.qos_events import QosWatch, overridable
from focdepth_ros.ros.node_support.self_report import StatusPublisher, report_unforeseen
from focdepth_ros.ros.parameters.view import ViewParameters
from focdepth_ros.ros.params import declare_parameters, warn_of_unknown_parameters
from focdepth_ros.viewer.target import open_viewer

# Any publisher is heard, and none has to wait. Of what is large only the newest message waits.
_NEWEST = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_SMALL = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_LIMITS = ImageLimits(max_pixels=100_000_000, bit_depth=16)
_SILENCE = 5.0  # seconds without an answer after which that is said
_LEVELS = ("INFO", "WARN", "ERROR", "WARN")  # of OK, WARN, ERROR and STALE
_ENDED = 1


class ViewNode:
    """Listens to the results of `depth_node` and hands them to the viewer.

    Parameters
    ----------
    node : Node

    Raises
    ------
    FocdepthError
        If a parameter cannot be, or nothing can be shown where it is to be.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._health = NodeHealth(self._log)
        self._parameters = declare_parameters(node, ViewParameters)
        warn_of_unknown_parameters(node)
        self._opened = ExitStack()
        self._exit_code = 0
        with interruptible():
            try:
                self._viewer = self._opened.enter_context(open_viewer(self._parameters.target()))
            except OSError as error:
                raise ViewerError(f"parameter 'save': {error}") from error
        self._recording = self._viewer.recording
        self._qos_watch = QosWatch(node, self._health.condition)
        self._states: dict[str, tuple[int, str]] = {}
        self._last_answer = time.monotonic()
        self._topics = [
            self._subscribe(SweepInfo, "sweep_info", self._on_sweep_info),
            self._subscribe(Image, "depth/image", self._on_depth),
            self._subscribe(CameraInfo, "depth/camera_info", self._on_camera_info),
            self._subscribe(Image, "confidence/image", self._on_confidence),
            self._subscribe(Image, "all_in_focus/image", self._on_all_in_focus),
            self._subscribe(PointCloud2, "points", self._on_points),
        ]
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._status = StatusPublisher(node, self._health, "view")
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(self._parameters.diagnostics_period, self._report, clock=steady)
        node.get_logger().info(f"{self._viewer.place}; waiting for {', '.join(self._topics)}")

    def close(self) -> int:
        """Let what is on its way arrive; 1 if the page cannot be served any more."""
        self._opened.close()
        return self._exit_code

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""
        report_unforeseen(self.node, self._health, error)

    def _subscribe(self, kind: type, topic: str, show: Callable[[Any, int], None]) -> str:
        full_name = str(self.node.resolve_topic_name(topic))
        qos = copy(_SMALL if kind is SweepInfo else _NEWEST)  # rclpy writes overrides into it
        self.node.create_subscription(
            kind,
            topic,
            partial(self._on_message, full_name, show),
            qos,
            qos_overriding_options=overridable(),
            event_callbacks=self._qos_watch.subscription_events(full_name, qos),
        )
        return full_name

    def _on_message(self, topic: str, show: Callable[[Any, int], None], message: Any) -> None:
        self._last_answer = time.monotonic()
        try:
            show(message, stamp_of(message.header))
            self._health.count(f"shown of {topic}")
        except (MessageError, CalibrationError) as error:
            self._health.problem(f"not shown of {topic}", str(error))
        except ViewerError as error:
            self._health.problem("viewer", str(error))

    def _on_depth(self, message: Image, stamp: int) -> None:
        self._recording.show_depth(depth_image(message, "depth/image"), stamp)

    def _on_confidence(self, message: Image, stamp: int) -> None:
        self._recording.show_confidence(float_image(message, "confidence/image"), stamp)

    def _on_all_in_focus(self, message: Image, stamp: int) -> None:
        self._recording.show_all_in_focus(open_image(message, _LIMITS).decode(), stamp)

    def _on_camera_info(self, message: CameraInfo, stamp: int) -> None:
        self._recording.show_camera(camera_intrinsics(message, image_size(message)), stamp)

    def _on_points(self, message: PointCloud2, stamp: int) -> None:
        points, colours = cloud_arrays(message, "points")
        self._recording.show_cloud(*_thinned(points, colours, self._parameters.max_points), stamp)

    def _on_sweep_info(self, message: SweepInfo, stamp: int) -> None:
        self._recording.show_figures(_figures(message), stamp)
        self._recording.show_facts(f"sweep {message.sequence}", _facts(message), stamp)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """Show states of the nodes of this namespace when they change."""
        namespace = self.node.get_namespace().strip("/")
        own = f"{self.node.get_fully_qualified_name().lstrip('/')}: "
        for status in message.status:
            state = (int.from_bytes(status.level, "little"), status.message)
            is_near = not namespace or status.name.startswith(f"{namespace}/")
            if status.name.startswith(own) or not is_near or self._states.get(status.name) == state:
                continue
            self._states[status.name] = state
            level = _LEVELS[min(state[0], len(_LEVELS) - 1)]
            try:
                line = f"{status.name}: {status.message}"
                self._recording.show_line(line, level, stamp_of(message.header))
            except (MessageError, ViewerError) as error:
                self._health.problem("diagnostics not shown", str(error))

    def _report(self) -> None:
        server = self._viewer.server
        if server is not None and server.last_words is not None:
            self._log(Level.ERROR, f"the page is not served any more: {server.last_words}")
            self._exit_code = _ENDED
            raise NodeFinished
        self._qos_watch.recheck()
        silent = time.monotonic() - self._last_answer > _SILENCE
        self._health.condition("answers", self._what_is_missing() if silent else None)
        self._status.publish(self._viewer.place)

    def _what_is_missing(self) -> str:
        if any(map(self.node.count_publishers, self._topics)):
            return (
                f"depth_node is there, but no answer comes on {self._topics[0]}; its status on "
                "/diagnostics tells what it lacks"
            )
        return (
            f"nobody publishes {', '.join(self._topics)}; start depth_node, or give the namespace "
            "that it is in"
        )

    def _log(self, level: Level, text: str) -> None:
        log_at(level, self.node.get_logger(), text)


def _figures(info: Any) -> dict[str, float]:
    """What is plotted of a sweep, by its place in the recording."""
    return {
        "seconds/after_the_last_frame": info.latency_after_last_frame,
        "seconds/per_frame": info.time_per_slice,
        "seconds/last_step": info.time_finish,
        "shares/coverage": info.coverage,
    }


def _facts(info: Any) -> dict[str, object]:
    distances = [f"{d:.3g}" for d in info.focus_distances if not math.isnan(d)]
    dropped = zip(info.dropped_reasons, info.dropped_counts, strict=False)
    facts: dict[str, object] = {
        "backend": info.backend,
        "instead, because": info.fallback_reason,
        "slices": len(info.stamps),
        "focus distances [m]": ", ".join(distances),
        "ended by": info.end_reason,
        "coverage": f"{100.0 * info.coverage:.1f} %",
        "after the last frame": f"{1e3 * info.latency_after_last_frame:.0f} ms",
        "left out so far": ", ".join(f"{count} {reason}" for reason, count in dropped),
    }
    return {name: value for name, value in facts.items() if value != ""}


def _thinned(
    points: NDArray[np.float32], colours: NDArray[np.uint8], most: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Every n-th row and column of an organised cloud, (H, W, 3), so that it has `most` points."""
    step = math.ceil(math.sqrt(points.shape[0] * points.shape[1] / most))
    if points.shape[0] == 1:  # it is not organised
        step = math.ceil(points.shape[1] / most)
        return points[:, ::step], colours[:, ::step]
    return points[::step, ::step], colours[::step, ::step]


def main(args: Sequence[str] | None = None) -> int:
    """Run `view_node` until it is interrupted; the exit code is returned."""
    return run_node("view_node", ViewNode, args)


if __name__ == "__main__":
    sys.exit(main())
