"""Between which depths depth from defocus looks."""

from __future__ import annotations

import math

import pytest

from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.defocus.search_range import search_range
from focdepth_ros.errors import OptionError


def test_half_a_step_beyond_the_sweep() -> None:
    assert search_range((0.5, 1.0, math.inf)) == (0.0, 2.5)
    assert search_range((2.0, 1.0)) == (0.25, 1.25)
    assert search_range((1.0, 0.5, 1.0 / 3.0)) == pytest.approx((0.5, 3.5))
    assert search_range((0.5, 2.0)) == (0.25, 2.75)  # not more than twice as far
    assert search_range((0.25, 0.2)) == pytest.approx((3.5, 5.5))


def test_a_range_that_is_given() -> None:
    assert search_range((1.0, 2.0), near=0.5, far=4.0) == (0.25, 2.0)
    assert search_range((1.0, 2.0), near=0.5, far=math.inf) == (0.0, 2.0)
    assert search_range((1.0, 2.0), far=8.0) == (0.125, 1.25)


@pytest.mark.parametrize(
    ("near", "far", "words"),
    [
        (5.0, 4.0, "from 5 m on, but only up to 4 m; give near < far"),
        (10.0, 0.0, "from 10 m on, but only up to 4 m"),
        (3.0, 9.0, r"from 3 m to 9 m, but no focus distance \(1, 2 m\) lies there"),
    ],
)
def test_a_range_that_cannot_be(near: float, far: float, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        search_range((1.0, 2.0), near, far)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 4}, "'window' is 4; a square has a middle pixel"),
        ({"near": 2.0, "far": 1.0}, "from 2.0 m to 1.0 m; give near < far"),
        ({"near": -1.0}, r"'near' is -1.0; it must be in \[0, inf\]"),
        ({"psf": "square"}, "'psf' is 'square'; it must be one of gaussian, disc"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, float | str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        DefocusConfig(**options)  # type: ignore[arg-type]
