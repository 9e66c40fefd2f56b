"""Random choices for training data, all from one torch generator.

Whoever holds the state of that generator can make the same batch again, so a run that is
resumed goes on as if it had not stopped. Choices are made on the CPU, whatever device renders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch

from focdepth_ros.errors import OptionError

Range = tuple[float, float]
_Item = TypeVar("_Item")


def uniform(generator: torch.Generator, range_: Range) -> float:
    """A number between the ends of a range."""
    low, high = range_
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def log_uniform(generator: torch.Generator, range_: Range) -> float:
    """A number between the ends of a range above 0; factors are as likely as their inverses."""
    return math.exp(uniform(generator, (math.log(range_[0]), math.log(range_[1]))))


def normal(generator: torch.Generator, deviation: float = 1.0) -> float:
    """A normally distributed number around 0."""
    return deviation * float(torch.randn((), generator=generator, dtype=torch.float64))


def integer(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def chance(generator: torch.Generator, probability: float) -> bool:
    """True with a probability."""
    return uniform(generator, (0.0, 1.0)) < probability


def choice(generator: torch.Generator, items: Sequence[_Item]) -> _Item:
    """One of the items."""
    return items[integer(generator, 0, len(items) - 1)]


def check_range(
    owner: str, name: str, range_: Range, minimum: float = -math.inf, maximum: float = math.inf
) -> None:
    """Raise an OptionError unless a range rises and lies in ``[minimum, maximum]``."""
    low, high = range_
    if not minimum <= low <= high <= maximum:
        raise OptionError(
            f"{owner} '{name}' goes from {low} to {high}; give a range that does not fall, "
            f"within [{minimum:g}, {maximum:g}]"
        )


def check_probability(owner: str, name: str, value: float) -> None:
    """Raise an OptionError unless a value is in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise OptionError(f"{owner} '{name}' is {value}; a probability is in [0, 1]")
