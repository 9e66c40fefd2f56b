"""The arguments and options of the command `focdepth`, read from its functions.

From their signatures, since what Typer makes of them differs from release to release.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer

_METAVARS = {Path: "PATH", float: "FLOAT", int: "INTEGER", str: "TEXT"}


@dataclass(frozen=True)
class CommandOption:
    """An option, or an argument, which has no dashes.

    Parameters
    ----------
    names : tuple of str
        As they are typed.
    metavar : str
        What stands for the value; empty for a flag.
    default : str or None
        As it is shown, None where the value must be given.
    help : str
    repeated : bool
        Whether it may be given more than once.
    """

    names: tuple[str, ...]
    metavar: str
    default: str | None
    help: str
    repeated: bool

    @property
    def is_argument(self) -> bool:
        """Whether it is told by its place and not by its name."""
        return not self.names[0].startswith("-")


@dataclass(frozen=True)
class Command:
    """A subcommand; `name` with that of its group, where it is in one."""

    name: str
    help: str
    options: tuple[CommandOption, ...]

    @property
    def usage(self) -> str:
        """What is typed."""
        arguments = [item.names[0] for item in self.options if item.is_argument]
        return " ".join(["focdepth", self.name, *arguments, "[OPTIONS]"])


def commands(app: typer.Typer, prefix: str = "") -> Iterator[Command]:
    """All subcommands, with those of the groups."""
    for info in app.registered_commands:
        function = info.callback
        assert function is not None
        name = info.name or function.__name__.replace("_", "-")
        yield Command(prefix + name, inspect.getdoc(function) or "", tuple(_options(function)))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{prefix}{group.name} ")


def _options(function: Callable[..., Any]) -> Iterator[CommandOption]:
    kinds = typing.get_type_hints(function)
    for parameter in inspect.signature(function).parameters.values():
        info = parameter.default
        if not hasattr(info, "param_decls"):  # the context
            continue
        kind, repeated = _kind(kinds[parameter.name])
        is_needed = info.default is ...
        default = None if is_needed else _shown(info.default, info.show_default)
        if type(info).__name__ == "ArgumentInfo":
            name = info.metavar or parameter.name.upper()
            repeated = repeated and "..." not in name
            yield CommandOption((name,), "", default, info.help or "", repeated)
            continue
        long = f"--{parameter.name.replace('_', '-')}"
        names = tuple(info.param_decls or ())
        if kind is bool:
            names = names or (long, f"--no-{long[2:]}")
            default = "" if len(names) == 1 or "/" not in names[0] else default
            yield CommandOption(names, "", default, info.help or "", repeated)
            continue
        metavar = info.metavar or _metavar(kind)
        yield CommandOption(names or (long,), metavar, default, info.help or "", repeated)


def _kind(annotation: Any) -> tuple[type, bool]:
    """The type of one value, and whether there may be several."""
    inner = [item for item in typing.get_args(annotation) if item is not type(None)]
    if typing.get_origin(annotation) is list:
        return inner[0], True
    return _kind(inner[0]) if inner else (annotation, False)


def _metavar(kind: type) -> str:
    if issubclass(kind, Enum):
        return "|".join(str(choice.value) for choice in kind)
    return _METAVARS.get(kind, "TEXT")


def _shown(default: Any, show_default: bool | str) -> str:
    if isinstance(show_default, str):
        return show_default
    if isinstance(default, Enum):
        default = default.value
    is_told = isinstance(default, int | float) and not isinstance(default, bool)
    return f"`{default}`" if is_told or (default and not callable(default)) else ""
