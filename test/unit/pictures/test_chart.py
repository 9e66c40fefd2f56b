from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.pictures.chart import BLUE, COLOURS, GREEN, Series, chart


def dots(y: NDArray[np.float64], *, log_y: bool) -> NDArray[np.float64]:
    """Rows of the dots of a chart, from left to right."""
    x = np.arange(len(y), dtype=np.float64)
    picture = chart("t", "x", "y", [Series(x, y, BLUE, line=False)], log_y=log_y)
    assert picture.shape == (340, 900, 3)
    row, column = np.nonzero((picture == BLUE).all(axis=2))
    groups = np.split(np.argsort(column), np.flatnonzero(np.diff(np.sort(column)) > 1) + 1)
    return np.array([row[group].mean() for group in groups])


def test_on_a_log_axis_equal_factors_are_equally_far_apart() -> None:
    rows = dots(np.array([1e-2, 1e-4, 1e-6, 1e-8]), log_y=True)
    assert len(rows) == 4
    np.testing.assert_allclose(np.diff(rows), np.diff(rows)[0], atol=1.5)
    assert np.diff(rows).min() > 50


def test_on_a_plain_axis_they_are_not() -> None:
    rows = dots(np.array([1.0, 0.1, 0.01]), log_y=False)
    assert np.diff(rows)[0] > 5 * np.diff(rows)[1]


def test_what_has_no_logarithm_is_left_out() -> None:
    assert len(dots(np.array([1.0, 0.0, 0.1, -1.0]), log_y=True)) == 2


def test_narrow_and_empty_ranges_have_an_axis() -> None:
    for values in ([2.0, 2.0001], [3.0], [0.0]):
        y = np.array(values, np.float64)
        chart("t", "x", "y", [Series(np.linspace(0.0, 1.0, len(y)), y)], log_y=True)


def test_a_point_alone_on_a_line_is_seen() -> None:
    alone = Series(np.array([1.0, 2.0, 3.0]), np.array([1.0, np.nan, 2.0]), BLUE)
    picture = chart("t", "x", "y", [alone])
    assert (picture == BLUE).all(axis=2).sum() > 60


def test_names_stand_beside_the_chart_and_take_no_room_of_it() -> None:
    x = np.linspace(0.0, 1.0, 5)
    plain, named = (
        chart("t", "x", "y", [Series(x, x, BLUE), Series(x, 1.0 - x, GREEN, label=label)])
        for label in ("", "growth")
    )
    columns = [np.flatnonzero((p == GREEN).all(axis=2).any(axis=0)).max() for p in (plain, named)]
    inside = np.flatnonzero((named == BLUE).all(axis=2).any(axis=0)).max()
    assert columns[0] > 800
    assert inside < 730 < columns[1] < 780  # the line in front of the name
    assert len(set(COLOURS)) == len(COLOURS)
