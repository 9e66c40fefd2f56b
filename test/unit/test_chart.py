from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.chart import BLUE, Series, chart


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
