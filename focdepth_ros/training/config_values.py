"""Nested frozen dataclasses from nested plain values and back; every key and value is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from focdepth_ros.errors import OptionError, TrainingConfigError
from focdepth_ros.files.yaml_files import parse_yaml
from focdepth_ros.options import option_infos


def make_section(kind: type, values: object, label: str) -> Any:
    """A dataclass of settings from a mapping.

    Parameters
    ----------
    kind : type
        Frozen dataclass; its fields are made by `option`, or hold other such dataclasses, tuples
        of them or of whole numbers, or free mappings.
    values : mapping
        What is left out has its default.
    label : str
        What the file calls it; empty for all of it.

    Raises
    ------
    TrainingConfigError
        If there is no such key, or its value is of another type or out of range.
    """
    if not isinstance(values, Mapping):
        raise TrainingConfigError(
            f"{label or 'the configuration'} is {values!r}; it must be a mapping of: "
            f"{known_keys(kind)}"
        )
    hints = get_type_hints(kind)
    infos = {info.name: info for info in option_infos(kind)}
    made: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{label}.{key}" if label else str(key)
        if key not in hints:
            raise TrainingConfigError(
                f"there is no {name} (given as {value!r}); known in "
                f"{label or 'the configuration'} are: {known_keys(kind)}"
            )
        try:
            if key in infos:
                made[key] = infos[key].checked(_number(hints[key], value), name)
            else:
                made[key] = _nested(hints[key], value, name)
        except TrainingConfigError:
            raise
        except OptionError as error:
            raise TrainingConfigError(str(error)) from error
    return kind(**made)


def _number(hint: Any, value: object) -> object:
    """1e-3 is a text to PyYAML, which wants 1.0e-3: a number where there must be one."""
    if hint is not float or not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _nested(hint: Any, value: object, name: str) -> Any:
    """The value of a field that is no plain setting: a section, a list or free options."""
    if is_dataclass(hint):
        return make_section(hint, value, name)  # type: ignore[arg-type]
    if get_origin(hint) is not tuple:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise TrainingConfigError(
                f"{name} is {value!r}; it must be a mapping of names to values"
            )
        return dict(value)
    if not isinstance(value, (list, tuple)):
        raise TrainingConfigError(f"{name} is {value!r}; it must be a list")
    element = get_args(hint)[0]
    if element is int:
        if any(type(item) is not int for item in value):
            raise TrainingConfigError(f"{name} is {value!r}; it must be a list of whole numbers")
        return tuple(value)
    return tuple(
        make_section(element, item, f"{name}[{index}]") for index, item in enumerate(value)
    )


def change_value(values: dict[str, Any], change: str) -> None:
    """Put a value from the command line into what a file says, in place.

    Parameters
    ----------
    values : dict
        Nested, as the file has them.
    change : str
        Like ``schedule.steps=200``.

    Raises
    ------
    TrainingConfigError
        If it is not like that, or there is nothing to change.
    """
    key, _, text = change.partition("=")
    if not (key and text):
        raise TrainingConfigError(f"'{change}' is no change; write it like schedule.steps=200")
    *path, last = key.split(".")
    inner: Any = values
    for part in path:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        raise TrainingConfigError(
            f"'{change}' goes into something that is no mapping; lists are given whole, like "
            "data.sources=[{kind: pool, options: {folders: pool}}]"
        )
    try:
        inner[last] = parse_yaml(text)
    except yaml.YAMLError as error:
        raise TrainingConfigError(f"the value in '{change}' is no YAML: {error}") from error


def known_keys(kind: type) -> str:
    """Names of the fields of a dataclass, for messages."""
    return ", ".join(item.name for item in fields(kind))


def plain(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
