"""Values of a network's configuration, as files have them, in the types of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from focdepth_ros.errors import OptionError


def checked_values(defaults: Any, values: Mapping[str, Any], network: str) -> dict[str, Any]:
    """Values in the types of the fields of a dataclass.

    Parameters
    ----------
    defaults : dataclass instance
    values : mapping
    network : str
        Its name, for messages.

    Raises
    ------
    OptionError
        If there is no such field, or a value is of another type.
    """
    known = {item.name: getattr(defaults, item.name) for item in fields(defaults)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise OptionError(f"{network} has no option '{name}'; it has {', '.join(known)}")
        kind = type(known[name])
        if kind is float and type(value) is int:
            value = float(value)
        if kind is tuple and isinstance(value, (list, tuple)):
            value = tuple(value)
        if type(value) is not kind:
            raise OptionError(
                f"{network} option '{name}' is {value!r}; it must be of type {kind.__name__}"
            )
        checked[name] = value
    return checked
