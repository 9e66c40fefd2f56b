from __future__ import annotations

import math

import pytest

from focdepth_ros.evaluation.benchmark.scatter import Dot, scatter_chart


def test_equal_factors_of_cost_are_equally_far_apart_and_errors_start_at_zero() -> None:
    dots = [Dot("a", 10.0, 0.3), Dot("b", 100.0, 0.1), Dot("c", 1000.0, 0.2)]
    chart = scatter_chart("latency [ms]", "abs_rel", dots)
    assert chart is not None
    x = [dot["x"] for dot in chart["dots"]]
    y = [dot["y"] for dot in chart["dots"]]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    zero, top = chart["y_ticks"][0][0], chart["y_ticks"][-1]
    assert top[1] == "0.4"
    for dot, place in zip(dots, y, strict=True):
        assert (zero - place) / (zero - top[0]) == pytest.approx(dot.error / 0.4, abs=0.01)
    assert [text for _, text in chart["x_ticks"]] == ["10", "100", "1000"]
    assert dict(map(reversed, chart["x_ticks"]))["100"] == pytest.approx(x[1], abs=0.1)
    assert len({dot["colour"] for dot in chart["dots"]}) == 3


def test_what_is_not_known_is_left_out_and_keeps_its_colour() -> None:
    dots = [
        Dot("a", math.nan, 0.1),
        Dot("b", 5.0, 0.1),
        Dot("c", 6.0, 0.2),
        Dot("d", 7.0, math.nan),
    ]
    chart = scatter_chart("x", "y", dots)
    every = scatter_chart("x", "y", [Dot(dot.name, 1.0, 1.0) for dot in dots])
    assert chart is not None
    assert every is not None
    assert [dot["name"] for dot in chart["dots"]] == ["b", "c"]
    colours = {dot["name"]: dot["colour"] for dot in every["dots"]}
    assert all(dot["colour"] == colours[dot["name"]] for dot in chart["dots"])


def test_one_alone_compares_with_nothing() -> None:
    assert scatter_chart("x", "y", [Dot("a", 1.0, 1.0), Dot("b", math.nan, 1.0)]) is None
