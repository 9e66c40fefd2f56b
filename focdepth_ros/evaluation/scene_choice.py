"""A few scenes of many."""

from __future__ import annotations

from collections.abc import Sequence


def evenly_spread(scenes: Sequence[str], count: int | None) -> list[str]:
    """So many of the scenes, from the first to the last at even distances; None: all."""
    if count is None or count >= len(scenes):
        return list(scenes)
    if count == 1:
        return [scenes[0]]
    return [scenes[round(i * (len(scenes) - 1) / (count - 1))] for i in range(count)]
