"""A node for USB cameras and webcams: it takes their images and moves their focus itself.

For cameras that have no ROS driver, or one that cannot move the focus. One thread reads the
camera and publishes; the executor's thread answers changes of parameters.
"""

from __future__ import annotations

if __name__ == "__main__":
    from focdepth_ros.ros.early_signals import end_at_once_on_signals

    end_at_once_on_signals()

import math
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from copy import copy
from typing import Any

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from focdepth_ros.errors import CameraDeviceError, FocdepthError, OptionError
from focdepth_ros.lens.camera_device import CameraDevice, DeviceSettings, OpenCvDevice
from focdepth_ros.lens.focus_schedule import (
    WHOLE,
    LensUnit,
    PositionGrid,
    even_positions,
    plan_focus,
)
from focdepth_ros.lens.lens_map import LensMap, read_lens_map
from focdepth_ros.lens.sweeping_camera import SweepingCamera, SweptFrame
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.camera_info_file import read_camera_info
from focdepth_ros.ros.conversions import (
    bgr_image_message,
    mono_image_message,
    time_message,
    with_header,
)
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.node_support.node_runner import log_at, run_node
from focdepth_ros.ros.node_support.qos_events import overridable
from focdepth_ros.ros.node_support.self_report import StatusPublisher, report_unforeseen
from focdepth_ros.ros.parameters.uvc_camera import UvcCameraParameters
from focdepth_ros.ros.params import (
    changed_parameters,
    declare_parameters,
    warn_of_unknown_parameters,
)

# As camera drivers send images: what is lost is lost.
_SENSOR_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_LONGEST_RETRY = 30.0  # seconds

DeviceMaker = Callable[[DeviceSettings], CameraDevice]


class UvcCameraNode:
    """Sweeps the focus of a camera, and publishes its images and where the focus was.

    Parameters
    ----------
    node : Node
    make_device : callable
        Makes the camera, not yet open.

    Raises
    ------
    FocdepthError
        If a parameter is out of range, or a file that it names cannot be used.
    """

    def __init__(self, node: Node, make_device: DeviceMaker = OpenCvDevice) -> None:
        self.node = node
        self._health = NodeHealth(self._log)
        self._parameters = parameters = declare_parameters(node, UvcCameraParameters)
        warn_of_unknown_parameters(node)
        self._lens_map = read_lens_map(parameters.lens_map) if parameters.lens_map else None
        if self._lens_map is not None:  # where near and far are not in it no camera is waited for
            self._metric_positions(self._lens_map, WHOLE)
        self._info = (
            read_camera_info(parameters.camera_info_file) if parameters.camera_info_file else None
        )
        self._images = self._publisher(Image, "image_raw")
        self._states = self._publisher(FocusState, "focus_state")
        self._infos = self._publisher(CameraInfo, "camera_info")
        self._status = StatusPublisher(node, self._health, "camera")
        self._tell_what_lacks()

        self._camera: SweepingCamera | None = None  # while it is there
        self._next_sweep_id = 1
        self._retry_after = parameters.retry_period
        self._stop = threading.Event()
        self._device = make_device(parameters.device_settings)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(parameters.diagnostics_period, self._diagnose, clock=steady)
        node.add_on_set_parameters_callback(self._on_parameters)
        self._thread = threading.Thread(target=self._work, name="uvc_camera")
        self._thread.start()

    def close(self) -> None:
        """Give the camera back as it was, and end the thread."""
        self._stop.set()
        self._thread.join()

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""
        report_unforeseen(self.node, self._health, error)

    def _publisher(self, kind: type, topic: str) -> Any:
        return self.node.create_publisher(
            kind, topic, copy(_SENSOR_QOS), qos_overriding_options=overridable()
        )

    def _metric_positions(self, lens_map: LensMap, grid: PositionGrid) -> tuple[float, ...]:
        wanted = self._parameters
        unit = LensUnit(lens_map.range, grid, lens_map)
        return plan_focus(unit, wanted.near, wanted.far, wanted.slices).positions

    def _tell_what_lacks(self) -> None:
        lacks_map = self._lens_map is None
        self._health.condition(
            "lens map",
            "there is no lens_map, so focus distances are not known and no depth can come of the "
            "sweeps; measure one with `focdepth calibrate lens`, and give it as lens_map"
            if lacks_map
            else None,
        )
        if self._info is None:
            self.node.get_logger().info(
                "there is no camera_info_file, so no camera_info and no points; calibrate the "
                "camera, and give the file as camera_info_file"
            )

    def _work(self) -> None:
        """Open the camera and let it sweep; again whenever it was lost, until the end."""
        while not self._stop.is_set():
            try:
                self._device.open()
                self._run()
            except FocdepthError as error:
                self._health.condition("camera", str(error), Level.ERROR)
            except Exception as error:
                self.complain(error)
            finally:
                self._camera = None
                self._device.close()
            self._stop.wait(self._retry_after)
            self._retry_after = min(2.0 * self._retry_after, _LONGEST_RETRY)

    def _run(self) -> None:
        """Publish what the camera sends, until the end or until it is lost."""
        parameters = self._parameters
        self._camera = camera = SweepingCamera(
            self._device,
            self._positions(),
            mode=parameters.sweep_mode,
            timing=parameters.timing,
            lock=parameters.lock,
            first_id=self._next_sweep_id,
            report=self._health.problem,
        )
        with closing(camera.frames()) as frames:
            for number, swept in enumerate(frames):
                if self._stop.is_set():
                    return
                if number == 0:
                    self._on_first(swept)
                self._next_sweep_id = camera.next_id
                is_paused = camera.mode == "paused"
                if swept.settled or is_paused or self._parameters.publish_unsettled:
                    self._publish(swept)

    def _positions(self) -> tuple[float, ...]:
        """Positions of a sweep, of those that the camera has; it is open."""
        wanted = self._parameters
        told = self._device.focus_range()
        limits, grid = wanted.position_range, WHOLE
        if told is not None:
            least, greatest, step = told
            limits = limits or (least, greatest)
            grid = PositionGrid(step, least)
        if self._lens_map is not None:
            positions = self._metric_positions(self._lens_map, grid)
        elif limits is not None:
            positions = even_positions(*limits, wanted.slices, grid)
        else:
            raise CameraDeviceError(
                f"camera '{wanted.device}' does not tell the range of its focus; if it can move "
                "it (`v4l2-ctl --list-ctrls` lists focus_absolute), give position_min and "
                "position_max"
            )
        self._health.condition(
            "slices",
            f"slices is {wanted.slices}, but the lens has only {len(positions)} positions from "
            f"{min(positions):g} to {max(positions):g}, in steps of {grid.step:g}"
            if len(positions) < wanted.slices
            else None,
        )
        return positions

    def _on_first(self, swept: SweptFrame) -> None:
        """The camera is there and works."""
        parameters = self._parameters
        self._health.condition("camera", None)
        self._retry_after = parameters.retry_period
        height, width = swept.frame.image.shape[:2]
        self._health.condition(
            "size",
            f"the camera sends {width}x{height} px, not {parameters.width}x{parameters.height}; "
            "`v4l2-ctl --list-formats-ext` lists what it can"
            if (width, height) != (parameters.width, parameters.height)
            else None,
        )
        self.node.get_logger().info(
            f"camera '{parameters.device}': {width}x{height} px, {parameters.mode} "
            f"on {self._images.topic_name}"
        )

    def _publish(self, swept: SweptFrame) -> None:
        image = swept.frame.image
        now = self.node.get_clock().now().nanoseconds
        exposed = max(now - round(swept.frame.age * 1e9), 0)  # 0: use_sim_time, and no time yet
        header = Header(stamp=time_message(exposed), frame_id=self._parameters.frame_id)
        # The focus state first: it is small, and says whether the image is worth anything.
        self._states.publish(self._focus_state(swept, header))
        if self._info is not None:
            self._infos.publish(with_header(self._info, header))
        image_message = mono_image_message if image.ndim == 2 else bgr_image_message
        self._images.publish(image_message(image, header))
        self._health.count("images sent")

    def _focus_state(self, swept: SweptFrame, header: Header) -> FocusState:
        distance = math.nan
        unit = "raw"
        if self._lens_map is not None:
            unit = self._lens_map.unit
            with np.errstate(divide="ignore"):
                distance = float(1.0 / self._lens_map.to_dioptres(swept.position))
        return FocusState(
            header=header,
            focus_distance=distance,
            lens_position=swept.position,
            lens_position_unit=unit,
            settled=swept.settled,
            sweep_id=swept.sweep_id,
            sweep_step=swept.sweep_step,
            sweep_size=swept.sweep_size,
        )

    def _on_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        try:
            parameters = changed_parameters(
                self._parameters, {change.name: change.value for change in changes}
            )
        except OptionError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._parameters = parameters
        camera = self._camera
        if camera is not None:
            camera.mode, camera.timing = parameters.sweep_mode, parameters.timing
        return SetParametersResult(successful=True)

    def _diagnose(self) -> None:
        parameters = self._parameters
        summary = f"{parameters.device}, {parameters.mode}"
        self._status.publish(summary, hardware_id=parameters.device)

    def _log(self, level: Level, text: str) -> None:
        log_at(level, self.node.get_logger(), text)


def main(args: Sequence[str] | None = None, make_device: DeviceMaker = OpenCvDevice) -> int:
    """Run `uvc_camera_node` until it is interrupted; the exit code is returned."""
    return run_node("uvc_camera_node", lambda node: UvcCameraNode(node, make_device), args)


if __name__ == "__main__":
    sys.exit(main())
