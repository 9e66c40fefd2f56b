"""Focus measures by name, and what their options may be."""

from __future__ import annotations

from typing import Any

import pytest

from focdepth_ros.classical.focus_operators import (
    LaplacianOfGaussian,
    RingDifference,
    create_focus_measure,
    focus_measure_names,
)
from focdepth_ros.errors import OptionError


def test_every_measure_can_be_made_by_its_name() -> None:
    names = focus_measure_names()
    assert names[0] == "laplacian_of_gaussian"
    assert [create_focus_measure(name).name for name in names] == list(names)


def test_the_default_and_the_short_name_are_the_laplacian_of_gaussian() -> None:
    assert create_focus_measure() == create_focus_measure("log") == LaplacianOfGaussian()


def test_options_are_passed_on() -> None:
    made = create_focus_measure("ring_difference", disc_radius=2.0, ring_inner=3.0, ring_outer=5.0)
    assert made == RingDifference(2.0, 3.0, 5.0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sobel", {}, "no focus measure 'sobel'; choose one of laplacian_of_gaussian, "),
        ("tenengrad", {"step": 2}, "'tenengrad' has no option 'step'; it has sigma"),
        ("log", {"sigma": -1.0}, r"'sigma' is -1.0; it must be in \[0, 100\]"),
        ("log", {"sigma": float("nan")}, "'sigma' is nan; it must be in"),
        ("log", {"sigma": "wide"}, "'sigma' is 'wide'; it must be a number"),
        ("log", {"gaussian_size": 4}, "'gaussian_size' is 4; a kernel has a middle"),
        ("log", {"laplacian_size": 0}, r"'laplacian_size' is 0; it must be in \[1, 31\]"),
        ("log", {"laplacian_size": 33}, r"'laplacian_size' is 33; it must be in \[1, 31\]"),
        ("log", {"laplacian_size": 3.0}, "'laplacian_size' is 3.0; it must be a whole number"),
        ("modified_laplacian", {"step": 0}, r"'step' is 0; it must be in \[1, 100\]"),
        ("ring_difference", {"disc_radius": 3.0}, "3.0, 2.0, 3.0 px do not rise"),
        ("ring_difference", {"ring_outer": 2.0}, "1.0, 2.0, 2.0 px do not rise"),
        (
            "ring_difference",
            {"disc_radius": 0.2, "ring_inner": 0.3, "ring_outer": 0.6},
            "no pixel between ring_inner=0.3 and ring_outer=0.6",
        ),
        ("wavelet", {"levels": 7}, r"'levels' is 7; it must be in \[1, 4\]"),
    ],
)
def test_bad_options_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        create_focus_measure(name, **options)
