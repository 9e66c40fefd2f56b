"""Camera drivers as they behave, written from their sources, on a simulated lens and scene.

SIMULATED_DRIVER names the one to run. Each has the parameters, types and ranges of the real one,
and its ways: what it refuses, what it forgets, how long it takes, what it tells of a frame. The
lens takes its time, and what a frame shows is where the lens was then. Parameters `sim.*` are of
the simulation: tests break the driver by them.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from small_sweep import INTRINSICS, LENS, slope
from std_msgs.msg import Header

from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.conversions import camera_info_message, rgb_image_message
from focdepth_ros.ros.node_support.node_runner import run_node
from focdepth_ros.simulation import SimulatedStack, render_rgbd

FRAME_RATE = 20.0  # Hz; a busy machine keeps up with it
RAW_RANGE = (0, 255)


def dioptres_of_raw(raw: float) -> float:
    """Where a lens with raw positions focuses, 1/m; not quite linear."""
    return 0.25 + 0.0075 * raw + 4e-6 * raw * raw


def raw_lens_map() -> LensMap:
    """What a calibration of that lens finds."""
    positions = tuple(float(raw) for raw in range(0, 256, 15))
    return LensMap(positions, tuple(map(dioptres_of_raw, positions)))


@lru_cache(maxsize=128)
def _rendered(dioptre: float) -> SimulatedStack:
    image, depth = slope()
    return render_rgbd(image, depth, INTRINSICS, LENS, [1.0 / dioptre, 1.0 / (dioptre + 0.01)])


def picture(dioptre: float, seed: int) -> np.ndarray:
    """What the camera sees with its focus there; noise differs with the seed."""
    return _rendered(dioptre).expose(seed).slices[-1].image


class Lens:
    """A lens that sets off a while after it was told, and moves no faster than it can.

    Parameters
    ----------
    position : float
        At the beginning, 1/m.
    delay : float
        Seconds.
    speed : float
        1/m per second.
    """

    def __init__(self, position: float, delay: float, speed: float) -> None:
        self._from = self._target = position
        self._since = 0.0
        self._delay = delay
        self._speed = speed

    def send(self, target: float, now: float) -> None:
        self._from, self._target, self._since = self.position(now), target, now + self._delay

    def position(self, now: float) -> float:
        way = self._target - self._from
        done = min(max(now - self._since, 0.0) * self._speed, abs(way))
        return self._from + math.copysign(done, way)


class SimulatedDriver:
    """What all drivers have in common: frames at a rate, and a lens.

    Parameters
    ----------
    node : Node
    image_topic, info_topic : str
    lens : Lens
    latency : int
        Frames that wait in the driver before they are sent.
    """

    def __init__(
        self, node: Node, image_topic: str, info_topic: str, lens: Lens, latency: int
    ) -> None:
        self.node = node
        self.lens = lens
        for fault in ("refuses", "stuck", "reverts", "mute"):
            node.declare_parameter(f"sim.{fault}", False)
        node.declare_parameter("sim.hangs", 0.0)
        self._images = node.create_publisher(Image, image_topic, QoSProfile(depth=10))
        self._infos = node.create_publisher(CameraInfo, info_topic, QoSProfile(depth=10))
        # Where the lens was in each frame, and as lens_position how bright the frame is.
        self._truth = node.create_publisher(FocusState, "sim/truth", QoSProfile(depth=50))
        self._waiting: deque[tuple[Header, np.ndarray]] = deque()
        self._latency = latency
        self.number = 0
        self.declare()
        node.add_on_set_parameters_callback(self._on_set)
        node.create_timer(1.0 / FRAME_RATE, self._on_frame)

    def close(self) -> None:
        pass

    def complain(self, error: Exception) -> None:
        self.node.get_logger().error(f"{type(error).__name__}: {error}")

    def declare(self) -> None:
        """Declare the parameters of the driver."""
        raise NotImplementedError

    def set(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Do what the driver does when some parameters are set at once."""
        raise NotImplementedError

    def gain(self, now: float) -> float:
        """Brightness; it wanders where exposure is automatic."""
        raise NotImplementedError

    def sent(self, header: Header) -> None:
        """A frame was published."""

    def skipped(self) -> None:
        """A frame was not published."""

    def before_frame(self, now: float) -> None:
        """A frame is about to be exposed."""

    def value(self, name: str) -> Any:
        return self.node.get_parameter(name).value

    def fault(self, name: str) -> bool:
        return bool(self.value(f"sim.{name}"))

    def send_lens(self, dioptre: float) -> None:
        if not self.fault("stuck"):
            self.lens.send(dioptre, time.monotonic())

    def _on_set(self, changes: Sequence[Parameter]) -> SetParametersResult:
        if all(change.name.startswith("sim.") for change in changes):
            return SetParametersResult(successful=True)
        time.sleep(self.value("sim.hangs"))
        if self.fault("refuses"):
            return SetParametersResult(successful=False, reason="the lens is broken")
        return self.set(changes)

    def _on_frame(self) -> None:
        now = time.monotonic()
        self.before_frame(now)
        self.number += 1
        stamp = self.node.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id="driver_optical_frame")
        # Exactly where it stands, and roughly where it passes: rendering takes its time.
        position = self.lens.position(now)
        is_moving = self.lens.position(now + 0.02) != position
        image = picture(round(position, 1 if is_moving else 4), self.number)
        gain = self.gain(now)
        truth = FocusState(header=header, focus_distance=1.0 / position, lens_position=gain)
        self._truth.publish(truth)
        bright = np.clip(image * gain, 0.0, 255.0).astype(np.uint8)
        self._waiting.append((header, bright))
        if len(self._waiting) > self._latency:
            frame = self._waiting.popleft()
            if self.fault("mute"):
                self.skipped()
            else:
                self.publish(*frame)

    def publish(self, header: Header, image: np.ndarray) -> None:
        self._images.publish(rgb_image_message(image, header))
        self._infos.publish(camera_info_message(INTRINSICS, header))
        self.sent(header)


def wandering(now: float) -> float:
    """What an automatic exposure does of itself."""
    return 0.85 + 0.15 * math.sin(2.0 * now)


class CameraRos(SimulatedDriver):
    """camera_ros 0.7 on a Raspberry Pi.

    A set call puts controls aside for the next request; another one before that makes it forget
    them. A request takes some frames until its controls act. ExposureTime is refused while
    ExposureTimeMode is automatic. Each frame's metadata go to /diagnostics.
    """

    _PIPELINE = 3  # requests that are queued

    def __init__(self, node: Node) -> None:
        self._pending: dict[str, Any] = {}
        self._queue: deque[dict[str, Any]] = deque({} for _ in range(self._PIPELINE))
        self._active: dict[str, Any] = {}
        self._metadata: deque[dict[str, str]] = deque()
        self._exposure = 10_000.0
        super().__init__(node, "~/image_raw", "~/camera_info", Lens(1.0, 0.0, 6.0), 1)
        self._diagnostics = node.create_publisher(
            DiagnosticArray, "/diagnostics", QoSProfile(depth=1)
        )

    def declare(self) -> None:
        def declare(name: str, value: Any, least: Any = None, greatest: Any = None) -> None:
            descriptor = ParameterDescriptor(dynamic_typing=True)
            if isinstance(least, float):
                span = FloatingPointRange(from_value=least, to_value=greatest)
                descriptor.floating_point_range = [span]
            elif least is not None:
                descriptor.integer_range = [IntegerRange(from_value=least, to_value=greatest)]
            self.node.declare_parameter(name, value, descriptor)

        declare("AfMode", 2, 0, 2)
        declare("LensPosition", 1.0, 0.0, 15.0)
        declare("AeEnable", True)
        declare("ExposureTimeMode", 0, 0, 1)
        declare("AnalogueGainMode", 0, 0, 1)
        declare("ExposureTime", None, 100, 1_000_000)
        declare("AnalogueGain", 1.0, 1.0, 64.0)
        declare("AwbEnable", None)
        declare("ColourGains", None)
        self._active = {"AfMode": 2, "ExposureTimeMode": 0}

    def set(self, changes: Sequence[Parameter]) -> SetParametersResult:
        new = {change.name: change.value for change in changes}
        mode = new.get("ExposureTimeMode", self.value("ExposureTimeMode"))
        if mode == 0 and new.get("ExposureTime") is not None:
            reason = "ExposureTimeMode and ExposureTime must not be set simultaneously"
            return SetParametersResult(successful=False, reason=reason)
        if self._pending:
            self.node.get_logger().warning("previous parameters have not been applied yet")
        self._pending = new
        return SetParametersResult(successful=True)

    def before_frame(self, now: float) -> None:
        applied = self._queue.popleft()
        self._active.update(applied)
        if self._active["AfMode"] == 0 and "LensPosition" in applied:
            self.send_lens(max(float(applied["LensPosition"]), 0.05))
        if self._active["AfMode"] == 2:
            self.send_lens(1.0 + 0.5 * math.sin(now))
        if self._active["ExposureTimeMode"] == 0:
            self._exposure = 10_000.0 * wandering(now)
        elif "ExposureTime" in applied:
            self._exposure = float(applied["ExposureTime"])
        self._metadata.append(
            {
                "ExposureTime": str(round(self._exposure)),
                "AnalogueGain": "1.500000",
                "ColourGains": "[ 1.400000, 2.100000 ]",
                "LensPosition": f"{self.lens.position(now):.6f}",
                "AfState": "0",
            }
        )

    def gain(self, now: float) -> float:
        return self._exposure / 10_000.0

    def sent(self, header: Header) -> None:
        values = [KeyValue(key=k, value=v) for k, v in self._metadata.popleft().items()]
        status = DiagnosticStatus(
            level=DiagnosticStatus.OK, hardware_id="/base/i2c/imx708@1a", values=values
        )
        self._diagnostics.publish(DiagnosticArray(header=header, status=[status]))
        self._queue.append(self._pending)
        self._pending = {}

    def skipped(self) -> None:
        self._metadata.popleft()

    def _on_frame(self) -> None:
        super()._on_frame()
        while len(self._queue) < self._PIPELINE:  # as long as nothing is published
            self._queue.append({})


class V4l2Camera(SimulatedDriver):
    """v4l2_camera on a webcam: every control a parameter, the call reaches the device at once.

    The device refuses a position while it focuses by itself; the driver does not say why.
    """

    def __init__(self, node: Node) -> None:
        lens = Lens(dioptres_of_raw(100), 0.05, 12.0)
        self._locked_gain: float | None = None
        super().__init__(node, "image_raw", "camera_info", lens, 1)

    def declare(self) -> None:
        def declare(
            name: str, value: Any, least: int = 0, greatest: int = 0, step: int = 0
        ) -> None:
            span = IntegerRange(from_value=least, to_value=greatest, step=step)
            descriptor = ParameterDescriptor(integer_range=[span] if greatest else [])
            self.node.declare_parameter(name, value, descriptor)

        step = int(self.node.declare_parameter("sim.focus_step", 1).value)
        declare("focus_absolute", 100, *RAW_RANGE, step)
        declare("focus_automatic_continuous", True)
        declare("auto_exposure", 3)
        declare("exposure_time_absolute", 250, 3, 2047)
        declare("white_balance_automatic", True)
        declare("white_balance_temperature", 4600, 2800, 6500)

    def set(self, changes: Sequence[Parameter]) -> SetParametersResult:
        is_automatic = self.value("focus_automatic_continuous")
        for change in changes:
            if change.name == "focus_automatic_continuous":
                is_automatic = change.value
            elif change.name == "focus_absolute":
                if is_automatic:
                    return SetParametersResult(successful=False)
                self.send_lens(dioptres_of_raw(change.value))
                if self.fault("reverts"):
                    change._value = 77
            elif change.name == "auto_exposure":
                self._locked_gain = wandering(time.monotonic()) if change.value == 1 else None
        return SetParametersResult(successful=True)

    def gain(self, now: float) -> float:
        return wandering(now) if self._locked_gain is None else self._locked_gain


class UsbCam(SimulatedDriver):
    """usb_cam 0.8: parameters without ranges, all of them set anew by a dozen programs each time.

    It answers "success" whatever comes of it, takes no frames meanwhile, and now and then sends one
    twice.
    """

    _PROGRAMS = 0.08  # seconds that they take

    def __init__(self, node: Node) -> None:
        super().__init__(node, "image_raw", "camera_info", Lens(1.0, 0.05, 12.0), 0)

    def declare(self) -> None:
        for name, value in {
            "autofocus": True,
            "focus": -1,
            "autoexposure": True,
            "exposure": 100,
            "auto_white_balance": True,
            "white_balance": 4000,
            "brightness": 50,
        }.items():
            self.node.declare_parameter(name, value)

    def set(self, changes: Sequence[Parameter]) -> SetParametersResult:
        time.sleep(self._PROGRAMS)
        new = {change.name: change.value for change in changes}
        focus = new.get("focus", self.value("focus"))
        if not new.get("autofocus", self.value("autofocus")) and focus >= 0:
            self.send_lens(dioptres_of_raw(focus))
        return SetParametersResult(successful=True, reason="success")

    def gain(self, now: float) -> float:
        return wandering(now) if self.value("autoexposure") else 0.9

    def publish(self, header: Header, image: np.ndarray) -> None:
        super().publish(header, image)
        if self.number % 5 == 0:
            super().publish(header, image)


DRIVERS = {
    "camera_ros": ("camera", CameraRos),
    "v4l2_camera": ("v4l2_camera", V4l2Camera),
    "usb_cam": ("usb_cam", UsbCam),
}

if __name__ == "__main__":
    sys.exit(run_node(*DRIVERS[os.environ["SIMULATED_DRIVER"]]))
