"""What the tests of measures against other implementations share."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings

CLOSE = 1e-6

few = settings(max_examples=60, deadline=None)


def same(found: float, expected: float) -> bool:
    """Within 1e-6, absolute or relative; NaN is NaN."""
    if math.isnan(expected):
        return math.isnan(found)
    return found == pytest.approx(expected, rel=CLOSE, abs=CLOSE)


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
