"""Command-line values that Typer has no type for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_type_hints

import typer

_MAX_SIDE = 8192
_MIN_SIDE = 16

_EXPECTED = {int: "a whole number", float: "a number", bool: "true or false"}
_SWITCH = {"true": True, "false": False}


def metres(text: str, option: str) -> tuple[float, ...]:
    """Distances from text like ``0.35,0.5,inf``.

    Raises
    ------
    typer.BadParameter
        If the text is something else; the message names the `option`.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"'{text}' is not a list of metres; write it like 0.35,0.5,0.9,inf", param_hint=option
        ) from None


def settings(texts: Sequence[str], config_class: type, option: str) -> dict[str, Any]:
    """Settings of a backend from texts like ``pair_scale=0.5``.

    Parameters
    ----------
    texts : sequence of str
    config_class : type
        Dataclass whose fields say of what type the values are. Keys that it lacks are let
        through as text, for the registry to refuse.
    option : str
        Name of the command-line option, for the messages.

    Raises
    ------
    typer.BadParameter
        If a text is something else, or its value is not of the type of the field.
    """
    types = get_type_hints(config_class)
    values: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if not (key and value):
            raise typer.BadParameter(
                f"'{text}' has no key or no value; write it like pair_scale=0.5", param_hint=option
            )
        kind = types.get(key, str)
        try:
            values[key] = _SWITCH[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            expected = _EXPECTED.get(kind, kind.__name__)
            raise typer.BadParameter(
                f"'{value}' in '{text}' is not {expected}", param_hint=option
            ) from None
    return values


def backend_settings(names: Sequence[str], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings of several backends from texts like ``graph_cut.pair_scale=0.5``, by their names.

    Parameters
    ----------
    names : sequence of str
        At least one; repeated ones count once.
    texts : sequence of str
        Of the option ``--option``.

    Raises
    ------
    typer.BadParameter
        If a text is something else, or of none of the backends.
    UnknownBackendError
        If there is no backend of one of the names.
    """
    from focdepth_ros.backends.registry import backend_config

    found: dict[str, list[str]] = {name: [] for name in names}
    for text in texts:
        name, dot, rest = text.partition(".")
        if not dot or name not in found:
            raise typer.BadParameter(
                f"'{text}' does not begin with a backend that is evaluated and a dot; write it "
                f"like {names[0]}.KEY=VALUE",
                param_hint="--option",
            )
        found[name].append(rest)
    return {name: settings(rest, backend_config(name), "--option") for name, rest in found.items()}


def image_size(text: str, option: str) -> tuple[int, int]:
    """Width and height in pixels from text like ``640x480``.

    Raises
    ------
    typer.BadParameter
        If the text is something else; the message names the `option`.
    """
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        width, height = 0, 0
    if not (min(width, height) >= _MIN_SIDE and max(width, height) <= _MAX_SIDE):
        raise typer.BadParameter(
            f"'{text}' is no image size with sides from {_MIN_SIDE} to {_MAX_SIDE} pixels; "
            "write it like 640x480",
            param_hint=option,
        )
    return width, height


def region_of(text: str, option: str) -> tuple[int, int, int, int] | None:
    """A part of an image from text like ``100,80,320,240``; None where it is empty.

    Raises
    ------
    typer.BadParameter
        If the text is something else; the message names the `option`.
    """
    if not text:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        x, y, width, height = -1, -1, 0, 0
    if min(x, y) < 0 or min(width, height) < _MIN_SIDE:
        raise typer.BadParameter(
            f"'{text}' is no part of an image with sides of at least {_MIN_SIDE} pixels; write "
            "left, top, width and height like 100,80,320,240",
            param_hint=option,
        )
    return x, y, width, height
