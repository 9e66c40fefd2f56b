"""Parameters of a node as a frozen dataclass: declared, read, checked and changed in one way.

A field made by `parameter` holds everything that is to be known of a parameter: default,
description, range, and whether it may change while the node runs. The class may check how
values go together in ``__post_init__``, with an `OptionError`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType
from rclpy.node import Node

from focdepth_ros.errors import OptionError

ParameterValue = bool | int | float | str
_Value = TypeVar("_Value", bool, int, float, str)
_Table = TypeVar("_Table")

_METADATA_KEY = "parameter"
_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class ParameterInfo:
    """What is to be known of one parameter.

    Parameters
    ----------
    name : str
        In ROS, where groups are set apart by dots.
    field : str
        In the dataclass.
    default : bool, int, float or str
        Its type is that of the parameter.
    description : str
    minimum, maximum : float or None
        Smallest and largest allowed value.
    choices : tuple of str
        Allowed values; empty if there are too many to tell.
    live : bool
        Whether it may change while the node runs.
    """

    name: str
    field: str
    default: ParameterValue
    description: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    live: bool

    def checked(self, value: object) -> ParameterValue:
        """The value in the type of this parameter.

        Raises
        ------
        OptionError
            If it is of another type or out of range.
        """
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise OptionError(f"parameter '{self.name}' is {value!r}; it must be {_KINDS[kind]}")
        if self.choices and value not in self.choices:
            raise OptionError(
                f"parameter '{self.name}' is '{value}'; it must be one of {', '.join(self.choices)}"
            )
        if isinstance(value, (int, float)) and not self._low <= value <= self._high:
            raise OptionError(
                f"parameter '{self.name}' is {value}; it must be in [{self._low:g}, {self._high:g}]"
            )
        return value

    def descriptor(self) -> ParameterDescriptor:
        """What ``ros2 param describe`` tells."""
        descriptor = ParameterDescriptor(
            type=_TYPES[type(self.default)],
            description=self.description,
            additional_constraints=f"one of {', '.join(self.choices)}" if self.choices else "",
            read_only=not self.live,
            # Without it a node would die of `2` where `2.0` is meant.
            dynamic_typing=isinstance(self.default, float),
        )
        if isinstance(self.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=self._low, to_value=self._high)
            ]
        elif isinstance(self.default, int) and not isinstance(self.default, bool):
            descriptor.integer_range = [
                IntegerRange(from_value=int(self._low), to_value=int(self._high))
            ]
        return descriptor

    @property
    def _low(self) -> float:
        return -math.inf if self.minimum is None else self.minimum

    @property
    def _high(self) -> float:
        return math.inf if self.maximum is None else self.maximum


def parameter(
    default: _Value,
    description: str,
    *,
    name: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> _Value:
    """A field of a dataclass of parameters; see `ParameterInfo`.

    Whole numbers need both a minimum and a maximum. `name` is that of the field by default.
    """
    metadata = {
        "name": name,
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "live": live,
    }
    made: Any = field(default=default, metadata={_METADATA_KEY: metadata})
    return made  # type: ignore[no-any-return]


def parameter_infos(table: type) -> tuple[ParameterInfo, ...]:
    """All parameters of a dataclass of parameters, in its order."""
    infos = []
    for item in fields(table):
        metadata = dict(item.metadata[_METADATA_KEY])
        metadata["name"] = metadata["name"] or item.name
        default = cast(ParameterValue, item.default)
        infos.append(ParameterInfo(field=item.name, default=default, **metadata))
    return tuple(infos)


def declare_parameters(node: Node, table: type[_Table]) -> _Table:
    """Declare the parameters of a node and read what the user has set them to.

    Parameters that the user has set but the node does not have are warned of.

    Raises
    ------
    OptionError
        If a value is of the wrong type or out of range.
    """
    infos = parameter_infos(table)
    values: dict[str, ParameterValue] = {}
    for info in infos:
        # Type and range are told afterwards, so that it is not rclpy that refuses a value: it
        # does so in other words each time.
        anything = ParameterDescriptor(dynamic_typing=True)
        declared = node.declare_parameter(info.name, info.default, anything)
        values[info.field] = info.checked(declared.value)
        node.set_descriptor(info.name, info.descriptor())
    _warn_of_unknown(node)
    return table(**values)


def changed_parameters(current: _Table, changes: Mapping[str, object]) -> _Table:
    """The parameters with some of them changed; names that are not in the table are left out.

    Raises
    ------
    OptionError
        If a value is of the wrong type or out of range.
    """
    values = {
        info.field: info.checked(changes[info.name])
        for info in parameter_infos(type(current))
        if info.name in changes
    }
    return cast(_Table, replace(cast(Any, current), **values))


def _warn_of_unknown(node: Node) -> None:
    # ROS drops what no node declares without a word; most often it is a slip of the pen.
    given: Iterable[str] = getattr(node, "_parameter_overrides", {})
    known = list(node.get_parameters_by_prefix(""))
    for name in given:
        if not node.has_parameter(name) and not name.startswith("qos_overrides."):
            close = get_close_matches(name, known, 1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            node.get_logger().warning(f"there is no parameter '{name}', it is ignored{hint}")
