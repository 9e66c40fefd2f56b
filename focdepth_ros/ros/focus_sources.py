"""Where the focus was, from what drivers publish: one class for each way in which they tell it.

All of them give a `FocusSample` for each image: from messages that say all of it (`FocusStates`),
from the driver's diagnostics of each image (`FrameDiagnostics`), or from a topic with the lens
position (`LensPositions`).
"""

from __future__ import annotations

import importlib
import math
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import Header

from focdepth_ros.errors import MessageError, OptionError
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.lens.positions import FramePositions, PositionMatcher, sample_at_position
from focdepth_ros.messages.reading import focus_sample, number_in, stamp_of
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.node_support.health import NodeHealth
from focdepth_ros.ros.parameters.focus import FocusParameters
from focdepth_ros.sweep_parts.types import FocusSample

#: Subscribes to a topic: type, name, callback; gives its full name.
Subscribe = Callable[[type, str, Callable[[Any], None]], str]

_TYPE = re.compile(r"([a-z][a-z0-9_]*)/msg/([A-Z][A-Za-z0-9]*)")
_RESTLESS = 10.0  # seconds without a settled image after which the settle time is in doubt
_ERROR = b"\x02"  # DiagnosticStatus.ERROR


def create_focus_source(
    node: Node,
    parameters: FocusParameters,
    lens_map: LensMap | None,
    *,
    subscribe: Subscribe,
    take: Callable[[FocusSample], None],
    health: NodeHealth,
) -> FocusSource:
    """The source of focus samples that the parameters ask for.

    Parameters
    ----------
    node : Node
    parameters : FocusParameters
    lens_map : LensMap or None
        What positions mean; None: they are passed on without a distance.
    subscribe : callable
    take : callable
        Called with each sample.
    health : NodeHealth
        Is told what is wrong with messages.

    Raises
    ------
    OptionError
        If the type of the topic is given and there is none such.
    """
    kinds: dict[str, Callable[..., FocusSource]] = {
        "focus_state": FocusStates,
        "diagnostics": FrameDiagnostics,
        "lens_position": LensPositions,
    }
    return kinds[parameters.source](node, parameters, lens_map, subscribe, take, health)


class FocusSource(ABC):
    """Gives the focus sample of each image; see `create_focus_source` for its parameters."""

    #: Full name of the topic.
    topic: str

    def __init__(
        self,
        node: Node,
        parameters: FocusParameters,
        lens_map: LensMap | None,
        subscribe: Subscribe,
        take: Callable[[FocusSample], None],
        health: NodeHealth,
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._lens_map = lens_map
        self._subscribe = subscribe
        self._take = take
        self._health = health
        #: When a message was last of use, in seconds of the monotonic clock; None: never.
        self.heard: float | None = None
        self._last_settled = time.monotonic()
        self._start()

    @abstractmethod
    def _start(self) -> None:
        """Subscribe."""

    def add_image(self, stamp: int) -> None:  # noqa: B027, most need not know
        """An image of this stamp came."""

    def poll(self) -> None:  # noqa: B027
        """Do what is due; to be called now and then."""

    @abstractmethod
    def lack(self, *, silent_since: float) -> str | None:
        """What is missing, given that images come; None if nothing is.

        Parameters
        ----------
        silent_since : float
            A source that tells of each image and was not heard since then is silent.
        """

    def _give(self, sample: FocusSample) -> None:
        if sample.settled:
            self._last_settled = time.monotonic()
        self._take(sample)

    def _hear(self) -> None:
        self._health.count("focus states received")
        self.heard = time.monotonic()

    def _is_silent(self, since: float) -> bool:
        return self.heard is None or self.heard < since

    def _restlessness(self) -> str | None:
        if time.monotonic() - self._last_settled < _RESTLESS:
            return None
        return (
            f"no image on which the lens was still for {self._parameters.settle_time:g} s, in the "
            f"last {_RESTLESS:.0f} s; move it in steps with pauses, or lower focus.settle_time, or "
            "raise focus.position_tolerance"
        )


class FocusStates(FocusSource):
    """``focdepth_ros/FocusState`` messages, as of sweep_node."""

    def _start(self) -> None:
        self.topic = self._subscribe(FocusState, "focus_state", self._on_state)

    def lack(self, *, silent_since: float) -> str | None:
        """What is missing; see the base class."""
        if not self._is_silent(silent_since):
            return None
        return (
            f"images but no focus states on {self.topic}; start a source of "
            "focdepth_ros/FocusState, or remap focus_state, or set focus.source"
        )

    def _on_state(self, message: FocusState) -> None:
        self._hear()
        try:
            sample = focus_sample(message)
        except MessageError as error:
            self._health.problem(error.reason, str(error))
            return
        if self._lens_map is not None and math.isnan(sample.focus_distance):
            position, settled = sample.lens_position, sample.settled
            known = sample_at_position(sample.stamp, position, settled, self._lens_map)
            sample = replace(sample, focus_distance=known.focus_distance, lack=known.lack)
        self._give(sample)


class FrameDiagnostics(FocusSource):
    """What a driver says on ``/diagnostics`` of each image, under the image's own header.

    camera_ros does so: one status with an empty name, the camera as ``hardware_id``, and all
    metadata of the frame as texts by the names that libcamera has for them.
    """

    def _start(self) -> None:
        parameters = self._parameters
        self._frames = FramePositions(
            self._lens_map,
            settle_time=parameters.settle_time,
            tolerance=parameters.position_tolerance,
        )
        self._moving = {text.strip() for text in parameters.moving_states.split(",")}
        self._cameras: set[str] = set()  # that give lens positions
        self._keys_without_position: list[str] | None = None
        self.topic = self._subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics)

    def lack(self, *, silent_since: float) -> str | None:
        """What is missing; see the base class."""
        wanted, key = self._parameters.hardware_id, self._parameters.position_key
        if len(self._cameras) > 1:
            cameras = ", ".join(sorted(self._cameras))
            return f"several cameras tell '{key}' on {self.topic}: {cameras}; set focus.hardware_id"
        if not self._is_silent(silent_since):
            return self._restlessness()
        if self._keys_without_position is not None:
            known = ", ".join(self._keys_without_position[:20]) or "nothing"
            return (
                f"images, but hardware_id '{wanted}' does not tell '{key}' on {self.topic}, it "
                f"tells {known}; has the camera a lens that moves?"
            )
        of_whom = f" of hardware_id '{wanted}'" if wanted else ""
        return (
            f"images but no '{key}'{of_whom} on {self.topic}; start the camera driver, set "
            "focus.hardware_id, or choose another focus.source"
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        wanted, key = self._parameters.hardware_id, self._parameters.position_key
        for status in message.status:
            if wanted and status.hardware_id != wanted:
                continue
            values = {item.key: item.value for item in status.values}
            if wanted and status.level == _ERROR:
                detail = f"'{wanted}' says: {status.message or 'ERROR'}"
                self._health.problem("camera error", detail)
            if key in values:
                self._cameras.add(status.hardware_id)
                self._keys_without_position = None
                if len(self._cameras) == 1:
                    self._on_frame(message.header, values)
            elif wanted:
                self._keys_without_position = list(values)

    def _on_frame(self, header: Header, values: dict[str, str]) -> None:
        self._hear()
        try:
            stamp = stamp_of(header)
        except MessageError as error:
            self._health.problem(error.reason, f"{self.topic}: {error}")
            return
        key, text = self._parameters.position_key, values[self._parameters.position_key]
        position = math.nan
        with suppress(ValueError):
            position = float(text)
        moving = values.get(self._parameters.state_key) in self._moving
        why = f"'{key}' is '{text[:40]}', which is no number"
        sample = self._frames.sample(stamp, _finite(position), moving=moving, why=why)
        if sample is not None:
            self._give(sample)


class LensPositions(FocusSource):
    """A topic with the lens position as a number, of any type, with stamps or without."""

    def _start(self) -> None:
        parameters = self._parameters
        self._matcher = PositionMatcher(
            self._lens_map,
            settle_time=parameters.settle_time,
            tolerance=parameters.position_tolerance,
        )
        self._kind: type | None = None
        self._has_header = False
        self._refused: dict[str, str] = {}  # types that cannot be used, and why
        self._why_no_type = ""
        self.topic = str(self._node.resolve_topic_name("lens_position"))
        if parameters.position_type:
            self._listen_for(message_type(parameters.position_type))

    def add_image(self, stamp: int) -> None:
        """An image of this stamp came."""
        for sample in self._matcher.add_image(stamp, now=time.monotonic_ns()):
            self._give(sample)

    def poll(self) -> None:
        """Subscribe as soon as the type is known; let images go that have waited long enough."""
        if self._kind is None:
            self._find_type()
        for sample in self._matcher.poll(now=time.monotonic_ns()):
            self._give(sample)

    def lack(self, *, silent_since: float) -> str | None:
        """What is missing; see the base class. Silence is not: positions may be told when new."""
        if self._why_no_type:
            return self._why_no_type
        if self.heard is None:
            return (
                f"images but no lens positions on {self.topic}; start their source, or remap "
                "lens_position"
            )
        return self._restlessness()

    def _find_type(self) -> None:
        infos = self._node.get_publishers_info_by_topic(self.topic)
        names = sorted({info.topic_type for info in infos})
        if len(names) != 1:
            several = f"{self.topic} has the types {', '.join(names)}; set focus.position_type"
            self._why_no_type = several if names else ""
            return
        if names[0] not in self._refused:
            try:
                self._listen_for(message_type(names[0]))
            except OptionError as error:
                self._refused[names[0]] = f"{self.topic}: {error}"
        self._why_no_type = self._refused.get(names[0], "")

    def _listen_for(self, kind: Any) -> None:
        first = re.split(r"[.\[]", self._parameters.position_field)[0]
        fields = kind.get_fields_and_field_types()
        if first not in fields:
            raise OptionError(
                f"focus.position_field is '{self._parameters.position_field}', {kind.__name__} has "
                f"the fields {', '.join(fields)}; give the place of the number, like point.x"
            )
        self._kind = kind
        self._has_header = fields.get("header") == "std_msgs/Header"
        self._subscribe(kind, "lens_position", self._on_position)

    def _on_position(self, message: Any) -> None:
        self._hear()
        position, stamp = math.nan, 0
        try:
            stamp = stamp_of(message.header) if self._has_header else 0
            position = number_in(message, self._parameters.position_field)
        except MessageError as error:
            self._health.problem(error.reason, f"{self.topic}: {error}")
        now = time.monotonic_ns()
        for sample in self._matcher.add_position(_finite(position), stamp, now=now):
            self._give(sample)


def message_type(name: str) -> Any:
    """The class of a message type like ``std_msgs/msg/Float32``.

    Raises
    ------
    OptionError
        If it is no name of a type, or not installed here.
    """
    found = _TYPE.fullmatch(name)
    if found is None:
        raise OptionError(f"'{name}' is no type of message; write it like std_msgs/msg/Float32")
    package, kind = found.groups()
    try:
        made = getattr(importlib.import_module(f"{package}.msg"), kind)
        made.get_fields_and_field_types()
    except (ImportError, AttributeError) as error:
        raise OptionError(
            f"message type {name} is not installed here: {error}; install {package}"
        ) from error
    return made


def _finite(position: float) -> float:
    return position if math.isfinite(position) else math.nan
