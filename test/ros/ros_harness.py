"""What tests with ROS nodes share: an own domain, a node of the test's own, a camera to play.

Nodes under test run in processes of their own (`NodeProcess`); the test talks to them over DDS.
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import QoSProfile, QoSReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from focdepth_ros.msg import FocusState
from focdepth_ros.ros.conversions import (
    camera_info_message,
    mono_image_message,
    rgb_image_message,
    time_message,
)
from focdepth_ros.ros.node_process import isolation, ros_arguments
from focdepth_ros.stack import FocalStack, ImageArray, Slice

PROFILES = Path(__file__).parents[2] / "config" / "fastdds_large_images.xml"
# How often who is there says so. The answer to a newcomer may get lost; with the default of Fast
# DDS it is then heard after up to 3 s, so that most of the time would go into finding each other.
ANNOUNCEMENTS = """<builtin>
          <discovery_config>
            <leaseAnnouncement><sec>0</sec><nanosec>250000000</nanosec></leaseAnnouncement>
          </discovery_config>
        </builtin>
        """
FRAME_ID = "test_camera_optical_frame"
Value = bool | int | float | str
PATIENCE = 30.0  # seconds after which something that should happen has not


@contextmanager
def own_domain() -> Iterator[int]:
    """A ROS domain that nobody else on this machine uses, set in the environment."""
    folder = Path(tempfile.gettempdir()) / "focdepth_test_domains"
    folder.mkdir(exist_ok=True)
    before = dict(os.environ)
    try:
        for number in range(1, 102):
            with (folder / str(number)).open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                os.environ.update(
                    isolation(number),
                    FASTRTPS_DEFAULT_PROFILES_FILE=str(_profiles(folder / f"{number}.xml")),
                )
                if _is_deserted():
                    yield number
                    return
        raise RuntimeError("all ROS domains are in use")
    finally:
        os.environ.clear()
        os.environ.update(before)


def _profiles(path: Path) -> Path:
    """Write the profile of the package there, with more frequent announcements."""
    text = PROFILES.read_text(encoding="utf-8")
    place = "<useBuiltinTransports>"
    assert text.count(place) == 1
    path.write_text(text.replace(place, ANNOUNCEMENTS + place), encoding="utf-8")
    return path


def _is_deserted() -> bool:
    """Whether nobody is in the domain: a lock says nothing of what an interrupted test left."""
    probe = Peer("probe")
    probe.spin(0.5)
    names = probe.node.get_node_names()
    probe.close()
    return bool(names == ["probe"])


class Peer:
    """The node of the test itself: publishes, and collects what others publish."""

    def __init__(self, name: str = "peer") -> None:
        self._context = Context()
        rclpy.init(context=self._context)
        self.node: Any = Node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}

    def prepare(self, kind: type, service: str) -> Any:
        """The client of a service that need not be there yet; always the same one."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
        return self._clients[service]

    def client(self, kind: type, service: str) -> Any:
        """The client of a service that is there."""
        client = self.prepare(kind, service)
        self.wait_for(client.service_is_ready, service)
        return client

    def call(self, kind: type, service: str, request: Any) -> Any:
        """The answer of a service, asked again where it got lost.

        A server may hear the first request of a client before it knows where to send the answer.
        """
        client = self.client(kind, service)
        start = time.monotonic()
        futures: list[Any] = []

        def answer() -> Any:
            if time.monotonic() >= start + len(futures) * PATIENCE / 4:
                futures.append(client.call_async(request))
            return next((future.result() for future in futures if future.done()), None)

        return self.wait_for(answer, f"an answer of {service}")

    def set_parameters(self, node: str, values: Mapping[str, Value]) -> list[Any]:
        """Set parameters of a node; gives a result for each."""
        request = parameter_request(values)
        return list(self.call(SetParameters, f"{node}/set_parameters", request).results)

    def get_parameters(self, node: str, *names: str) -> list[Any]:
        """Values of parameters of a node."""
        request = GetParameters.Request(names=list(names))
        answer = self.call(GetParameters, f"{node}/get_parameters", request)
        return [parameter_value_to_python(value) for value in answer.values]

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def collect(self, kind: type, topic: str) -> list[Any]:
        """A list to which every message of the topic is added while spinning."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, QoSProfile(depth=50))
        return messages

    def spin(self, seconds: float) -> None:
        """Take in messages for some time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left)

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Take in messages until the condition gives something true, which is returned."""
        end = time.monotonic() + PATIENCE
        while not (result := condition()):
            assert time.monotonic() < end, f"waited {PATIENCE} s in vain for {what}"
            self._executor.spin_once(timeout_sec=0.05)
        return result


def parameter_request(values: Mapping[str, Value]) -> Any:
    """What sets parameters."""
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    return SetParameters.Request(parameters=[item.to_parameter_msg() for item in parameters])


def refusal(
    main: Callable[[Sequence[str]], int],
    parameters: Mapping[str, Value],
    capfd: pytest.CaptureFixture[str],
) -> str:
    """What a node says that cannot start; in this process, as starting one takes a second."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    threads = cv2.getNumThreads()
    # A node that does start is ended, and fails the test by its exit code.
    alarm = Timer(PATIENCE, lambda: os.kill(os.getpid(), signal.SIGINT))
    alarm.start()
    try:
        # What it changes would stay changed in this process.
        with patch("focdepth_ros.ros.node_support.node_runner.keep_freed_memory"):
            assert main(["node", *ros_arguments(parameters)]) == 2
    finally:
        alarm.cancel()
        gc.collect()  # a node that was not set up to its end is seen by others while it exists
        cv2.setNumThreads(threads)
        for number, handler in before.items():
            signal.signal(number, handler)
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return said


class Diagnostics:
    """The newest state that a node tells of itself on ``/diagnostics``.

    Parameters
    ----------
    peer : Peer
    node : str
        Its full name, without the first slash.
    """

    def __init__(self, peer: Peer, node: str = "depth_node") -> None:
        self._messages: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
        self._node = node

    @property
    def status(self) -> Any:
        """None where there is none yet."""
        for message in reversed(self._messages):
            for status in message.status:
                if status.name.startswith(f"{self._node}: "):
                    return status
        return None

    @property
    def level(self) -> int:
        return -1 if self.status is None else int(self.status.level[0])

    @property
    def message(self) -> str:
        return "" if self.status is None else str(self.status.message)

    def value(self, key: str) -> str:
        """Empty where there is none of this name."""
        values = () if self.status is None else self.status.values
        return next((str(item.value) for item in values if item.key == key), "")

    def count(self, key: str) -> int:
        return int(self.value(key) or 0)

    def clear(self) -> None:
        self._messages.clear()


class CameraDriver:
    """What a camera driver does: images, focus states and camera_info with equal headers.

    Parameters
    ----------
    peer : Peer
    calibrated : bool
        Whether there is a ``camera_info``.
    image_kind : type
        Of the messages of `image_topic`.
    """

    def __init__(
        self,
        peer: Peer,
        *,
        calibrated: bool = True,
        image_kind: type = Image,
        image_topic: str = "image_raw",
    ) -> None:
        self._peer = peer
        create = peer.node.create_publisher
        self.images = create(image_kind, image_topic, qos_profile_sensor_data)
        # A driver may be more reliable than is asked for.
        reliable = QoSProfile(depth=20, reliability=QoSReliabilityPolicy.RELIABLE)
        self.focus = create(FocusState, "focus_state", reliable)
        self.info = create(CameraInfo, "camera_info", reliable) if calibrated else None
        self.sweep_id = 0
        self._stamp = 1_000 * 10**9

    def wait_until_heard(self, diagnostics: Diagnostics) -> None:
        """Until both sides know of each other; a best-effort message before that is lost."""
        publishers = [item for item in (self.images, self.focus, self.info) if item is not None]
        count = self._peer.node.count_publishers

        def is_heard() -> bool:
            return all(
                item.get_subscription_count() > 0
                and diagnostics.count(f"publishers of {item.topic_name}") == count(item.topic_name)
                for item in publishers
            )

        self._peer.wait_for(is_heard, "the node to know the camera")

    def set_clock(self, seconds: float) -> None:
        """Let the stamps go on from here."""
        self._stamp = round(seconds * 10**9)

    def next_header(self) -> Header:
        """That of an image a thirtieth of a second after the one before."""
        self._stamp += 33_333_333
        return Header(stamp=time_message(self._stamp), frame_id=FRAME_ID)

    def send(
        self, image: Any, focus_distance: float, header: Header | None = None, **focus: Any
    ) -> Header:
        """Publish one frame; `focus` are further fields of its focus state.

        Parameters
        ----------
        image : array or message
        """
        header = header or self.next_header()
        message = image_message(image, header) if isinstance(image, np.ndarray) else image
        message.header = header
        self.images.publish(message)
        self.focus.publish(FocusState(header=header, **focus_fields(focus_distance, **focus)))
        return header

    def send_sweep(
        self,
        stack: FocalStack,
        slices: Sequence[Slice] | None = None,
        *,
        pause: float = 0.01,
        convert: Callable[[ImageArray], Any] = lambda image: image,
    ) -> list[Header]:
        """Publish a sweep, or only some slices of it, as a driver that counts its sweeps.

        `convert` makes the message, without a header, or the array to send.
        """
        self.sweep_id += 1
        headers = []
        for step, item in enumerate(stack.slices if slices is None else slices):
            header = self.next_header()
            if self.info is not None and stack.intrinsics is not None:
                self.info.publish(camera_info_message(stack.intrinsics, header))
            assert item.focus_distance is not None
            self.send(
                convert(item.image),
                item.focus_distance,
                header,
                sweep_id=self.sweep_id,
                sweep_step=step,
                sweep_size=len(stack),
            )
            headers.append(header)
            self._peer.spin(pause)
        return headers


def focus_fields(focus_distance: float, **fields: Any) -> dict[str, Any]:
    """Of a settled focus state."""
    return {
        "focus_distance": float(focus_distance),
        "lens_position": 1.0 / focus_distance if focus_distance else float("nan"),
        "lens_position_unit": "dioptre",
        "settled": True,
        **fields,
    }


def image_message(image: ImageArray, header: Header) -> Image:
    """As rgb8 or mono8."""
    make = mono_image_message if image.ndim == 2 else rgb_image_message
    return make(image, header)


def pixels(message: Image) -> np.ndarray:
    """The array in a 32FC1 or rgb8 image message, by the letter of its definition."""
    if message.encoding == "32FC1":
        assert message.step == 4 * message.width
        values = np.frombuffer(message.data, ">f4" if message.is_bigendian else "<f4")
        return values.reshape(message.height, message.width)
    assert message.encoding == "rgb8"
    assert message.step == 3 * message.width
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
