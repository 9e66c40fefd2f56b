from __future__ import annotations

import math
import re
from dataclasses import dataclass

import pytest

from focdepth_ros.errors import OptionError
from focdepth_ros.options import check_options, option, option_infos


@dataclass(frozen=True)
class Settings:
    sigma: float = option(1.0, "Width of the filter [px].", minimum=0.0, maximum=5.0)
    count: int = option(3, "How many.", minimum=1, maximum=9)
    mode: str = option("a", "Which way.", choices=("a", "b"))
    fill: bool = option(False, "Whether to fill.")
    gain: float = option(2.0, "Without limits.")

    def __post_init__(self) -> None:
        check_options(self, "filter")


def test_infos_tell_what_the_fields_hold() -> None:
    sigma, count, mode, fill, gain = option_infos(Settings)
    assert (sigma.name, sigma.default, sigma.description) == (
        "sigma",
        1.0,
        "Width of the filter [px].",
    )
    assert (count.minimum, count.maximum) == (1, 9)
    assert mode.choices == ("a", "b")
    assert fill.default is False
    assert (gain.minimum, gain.maximum) == (-math.inf, math.inf)


def test_whole_numbers_serve_as_numbers() -> None:
    sigma = Settings(sigma=2).sigma
    assert isinstance(sigma, float)
    assert sigma == 2.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sigma": 6.0}, "filter option 'sigma' is 6.0; it must be in [0, 5]"),
        ({"sigma": math.nan}, "filter option 'sigma' is nan; it must be in [0, 5]"),
        ({"sigma": "wide"}, "filter option 'sigma' is 'wide'; it must be a number"),
        ({"gain": 10**400}, "filter option 'gain' is too large; it must be a number below 1e308"),
        ({"count": 2.0}, "filter option 'count' is 2.0; it must be a whole number"),
        ({"count": True}, "filter option 'count' is True; it must be a whole number"),
        ({"mode": "c"}, "filter option 'mode' is 'c'; it must be one of a, b"),
        ({"fill": 1}, "filter option 'fill' is 1; it must be true or false"),
    ],
)
def test_wrong_values_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        Settings(**values)  # type: ignore[arg-type]
