"""What the tests of rendered scenes cover them with."""

from __future__ import annotations

from functools import lru_cache

from focdepth_ros.training.rendering.photographs import Photographs


@lru_cache
def patterns(device: str = "cpu") -> Photographs:
    """Patterns in place of photographs, made once for all tests."""
    return Photographs((), device)
