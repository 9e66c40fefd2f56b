"""YAML that people write, read without running anything in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from focdepth_ros.errors import FocdepthError


def read_yaml(path: Path, what: str, *, error: type[FocdepthError], remedy: str) -> Any:
    """The content of a file.

    Parameters
    ----------
    path : Path
    what : str
        What it should be, for messages.
    error : type
        What is raised.
    remedy : str
        What to do where it cannot be read.

    Raises
    ------
    FocdepthError
        Of the type `error`, if it cannot be read or is no YAML.
    """
    try:
        return parse_yaml(path.read_bytes())
    except OSError as cause:
        raise error(f"{what} '{path}' cannot be read: {cause.strerror}; {remedy}") from cause
    except yaml.YAMLError as cause:
        reason = " ".join(str(cause).split())
        raise error(f"{what} '{path}' is no valid YAML ({reason})") from cause


def parse_yaml(text: str | bytes) -> Any:
    """What a text in YAML says, in plain values.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, or a whole number in it is too large to be used.
    """
    try:
        return _Loader(text).get_single_data()
    # Values that only look like dates raise ValueError, those that are no such thing as their
    # tag says, as in `!!int ""`, one of the others, absurd nesting RecursionError.
    except (ValueError, LookupError, AttributeError, RecursionError) as cause:
        raise yaml.YAMLError(str(cause) or type(cause).__name__) from cause


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number; ``true`` and ``false`` are none, though in Python they are."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Loader(yaml.SafeLoader):
    """The safe loader, which knows plain values only; whole numbers are such as fit a float."""

    def whole_number(self, node: yaml.ScalarNode) -> int:
        """The value of a node; a larger one would raise `OverflowError` wherever it is used."""
        value: int = self.construct_yaml_int(node)
        if abs(value) > sys.float_info.max:
            raise yaml.constructor.ConstructorError(
                problem="a whole number is too large", problem_mark=node.start_mark
            )
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
