"""The parameters of another node, asked for and set without blocking, within a time limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParametersAtomically,
)
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python

from focdepth_ros.errors import DriverError
from focdepth_ros.lens.driver_table import Value
from focdepth_ros.ros.sweep_node_parts.stepping import until

_SERVICES = {
    "list_parameters": ListParameters,
    "get_parameters": GetParameters,
    "describe_parameters": DescribeParameters,
    "set_parameters_atomically": SetParametersAtomically,
}


@dataclass(frozen=True)
class ParameterRange:
    """Least and greatest value that a parameter may have, and the step; 0: any between."""

    least: float
    greatest: float
    step: float


class ParameterClient:
    """Calls the parameter services of one node.

    Parameters
    ----------
    node : Node
        That asks.
    target : str
        Full name of the node whose parameters they are.
    timeout : float
        Seconds for each answer.
    wake : callable
        Called when an answer has come.

    Notes
    -----
    All methods raise `DriverError` where the other node is not there, does not answer in time or
    refuses.
    """

    def __init__(self, node: Node, target: str, timeout: float, wake: Callable[[], None]) -> None:
        self.target = target
        self._timeout = timeout
        self._wake = wake
        self._clients = {
            name: node.create_client(kind, f"{target}/{name}") for name, kind in _SERVICES.items()
        }

    @property
    def is_ready(self) -> bool:
        """Whether the other node is there."""
        return all(client.service_is_ready() for client in self._clients.values())

    async def wait_until_ready(self) -> None:
        """Wait for the other node."""
        if not await until(lambda: self.is_ready, self._timeout):
            raise DriverError(
                f"there is no node {self.target} with parameters; start the camera driver, or set "
                "the parameter driver_node to its name"
            )

    async def names(self) -> set[str]:
        """Of all parameters."""
        answer = await self._call("list_parameters", ListParameters.Request())
        return set(answer.result.names)

    async def get(self, names: Iterable[str]) -> dict[str, Any]:
        """Values of parameters; None for those that are not set."""
        wanted = list(names)
        answer = await self._call("get_parameters", GetParameters.Request(names=wanted))
        # A node may leave all out where it has not declared one of them.
        values = list(answer.values) if len(answer.values) == len(wanted) else []
        found = [parameter_value_to_python(value) for value in values]
        return dict(zip(wanted, found or [None] * len(wanted), strict=True))

    async def range_of(self, name: str) -> ParameterRange | None:
        """Range of a parameter that its descriptor tells, if it does."""
        request = DescribeParameters.Request(names=[name])
        answer = await self._call("describe_parameters", request)
        for descriptor in answer.descriptors:
            for item in (*descriptor.floating_point_range, *descriptor.integer_range):
                least, greatest = float(item.from_value), float(item.to_value)
                if math.isfinite(least) and math.isfinite(greatest) and least < greatest:
                    step = float(item.step)
                    return ParameterRange(least, greatest, step if 0.0 < step < math.inf else 0.0)
        return None

    async def set(self, values: Mapping[str, Value]) -> None:
        """Set parameters in one call: all of them or none."""
        parameters = [Parameter(name, value=value) for name, value in values.items()]
        request = SetParametersAtomically.Request(
            parameters=[parameter.to_parameter_msg() for parameter in parameters]
        )
        result = (await self._call("set_parameters_atomically", request)).result
        if not result.successful:
            wanted = ", ".join(f"{name} = {value}" for name, value in values.items())
            raise DriverError(
                f"{self.target} refuses {wanted}: {result.reason or 'it does not say why'}"
            )

    async def _call(self, service: str, request: Any) -> Any:
        client = self._clients[service]
        if not client.service_is_ready():
            raise DriverError(f"{self.target} is gone; start the camera driver anew")
        future = client.call_async(request)
        future.add_done_callback(lambda _: self._wake())
        if not await until(future.done, self._timeout):
            client.remove_pending_request(future)
            raise DriverError(
                f"{self.target} has not answered {service} within {self._timeout:g} s; is the "
                "driver still alive?"
            )
        return future.result()
