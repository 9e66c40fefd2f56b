"""YAML files that people write, read without running anything in them."""

from __future__ import annotations

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
        return yaml.safe_load(path.read_bytes())
    except OSError as cause:
        raise error(f"{what} '{path}' cannot be read: {cause.strerror}; {remedy}") from cause
    # Values that only look like dates raise ValueError, absurd nesting RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError) as cause:
        reason = " ".join(str(cause).split())
        raise error(f"{what} '{path}' is no valid YAML ({reason})") from cause


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number; ``true`` and ``false`` are none, though in Python they are."""
    return isinstance(value, int | float) and not isinstance(value, bool)
