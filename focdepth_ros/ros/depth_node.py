"""The node that turns the focus sweeps of a camera into depth images and point clouds.

The executor's thread checks messages and puts them together to sweeps; one worker thread
computes and publishes. What comes faster than it can be worked on is dropped and counted.
"""

from __future__ import annotations

if __name__ == "__main__":
    from focdepth_ros.ros.early_signals import end_at_once_on_signals

    end_at_once_on_signals()

import os
import sys
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict
from functools import partial
from typing import Any

import cv2
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from focdepth_ros.backends.base import Backend
from focdepth_ros.backends.registry import (
    backend_config,
    backend_names,
    choose_backend,
    create_backend,
)
from focdepth_ros.backends.unavailable import UnavailableBackend
from focdepth_ros.errors import (
    BackendUnavailableError,
    DeviceError,
    MessageError,
    OptionError,
    WeightsError,
)
from focdepth_ros.messages.image_decoding import open_compressed_image, open_image
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.ros.depth_node_parts.diagnostics import DepthDiagnostics
from focdepth_ros.ros.depth_node_parts.outputs import DepthOutputs
from focdepth_ros.ros.depth_node_parts.sweep_queue import SweepQueue
from focdepth_ros.ros.depth_node_parts.worker import DepthWorker
from focdepth_ros.ros.focus_sources import create_focus_source
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.node_support.node_runner import log_at, run_node
from focdepth_ros.ros.node_support.qos_events import QosWatch, overridable
from focdepth_ros.ros.node_support.self_report import report_unforeseen
from focdepth_ros.ros.parameters.depth import ALIGNMENT_PREFIX, DepthNodeParameters
from focdepth_ros.ros.parameters.focus import FOCUS_PREFIX, FocusParameters
from focdepth_ros.ros.params import (
    changed_parameters,
    declare_parameters,
    warn_of_unknown_parameters,
)
from focdepth_ros.sweep import (
    FocusSample,
    FrameDropped,
    SliceAdded,
    SweepAssembler,
    SweepDropped,
    SweepEvent,
    SweepFinished,
    SweepStarted,
)
from focdepth_ros.sweep_parts.types import USUAL, USUAL_AT_FIRST

# Any publisher is heard. A third of a second at 30 Hz lies ready while the worker holds the
# interpreter.
_INPUT_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)

_POLL_PERIOD = 0.1  # seconds
_STARTING_GRACE = 1.0  # seconds in which it is usual that not everything is there yet


class DepthNode:
    """Collects focus sweeps, has them worked on, and publishes the depth.

    Parameters
    ----------
    node : Node

    Raises
    ------
    FocdepthError
        If a parameter is out of range, or no backend can be used here.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._health = NodeHealth(self._log)
        self._parameters = parameters = declare_parameters(node, DepthNodeParameters)
        focus = declare_parameters(node, FocusParameters, FOCUS_PREFIX)
        alignment = declare_parameters(node, AlignmentConfig, ALIGNMENT_PREFIX)
        options: dict[str, Any] = {
            name: declare_parameters(node, backend_config(name), f"{name}.")
            for name in backend_names()
        }
        warn_of_unknown_parameters(node)
        lens_map = focus.read_lens_map(needs_metres=not parameters.aif_only)
        backend = choose_backend(parameters.backend)
        self._pipeline = DepthPipeline(
            self._backend(backend, asdict(options[backend])),
            alignment=alignment,
            min_confidence=parameters.min_confidence,
            fill_holes=parameters.fill_holes,
            cooldown_s=parameters.cooldown_s,
        )
        self._assembler = SweepAssembler(
            parameters.sweep,
            needs_metres=not parameters.aif_only,
            position_tolerance=focus.position_tolerance,
        )
        self._queue = SweepQueue(parameters.max_waiting_sweeps)
        self._qos_watch = QosWatch(node, self._health.condition)
        self._outputs = DepthOutputs(node, self._qos_watch, depth=not parameters.aif_only)

        self._frame_id = ""
        self._was_listening = False
        self._listening_since = time.monotonic()
        image_topic = (
            self._subscribe(CompressedImage, "image_raw/compressed", self._on_compressed_image)
            if parameters.compressed
            else self._subscribe(Image, "image_raw", self._on_image)
        )
        self._focus = create_focus_source(
            node,
            focus,
            lens_map,
            subscribe=self._subscribe,
            take=self._take_focus,
            health=self._health,
        )
        info_topic = self._subscribe(CameraInfo, "camera_info", self._on_camera_info)
        self._diagnostics = DepthDiagnostics(
            node, self._health, image_topic, self._focus, info_topic
        )

        # Stamps come from the messages; waiting is done in real time, whatever /clock says.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_POLL_PERIOD, self._poll, clock=steady)
        node.create_timer(parameters.diagnostics_period, self._report, clock=steady)
        node.add_on_set_parameters_callback(self._on_parameters)

        self._worker = DepthWorker(
            self._pipeline,
            self._queue,
            self._outputs,
            self._health,
            parameters,
            info_topic=info_topic,
            complain=self.complain,
        )
        self._worker.start()
        product = "all-in-focus image alone" if parameters.aif_only else "depth"
        node.get_logger().info(
            f"{product} by backend '{self._pipeline.backend.name}' from {image_topic}, "
            f"{self._focus.topic} and {info_topic}"
        )

    def close(self) -> None:
        """Stop the worker; the sweep in work is let go."""
        self._queue.close()
        self._pipeline.backend.interrupt()
        self._worker.join()

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""
        report_unforeseen(self.node, self._health, error)

    def _backend(self, name: str, options: dict[str, Any]) -> Backend:
        """The backend, or what lets a simpler one answer: a robot needs depth all the same."""
        try:
            return create_backend(name, **options)
        except (BackendUnavailableError, DeviceError, WeightsError) as error:
            self._health.condition(
                "backend", f"a simpler backend answers instead of '{name}': {error}", Level.ERROR
            )
            may_recover = isinstance(error, DeviceError)
            create = partial(create_backend, name, **options) if may_recover else None
            return UnavailableBackend(name, error, create)

    def _subscribe(self, kind: type, topic: str, callback: Any) -> str:
        full_name = str(self.node.resolve_topic_name(topic))
        qos = copy(_INPUT_QOS)  # rclpy writes overrides into it
        self.node.create_subscription(
            kind,
            topic,
            callback,
            qos,
            qos_overriding_options=overridable(),
            event_callbacks=self._qos_watch.subscription_events(full_name, qos),
        )
        return full_name

    def _on_image(self, message: Image) -> None:
        self._take_image(message, open_image)

    def _on_compressed_image(self, message: CompressedImage) -> None:
        self._take_image(message, open_compressed_image)

    def _take_image(self, message: Any, opened: Any) -> None:
        self._health.count("images received")
        self._diagnostics.last_image = now = time.monotonic()
        if not self._is_listening():
            return
        try:
            stamp = stamp_of(message.header)
            image = opened(message, self._parameters.image_limits)
        except MessageError as error:
            self._health.problem(error.reason, str(error))
            return
        self._frame_id = message.header.frame_id
        self._handle(
            self._assembler.add_image(
                stamp, image.decode, size=image.size, encoding=image.encoding, now=now
            )
        )
        self._focus.add_image(stamp)

    def _take_focus(self, sample: FocusSample) -> None:
        now = time.monotonic()
        if sample.settled:
            self._diagnostics.last_settled = now
        if self._is_listening():
            self._handle(self._assembler.add_focus(sample, now=now))

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._worker.camera_info = message

    def _poll(self) -> None:
        self._focus.poll()
        if self._is_listening():
            self._handle(self._assembler.poll(now=time.monotonic()))

    def _is_listening(self) -> bool:
        """Whether somebody wants results; if not, what was collected is let go."""
        is_listening = self._outputs.anything_wanted()
        if is_listening != self._was_listening:
            self._was_listening = is_listening
            self._listening_since = time.monotonic()
            self._diagnostics.begin()
            self._assembler.flush()
            self._queue.abandon()
        return is_listening

    def _handle(self, events: Sequence[SweepEvent]) -> None:
        for event in events:
            if isinstance(event, SweepStarted):
                self._queue.start(event.height, event.width, self._frame_id, metric=event.metric)
            elif isinstance(event, SliceAdded):
                now = time.monotonic()
                self._queue.add(event.slice, replaces_last=event.replaces_last, now=now)
            elif isinstance(event, SweepFinished):
                self._finish(event)
            elif isinstance(event, SweepDropped):
                self._queue.abandon()
                self._health.problem(event.reason, event.detail, self._seriousness(event))
            else:
                self._health.problem(event.reason, event.detail, self._seriousness(event))

    def _finish(self, event: SweepFinished) -> None:
        self._health.count("sweeps received")
        self._diagnostics.last_sweep = time.monotonic()
        if self._queue.finish(event.sweep) is not None:
            self._health.problem(
                "sweep outrun",
                "sweeps come faster than they can be worked on, the oldest is dropped; use fewer "
                "or smaller images, another backend, or a larger sweep.window_stride",
            )

    def _seriousness(self, event: FrameDropped | SweepDropped) -> Level:
        if event.reason in USUAL:
            return Level.OK
        # At first one of the two topics is connected and the other is not yet, and the sweep
        # that is under way is seen in part.
        grace_ends = self._listening_since + _STARTING_GRACE
        if event.reason in USUAL_AT_FIRST and time.monotonic() < grace_ends:
            return Level.OK
        return Level.WARN

    def _on_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        try:
            parameters = changed_parameters(
                self._parameters, {change.name: change.value for change in changes}
            )
        except OptionError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._worker.parameters = self._parameters = parameters
        self._pipeline.min_confidence = parameters.min_confidence
        self._pipeline.fill_holes = parameters.fill_holes
        return SetParametersResult(successful=True)

    def _report(self) -> None:
        self._qos_watch.recheck()
        self._diagnostics.report(
            is_listening=self._is_listening(),
            wanted=self._outputs.wanted(),
            under_way=self._queue.under_way,
            backend=self._pipeline.backend.name,
            aif_only=self._parameters.aif_only,
            frame_id=self._frame_id,
        )

    def _log(self, level: Level, text: str) -> None:
        log_at(level, self.node.get_logger(), text)


def main(args: Sequence[str] | None = None) -> int:
    """Run `depth_node` until it is interrupted; the exit code is returned."""
    # One core is left for receiving images while the worker computes.
    cv2.setNumThreads(max(1, len(os.sched_getaffinity(0)) - 1))
    return run_node("depth_node", DepthNode, args)


if __name__ == "__main__":
    sys.exit(main())
