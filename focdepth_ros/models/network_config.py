"""What the configurations of the networks have in common; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

from focdepth_ros.errors import OptionError
from focdepth_ros.options import as_float

_Config = TypeVar("_Config", bound="NetworkConfig")


@dataclass(frozen=True)
class NetworkConfig:
    """A dataclass of plain values and tuples that a network is made from."""

    #: Of the network, for messages.
    title: ClassVar[str]
    #: Fields of the variants that have a name, where they are not the defaults.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]

    @property
    def segmentation_classes(self) -> int:
        """Classes of a second head; 0: there is none."""
        return 0

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, as JSON and YAML know them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls: type[_Config], values: Mapping[str, Any]) -> _Config:
        """The reverse of `to_dict`; what is not given has its default.

        Raises
        ------
        OptionError
            If there is no such field, or a value is of another type or out of range.
        """
        return replace(cls(), **_checked(cls(), values))

    @classmethod
    def preset(cls: type[_Config], name: str, **overrides: Any) -> _Config:
        """The configuration of a variant, with some fields changed.

        Raises
        ------
        OptionError
            If there is no such variant or field, or a value is of another type or out of range.
        """
        if name not in cls.presets:
            raise OptionError(
                f"there is no preset '{name}'; choose one of {', '.join(cls.presets)}"
            )
        return cls.from_dict({**cls.presets[name], **overrides})

    def without_download(self: _Config) -> _Config:
        """For weights that come from elsewhere: with nothing to be downloaded first."""
        return self


def _checked(defaults: NetworkConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values in the types of the fields."""
    known = {item.name: getattr(defaults, item.name) for item in fields(defaults)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise OptionError(f"{defaults.title} has no option '{name}'; it has {', '.join(known)}")
        kind = type(known[name])
        if kind is float and type(value) is int:
            value = as_float(value, f"{defaults.title} option '{name}'")
        if kind is tuple and isinstance(value, (list, tuple)):
            value = tuple(value)
        if type(value) is not kind:
            raise OptionError(
                f"{defaults.title} option '{name}' is {value!r}; it must be of type {kind.__name__}"
            )
        checked[name] = value
    return checked
