"""A simulated auto-focus camera as a node: images, calibration, focus states, ground truth."""

from __future__ import annotations

if __name__ == "__main__":
    from focdepth_ros.ros.early_signals import end_at_once_on_signals

    end_at_once_on_signals()

import math
import sys
import time
import traceback
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, cast

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from focdepth_ros.msg import FocusState
from focdepth_ros.ros.conversions import (
    camera_info_message,
    float_image_message,
    mono_image_message,
    rgb_image_message,
)
from focdepth_ros.ros.node_support.node_runner import interruptible, run_node
from focdepth_ros.ros.node_support.qos_events import overridable
from focdepth_ros.ros.node_support.surroundings import warn_of_surroundings
from focdepth_ros.ros.parameters.sim_camera import SimCameraParameters
from focdepth_ros.ros.params import declare_parameters, warn_of_unknown_parameters
from focdepth_ros.simulation import RenderOptions, SimulatedStack, render_random_sweep
from focdepth_ros.simulation.camera import CameraFrame, SimulatedCamera, SweepPattern
from focdepth_ros.stack import FloatImage, FocalStack
from focdepth_ros.stack_folder.reading import StackFolder

# As camera drivers send images: what is lost is lost.
_SENSOR_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
# The scene stands still, so whoever comes late still gets its depth.
_LATCHED_QOS = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class SimCameraNode:
    """Streams the sweeps of a simulated scene, or of a focal stack folder, at a frame rate.

    Parameters
    ----------
    node : Node

    Raises
    ------
    FocdepthError
        If a parameter is out of range, or the stack folder cannot be read.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._parameters = parameters = declare_parameters(node, SimCameraParameters)
        warn_of_unknown_parameters(node)
        warn_of_surroundings(node)
        with interruptible():  # rendering takes seconds
            self._camera, self._depth = _open_camera(parameters, node)
        self._frames = self._camera.frames(sweeps=parameters.sweeps or None)
        self._images = self._publisher(Image, "image_raw", _SENSOR_QOS)
        self._infos = self._publisher(CameraInfo, "camera_info", _SENSOR_QOS)
        self._states = self._publisher(FocusState, "focus_state", _SENSOR_QOS)
        self._truths = self._publisher(Image, "ground_truth/depth", _LATCHED_QOS)
        self._is_started = False
        self._heard_since: float | None = None
        self._timer = node.create_timer(1.0 / parameters.frame_rate, self._send_next)
        node.get_logger().info(
            f"sending sweeps at {parameters.frame_rate:g} Hz on {self._images.topic_name}"
        )

    def close(self) -> None:
        """Nothing has to be ended but the timer, which goes with the node."""

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""
        self.node.get_logger().debug("".join(traceback.format_exception(error)))
        self.node.get_logger().error(f"{type(error).__name__}: {error}", throttle_duration_sec=1.0)

    def _publisher(self, kind: type, topic: str, qos: QoSProfile) -> Any:
        # rclpy writes overrides into the profile.
        return self.node.create_publisher(
            kind, topic, copy(qos), qos_overriding_options=overridable()
        )

    def _send_next(self) -> None:
        self._is_started = self._is_started or self._may_start()
        if not self._is_started:
            return
        frame = next(self._frames, None)
        if frame is None:
            self._timer.cancel()
            self.node.get_logger().info(f"sent all {self._parameters.sweeps} sweeps")
            return
        header = Header(
            stamp=self.node.get_clock().now().to_msg(), frame_id=self._parameters.frame_id
        )
        # The focus state first: it is small, and says whether the image is worth anything.
        self._states.publish(self._focus_state(frame, header))
        if self._camera.intrinsics is not None:
            self._infos.publish(camera_info_message(self._camera.intrinsics, header))
        image_message = mono_image_message if frame.image.ndim == 2 else rgb_image_message
        self._images.publish(image_message(frame.image, header))
        if self._depth is not None and frame.settled and frame.sweep_step == frame.sweep_size - 1:
            self._truths.publish(float_image_message(self._depth, header))

    def _may_start(self) -> bool:
        needed = self._parameters.wait_for_subscribers
        publishers = (self._images, self._states)
        if any(publisher.get_subscription_count() < needed for publisher in publishers):
            self._heard_since = None
            return False
        now = time.monotonic()
        self._heard_since = now if self._heard_since is None else self._heard_since
        return now - self._heard_since >= self._parameters.start_delay

    def _focus_state(self, frame: CameraFrame, header: Header) -> FocusState:
        message = FocusState(
            header=header,
            focus_distance=frame.focus_distance,
            lens_position=frame.lens_position,
            lens_position_unit="" if math.isnan(frame.lens_position) else "dioptre",
            settled=frame.settled,
        )
        if self._parameters.provide_sweep_ids:
            message.sweep_id = frame.sweep_id
            message.sweep_step = frame.sweep_step
            message.sweep_size = frame.sweep_size
        return message


def _open_camera(
    parameters: SimCameraParameters, node: Node
) -> tuple[SimulatedCamera, FloatImage | None]:
    """The camera, and the depth of what it sees where that is known."""
    source: SimulatedStack | FocalStack
    if parameters.stack:
        folder = StackFolder.open(Path(parameters.stack))
        source, depth = folder.load(), folder.ground_truth()
        if not source.is_metric:
            node.get_logger().warning(
                f"{parameters.stack} has no focus distances, so no depth can come of it; "
                "write them into its stack.yaml"
            )
    else:
        node.get_logger().info(f"rendering the scene of seed {parameters.seed}")
        source = render_random_sweep(
            parameters.seed,
            slices=parameters.slices,
            near=parameters.near,
            far=parameters.far,
            width=parameters.width,
            height=parameters.height,
            textures=Path(parameters.textures) if parameters.textures else None,
            options=RenderOptions(
                breathing=parameters.breathing, shake_translation=parameters.shake
            ),
        )
        depth = source.depth
    camera = SimulatedCamera(
        source,
        pattern=cast(SweepPattern, parameters.pattern),
        frame_rate=parameters.frame_rate,
        jump_settling=parameters.jump_settling,
    )
    return camera, depth


def main(args: Sequence[str] | None = None) -> int:
    """Run `sim_camera_node` until it is interrupted; the exit code is returned."""
    return run_node("sim_camera_node", SimCameraNode, args)


if __name__ == "__main__":
    sys.exit(main())
