import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.sparsification import (
    KEPT_SHARES,
    area_under_sparsification_error,
    is_monotone,
    sparsification_curve,
)

ERRORS = np.array([4.0, 1.0, 3.0, 2.0])
PERFECT = np.array([0.1, 0.9, 0.2, 0.5])


def test_curve_follows_the_error_of_the_surest_pixels() -> None:
    curve = sparsification_curve(ERRORS, PERFECT, (1.0, 0.75, 0.5, 0.25))
    assert curve == pytest.approx([2.5, 2.0, 1.5, 1.0])


def test_curve_takes_parts_of_a_pixel() -> None:
    assert sparsification_curve(ERRORS, PERFECT, (0.375,)) == pytest.approx([2.0 / 1.5])


def test_equal_confidence_says_nothing() -> None:
    curve = sparsification_curve(ERRORS, np.ones(4))
    assert curve == pytest.approx([2.5] * len(KEPT_SHARES))


def test_the_order_within_equal_confidence_does_not_count() -> None:
    confidence = np.array([0.0, 0.0, 1.0, 1.0])
    one = sparsification_curve(ERRORS, confidence, (0.75, 0.5, 0.25))
    other = sparsification_curve(ERRORS[[1, 0, 3, 2]], confidence, (0.75, 0.5, 0.25))
    assert one == pytest.approx([2.5, 2.5, 2.5])
    assert other == pytest.approx(one)


def test_area_is_0_in_the_order_of_the_errors() -> None:
    assert area_under_sparsification_error(ERRORS, PERFECT) == pytest.approx(0.0)


def test_area_of_no_order_matches_the_value_by_hand() -> None:
    # Two pixels, errors 0 and 1: the oracle is 0 up to one half and then (2 k - 1) / (2 k), a
    # confidence that says nothing 1/2 all along; over the error of all, 1/2.
    kept = (np.arange(100) + 0.5) / 100
    oracle = np.where(kept <= 0.5, 0.0, (2 * kept - 1) / (2 * kept))
    area = area_under_sparsification_error(np.array([0.0, 1.0]), np.ones(2))
    assert area == pytest.approx(float(np.mean(0.5 - oracle)) / 0.5)


def test_area_does_not_change_with_the_unit_of_the_errors() -> None:
    confidence = np.array([0.3, 0.1, 0.9, 0.5])
    metres = area_under_sparsification_error(ERRORS, confidence)
    assert area_under_sparsification_error(1000.0 * ERRORS, confidence) == pytest.approx(metres)
    assert metres > 0.0


def test_monotone_is_a_curve_that_never_rises() -> None:
    assert is_monotone(np.array([3.0, 2.0, 2.0, 1.0]))
    assert not is_monotone(np.array([3.0, 2.0, 2.1, 1.0]))
    assert not is_monotone(np.array([3.0, math.nan]))


def test_nothing_to_measure_is_not_a_number() -> None:
    assert np.isnan(sparsification_curve(np.zeros(0), np.zeros(0))).all()
    assert math.isnan(area_under_sparsification_error(np.zeros(0), np.zeros(0)))
    assert math.isnan(area_under_sparsification_error(np.zeros(3), np.ones(3)))


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 1)), min_size=1, max_size=9))
def test_no_order_is_better_than_that_of_the_errors(pairs: list[tuple[float, float]]) -> None:
    errors, confidence = np.array(pairs).T
    oracle = sparsification_curve(errors, -errors)
    assert is_monotone(oracle - 1e-9 * np.arange(len(oracle)))
    assert np.all(sparsification_curve(errors, confidence) >= oracle - 1e-9)
    assert sparsification_curve(errors, confidence)[0] == pytest.approx(errors.mean())


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(EvaluationError, match=r"shape \(4,\) and confidence of shape \(3,\)"):
        sparsification_curve(ERRORS, PERFECT[:3])
    with pytest.raises(EvaluationError, match="confidence has NaN"):
        sparsification_curve(ERRORS, np.full(4, np.nan))
    with pytest.raises(EvaluationError, match="errors has NaN"):
        area_under_sparsification_error(np.full(4, np.nan), PERFECT)
    with pytest.raises(EvaluationError, match=r"\[0.0\] are not all in \(0, 1\]"):
        sparsification_curve(ERRORS, PERFECT, (0.0,))


def test_the_root_of_squared_errors_is_compared_as_such() -> None:
    # Half the pixels are off by 2; the confidence has them the wrong way round.
    squared, confidence = np.array([0.0, 4.0]), np.array([0.0, 1.0])
    kept = (np.arange(100) + 0.5) / 100
    ours = np.where(kept <= 0.5, 2.0, np.sqrt(2.0 / kept))
    best = np.where(kept <= 0.5, 0.0, np.sqrt(4.0 * np.maximum(kept - 0.5, 0.0) / kept))
    expected = (ours - best).mean() / np.sqrt(2.0)
    found = area_under_sparsification_error(squared, confidence, root=True)
    assert found == pytest.approx(expected)
    assert found != pytest.approx(area_under_sparsification_error(squared, confidence))
