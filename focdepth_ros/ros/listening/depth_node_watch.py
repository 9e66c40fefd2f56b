"""What another node can find out about `depth_node`: its settings, and whether it is at work."""

from __future__ import annotations

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

# Those that decide on the depth and on what is a sweep.
_SETTINGS = (
    "backend",
    "min_confidence",
    "fill_holes",
    "reference",
    "alignment.method",
    "sweep.split",
    "sweep.timeout",
)


class DepthNodeWatch:
    """Listens to the diagnostics of `depth_node`, and asks for its parameters once.

    Parameters
    ----------
    node : Node
        That watches.
    name : str
        Of `depth_node`, relative to the namespace of `node`, or with a slash.
    """

    def __init__(self, node: Node, name: str) -> None:
        #: Full name of the node.
        self.name = str(node.resolve_service_name(name))
        #: Parameters that were told, by name; none as long as the node was not heard.
        self.settings: dict[str, Any] = {}
        #: When it was heard last, in seconds of the monotonic clock; None: never.
        self.heard: float | None = None
        self._values: dict[str, str] = {}
        self._status_name = f"{self.name.lstrip('/')}: depth from focus"
        self._client = node.create_client(GetParameters, f"{self.name}/get_parameters")
        self._is_asked = False
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    @property
    def sweeps_received(self) -> int:
        """Number of sweeps that it has put together since its start."""
        return self._count("sweeps received")

    @property
    def sweeps_under_way(self) -> int:
        """Number of sweeps that it had not yet finished when it was heard last."""
        return self._count("sweeps under way")

    def poll(self) -> None:
        """Ask for the parameters as soon as that can be done."""
        if self._is_asked or not self._client.service_is_ready():
            return
        self._is_asked = True
        answer = self._client.call_async(GetParameters.Request(names=list(_SETTINGS)))
        answer.add_done_callback(self._take_settings)

    def _take_settings(self, answer: Any) -> None:
        values = [parameter_value_to_python(value) for value in answer.result().values]
        self.settings = dict(zip(_SETTINGS, values, strict=False))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._status_name:
                self._values = {item.key: item.value for item in status.values}
                self.heard = time.monotonic()

    def _count(self, name: str) -> int:
        text = self._values.get(name, "0")
        return int(text) if text.isdecimal() else 0
