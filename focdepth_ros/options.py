"""Settings as frozen dataclasses whose fields hold all that is to be known of a setting.

A field made by `option` knows its default, description, range and choices. The command line,
the nodes' parameters and the checks are made from that, so that it is written down once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from focdepth_ros.errors import OptionError

OptionValue = bool | int | float | str
_Value = TypeVar("_Value", bool, int, float, str)

_METADATA_KEY = "option"
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class OptionInfo:
    """What is to be known of one setting.

    Parameters
    ----------
    name : str
        Of the field.
    default : bool, int, float or str
        Its type is that of the setting.
    description : str
    minimum, maximum : float
        Smallest and largest allowed value; -inf and +inf where there is none.
    choices : tuple of str
        Allowed values; empty if there are too many to tell.
    """

    name: str
    default: OptionValue
    description: str
    minimum: float
    maximum: float
    choices: tuple[str, ...]

    def checked(self, value: object, label: str) -> OptionValue:
        """The value in the type of this setting; `label` is what messages call it.

        Raises
        ------
        OptionError
            If it is of another type or out of range.
        """
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = as_float(value, label)
        if type(value) is not kind:
            raise OptionError(f"{label} is {value!r}; it must be {_KINDS[kind]}")
        if self.choices and value not in self.choices:
            raise OptionError(f"{label} is '{value}'; it must be one of {', '.join(self.choices)}")
        if isinstance(value, (int, float)) and not self.minimum <= value <= self.maximum:
            raise OptionError(
                f"{label} is {value}; it must be in [{self.minimum:g}, {self.maximum:g}]"
            )
        return value


def as_float(value: int, label: str) -> float:
    """A whole number where any number is wanted; `label` is what messages call it.

    Raises
    ------
    OptionError
        If it is too large.
    """
    try:
        return float(value)
    except OverflowError:
        raise OptionError(f"{label} is too large; it must be a number below 1e308") from None


def option(
    default: _Value,
    description: str,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    choices: tuple[str, ...] = (),
    metadata: Mapping[str, Any] | None = None,
) -> _Value:
    """A field of a dataclass of settings; see `OptionInfo`. It may carry further `metadata`."""
    info = {
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
    }
    made: Any = field(default=default, metadata={**(metadata or {}), _METADATA_KEY: info})
    return made  # type: ignore[no-any-return]


def option_infos(config_class: type) -> tuple[OptionInfo, ...]:
    """All settings of a dataclass of settings, in its order; not its other fields."""
    return tuple(
        OptionInfo(item.name, cast(OptionValue, item.default), **item.metadata[_METADATA_KEY])
        for item in fields(config_class)
        if _METADATA_KEY in item.metadata
    )


def check_options(config: object, owner: str) -> None:
    """Check every value of a dataclass of settings; to be called in its ``__post_init__``.

    Parameters
    ----------
    config : object
    owner : str
        Whose settings they are, for the messages.

    Raises
    ------
    OptionError
        If a value is of the wrong type or out of range.
    """
    for info in option_infos(type(config)):
        value = info.checked(getattr(config, info.name), f"{owner} option '{info.name}'")
        object.__setattr__(config, info.name, value)
