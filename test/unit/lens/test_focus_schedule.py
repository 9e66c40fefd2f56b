"""Where the lens is sent in a sweep."""

from __future__ import annotations

import math

import numpy as np
import pytest

from focdepth_ros.errors import DriverError, OptionError
from focdepth_ros.lens.focus_schedule import (
    WHOLE,
    LensUnit,
    PositionGrid,
    even_positions,
    metres_of,
    plan_focus,
)
from focdepth_ros.lens.lens_map import LensMap

DIOPTRES = LensUnit((0.0, 10.0), grid=None)
# A lens whose positions fall towards near, as some do.
RAW = LensUnit((0.0, 255.0), WHOLE, LensMap((20.0, 120.0, 250.0), (4.0, 1.5, 0.2)))


def test_uniform_in_dioptres_near_to_far() -> None:
    plan = plan_focus(DIOPTRES, 0.5, 4.0, 8)
    np.testing.assert_allclose(plan.dioptres, np.linspace(2.0, 0.25, 8))
    assert plan.positions == pytest.approx(plan.dioptres)
    assert plan.remarks == ()


def test_limits_are_those_of_the_lens_where_none_are_given() -> None:
    plan = plan_focus(DIOPTRES, 0.0, 0.0, 3)
    np.testing.assert_allclose(plan.dioptres, [10.0, 5.0, 0.0])
    assert metres_of(plan.dioptres[-1]) == math.inf
    assert plan_focus(DIOPTRES, 0.5, math.inf, 3).dioptres == pytest.approx((2.0, 1.0, 0.0))


def test_raw_positions_are_whole_and_told_as_what_they_are() -> None:
    plan = plan_focus(RAW, 0.0, 0.0, 6)
    assert all(position == int(position) for position in plan.positions)
    assert plan.positions[0] == 20.0
    assert plan.positions[-1] == 250.0
    assert RAW.lens_map is not None
    np.testing.assert_allclose(plan.dioptres, RAW.lens_map.to_dioptres(plan.positions))
    np.testing.assert_allclose(plan.dioptres, np.linspace(4.0, 0.2, 6), atol=0.015)


def test_driver_and_lens_map_limit_each_other() -> None:
    narrow = LensUnit((50.0, 400.0), WHOLE, RAW.lens_map)
    plan = plan_focus(narrow, 0.0, 0.0, 4)
    assert (min(plan.positions), max(plan.positions)) == (50.0, 250.0)


@pytest.mark.parametrize(
    ("near", "far", "remark"),
    [
        (0.05, 4.0, "near is 0.05 m, but the lens goes to 0.1 m only"),
        (0.5, math.inf, None),
    ],
)
def test_what_the_lens_cannot_is_said(near: float, far: float, remark: str | None) -> None:
    assert plan_focus(DIOPTRES, near, far, 5).remarks == (() if remark is None else (remark,))


def test_far_beyond_the_lens_map() -> None:
    plan = plan_focus(RAW, 0.5, math.inf, 5)
    assert plan.remarks == ("far is infinity, but the lens goes to 5 m only",)


def test_few_positions() -> None:
    plan = plan_focus(RAW, 1.0, 1.05, 8)
    assert 2 <= len(plan.positions) < 8
    assert len(set(plan.positions)) == len(plan.positions)
    assert "steps is 8, but the lens has only" in plan.remarks[0]
    with pytest.raises(DriverError, match="the lens has 1 position from 1 m to 1 m"):
        plan_focus(RAW, 1.0, 1.001, 8)


def test_out_of_reach() -> None:
    with pytest.raises(DriverError, match=r"focuses from 0.1 m to infinity, asked for are 0.01 m"):
        plan_focus(DIOPTRES, 0.01, 0.05, 5)
    with pytest.raises(DriverError, match=r"from 300 to 400, the lens map has 20 to 250"):
        plan_focus(LensUnit((300.0, 400.0), WHOLE, RAW.lens_map), 0.0, 0.0, 5)


def test_order() -> None:
    plan = plan_focus(DIOPTRES, 0.5, 4.0, 3)
    there, back = list(plan.sweep(4)), list(plan.sweep(5, far_to_near=True))
    assert [step.position for step in back] == [step.position for step in reversed(there)]
    assert [(s.sweep_id, s.index, s.count) for s in back] == [(5, 0, 3), (5, 1, 3), (5, 2, 3)]


def test_without_distances_steps_are_even_in_positions() -> None:
    assert even_positions(0.0, 250.0, 6) == (250.0, 200.0, 150.0, 100.0, 50.0, 0.0)
    assert even_positions(0.4, 3.2, 20) == (3.0, 2.0, 1.0)


@pytest.mark.parametrize("grid", [WHOLE, None])
def test_a_lens_of_unknown_distances_goes_all_its_way(grid: PositionGrid | None) -> None:
    unit = LensUnit((0.0, 250.0), grid, is_dioptre=False)
    plan = plan_focus(unit, 0.0, 0.0, 6)
    assert plan.positions == (250.0, 200.0, 150.0, 100.0, 50.0, 0.0)
    assert all(math.isnan(dioptre) for dioptre in plan.dioptres)
    assert plan.remarks == ()
    asked = plan_focus(unit, 0.5, 0.0, 6)
    assert asked.positions == plan.positions
    assert asked.remarks == ("near and far need a lens map, without one the lens goes all its way",)


def test_a_lens_of_unknown_distances_with_few_positions() -> None:
    plan = plan_focus(LensUnit((0.0, 2.0), WHOLE, is_dioptre=False), 0.0, 0.0, 6)
    assert plan.remarks == ("steps is 6, but the lens has only 3 positions from 0 to 2",)
    with pytest.raises(DriverError, match="there are no two focus positions in steps of 1;"):
        plan_focus(LensUnit((0.2, 1.4), WHOLE, is_dioptre=False), 0.0, 0.0, 6)


def test_no_two_positions() -> None:
    with pytest.raises(OptionError, match=r"between 0\.2 and 1\.4 there are no two focus pos"):
        even_positions(0.2, 1.4, 5)
    with pytest.raises(OptionError, match=r"between 11 and 19 .* in steps of 5; give a larger"):
        even_positions(11.0, 19.0, 5, PositionGrid(5.0))


def test_a_lens_that_goes_in_steps_is_sent_to_none_between() -> None:
    fives = PositionGrid(5.0, origin=2.0)
    assert RAW.lens_map is not None
    plan = plan_focus(LensUnit((2.0, 257.0), fives, RAW.lens_map), 0.0, 0.0, 6)
    assert len(plan.positions) == 6
    assert all((position - 2.0) % 5.0 == 0.0 for position in plan.positions)
    # 20 and 250 are the ends of the lens map.
    assert (plan.positions[0], plan.positions[-1]) == (22.0, 247.0)
    np.testing.assert_allclose(plan.dioptres, RAW.lens_map.to_dioptres(plan.positions))
    assert even_positions(0.0, 20.0, 4, fives) == (17.0, 12.0, 7.0, 2.0)


def test_more_slices_than_steps() -> None:
    plan = plan_focus(LensUnit((0.0, 255.0), PositionGrid(5.0), RAW.lens_map), 1.0, 1.2, 30)
    steps = np.diff(plan.positions)
    assert steps.tolist() == [5.0] * len(steps)
    assert plan.remarks == (
        f"steps is 30, but the lens has only {len(plan.positions)} positions between near and far",
    )
