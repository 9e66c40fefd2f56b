from __future__ import annotations

import math

import numpy as np
import pytest

from focdepth_ros.errors import OptionError
from focdepth_ros.focus_steps import positions_by_dioptres, positions_by_range
from focdepth_ros.lens_map import LensMap

# A lens that is not linear, and falls: 250 is near.
MAP = LensMap((0.0, 100.0, 250.0), (0.2, 2.2, 3.7))


def test_steps_are_even_in_dioptres() -> None:
    positions = positions_by_dioptres(MAP, near=0.5, far=2.0, count=7)
    dioptres = MAP.to_dioptres(positions)
    np.testing.assert_allclose(dioptres, np.linspace(2.0, 0.5, 7), atol=0.5 * 0.02)
    assert all(value == round(value) for value in positions)


@pytest.mark.parametrize(("near", "far"), [(0.0, math.inf), (0.01, 1e9)])
def test_without_limits_it_is_all_of_the_map(near: float, far: float) -> None:
    positions = positions_by_dioptres(MAP, near=near, far=far, count=5)
    assert (positions[0], positions[-1]) == (250.0, 0.0)


def test_a_falling_map() -> None:
    falling = LensMap((0.0, 250.0), (5.0, 0.5))
    positions = positions_by_dioptres(falling, near=0.0, far=math.inf, count=4)
    assert positions == (0.0, 83.0, 167.0, 250.0)  # near to far all the same


@pytest.mark.parametrize(("near", "far"), [(6.0, 10.0), (0.01, 0.1)])
def test_nothing_of_the_map_between(near: float, far: float) -> None:
    with pytest.raises(OptionError, match=r"the lens map reaches from 0\.27 m to 5 m"):
        positions_by_dioptres(MAP, near=near, far=far, count=5)


def test_fewer_where_they_would_be_the_same() -> None:
    coarse = LensMap((0.0, 4.0), (0.0, 4.0))
    assert positions_by_dioptres(coarse, near=0.0, far=math.inf, count=20) == (4, 3, 2, 1, 0)


def test_without_a_map_steps_are_even_in_positions() -> None:
    assert positions_by_range(0.0, 250.0, 6) == (250.0, 200.0, 150.0, 100.0, 50.0, 0.0)


def test_no_two_whole_positions() -> None:
    with pytest.raises(OptionError, match=r"between 0\.2 and 1\.4 there are no two whole"):
        positions_by_range(0.2, 1.4, 5)
