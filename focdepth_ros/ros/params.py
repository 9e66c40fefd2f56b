"""Parameters of a node as a frozen dataclass: declared, read, checked and changed in one way.

A field made by `parameter` holds everything that is to be known of a parameter: default,
description, range, and whether it may change while the node runs. The class may check how
values go together in ``__post_init__``, with an `OptionError`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType
from rclpy.node import Node

from focdepth_ros.options import OptionInfo, OptionValue, option, option_infos

_Value = TypeVar("_Value", bool, int, float, str)
_Table = TypeVar("_Table")

_METADATA_KEY = "parameter"
_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}


@dataclass(frozen=True)
class ParameterInfo:
    """What is to be known of one parameter.

    Parameters
    ----------
    name : str
        In ROS, where groups are set apart by dots.
    option : OptionInfo
        Field in the dataclass, default, description and range.
    live : bool
        Whether it may change while the node runs.
    """

    name: str
    option: OptionInfo
    live: bool = False

    def checked(self, value: object) -> OptionValue:
        """The value in the type of this parameter.

        Raises
        ------
        OptionError
            If it is of another type or out of range.
        """
        return self.option.checked(value, f"parameter '{self.name}'")

    def descriptor(self) -> ParameterDescriptor:
        """What ``ros2 param describe`` tells."""
        option = self.option
        descriptor = ParameterDescriptor(
            type=_TYPES[type(option.default)],
            description=option.description,
            additional_constraints=f"one of {', '.join(option.choices)}" if option.choices else "",
            read_only=not self.live,
            # Without it a node would die of `2` where `2.0` is meant.
            dynamic_typing=isinstance(option.default, float),
        )
        if isinstance(option.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=option.minimum, to_value=option.maximum)
            ]
        elif isinstance(option.default, int) and not isinstance(option.default, bool):
            descriptor.integer_range = [
                IntegerRange(from_value=int(option.minimum), to_value=int(option.maximum))
            ]
        return descriptor


def parameter(
    default: _Value,
    description: str,
    *,
    name: str = "",
    minimum: float = -math.inf,
    maximum: float = math.inf,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> _Value:
    """A field of a dataclass of parameters; see `ParameterInfo`.

    Whole numbers need both a minimum and a maximum. `name` is that of the field by default.
    """
    return option(
        default,
        description,
        minimum=minimum,
        maximum=maximum,
        choices=choices,
        metadata={_METADATA_KEY: {"name": name, "live": live}},
    )


def parameter_infos(table: type, prefix: str = "") -> tuple[ParameterInfo, ...]:
    """All parameters of a dataclass of parameters or of settings, in its order.

    Parameters
    ----------
    table : type
        Its fields are made by `parameter`, or by `focdepth_ros.options.option`.
    prefix : str
        Of the names in ROS, for example ``graph_cut.``.
    """
    infos = []
    for item, info in zip(fields(table), option_infos(table), strict=True):
        more = item.metadata.get(_METADATA_KEY, {"name": "", "live": False})
        infos.append(ParameterInfo(prefix + (more["name"] or info.name), info, more["live"]))
    return tuple(infos)


def declare_parameters(node: Node, table: type[_Table], prefix: str = "") -> _Table:
    """Declare parameters of a node and read what the user has set them to.

    Parameters
    ----------
    node : Node
    table, prefix
        As for `parameter_infos`.

    Raises
    ------
    OptionError
        If a value is of the wrong type or out of range.
    """
    values: dict[str, OptionValue] = {}
    for info in parameter_infos(table, prefix):
        # Type and range are told afterwards, so that it is not rclpy that refuses a value: it
        # does so in other words each time.
        anything = ParameterDescriptor(dynamic_typing=True)
        declared = node.declare_parameter(info.name, info.option.default, anything)
        values[info.option.name] = info.checked(declared.value)
        node.set_descriptor(info.name, info.descriptor())
    return table(**values)


def changed_parameters(current: _Table, changes: Mapping[str, object]) -> _Table:
    """The parameters with some of them changed; names that are not in the table are left out.

    Raises
    ------
    OptionError
        If a value is of the wrong type or out of range.
    """
    values = {
        info.option.name: info.checked(changes[info.name])
        for info in parameter_infos(type(current))
        if info.name in changes
    }
    return cast(_Table, replace(cast(Any, current), **values))


def warn_of_unknown_parameters(node: Node) -> None:
    """Warn of parameters that the user has set but the node has not declared."""
    # ROS drops what no node declares without a word; most often it is a slip of the pen.
    given: Iterable[str] = getattr(node, "_parameter_overrides", {})
    known = list(node.get_parameters_by_prefix(""))
    for name in given:
        if not node.has_parameter(name) and not name.startswith("qos_overrides."):
            close = get_close_matches(name, known, 1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            node.get_logger().warning(f"there is no parameter '{name}', it is ignored{hint}")
