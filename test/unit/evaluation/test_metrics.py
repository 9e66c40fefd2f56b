import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation import metrics
from focdepth_ros.evaluation.metrics import METRICS, depth_metrics, valid_mask

# Three pixels that count, with errors of +1, -1 and 0 m and ratios of 2, 4/3 and 1.
TRUTH = np.array([[1.0, 4.0, 2.0], [np.nan, 0.0, 3.0]], np.float32)
PREDICTION = np.array([[2.0, 3.0, 2.0], [1.0, 1.0, np.nan]], np.float32)

BY_HAND = {
    "mae": 2 / 3,
    "mse": 2 / 3,
    "rmse": math.sqrt(2 / 3),
    "rmse_log": math.sqrt((math.log(2) ** 2 + math.log(3 / 4) ** 2) / 3),
    "abs_rel": (1 + 1 / 4) / 3,
    "sq_rel": (1 + 1 / 4) / 3,
    "delta1": 1 / 3,
    "delta2": 2 / 3,
    "delta3": 2 / 3,
    "coverage": 3 / 4,
}


def test_valid_mask_needs_a_known_truth_and_an_answer() -> None:
    np.testing.assert_array_equal(valid_mask(TRUTH), [[True, True, True], [False, False, True]])
    both = valid_mask(TRUTH, PREDICTION)
    np.testing.assert_array_equal(both, [[True, True, True], [False, False, False]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_valid_mask_leaves_out_what_is_no_distance(value: float) -> None:
    good, bad = np.array([[1.0]]), np.array([[value]])
    assert not valid_mask(bad).any()
    assert not valid_mask(good, bad).any()


@pytest.mark.parametrize("name", [name for name in BY_HAND if name != "coverage"])
def test_measure_matches_the_value_by_hand(name: str) -> None:
    mask = valid_mask(TRUTH, PREDICTION)
    assert METRICS[name](PREDICTION, TRUTH, mask) == pytest.approx(BY_HAND[name], rel=1e-6)


def test_sq_rel_weighs_by_the_truth_and_not_its_square() -> None:
    truth, prediction = np.array([[4.0]]), np.array([[6.0]])
    assert metrics.sq_rel(prediction, truth, valid_mask(truth)) == pytest.approx(1.0)
    assert metrics.abs_rel(prediction, truth, valid_mask(truth)) == pytest.approx(0.5)


def test_only_pixels_of_the_mask_count() -> None:
    mask = np.array([[False, True, False], [False, False, False]])
    assert metrics.mae(PREDICTION, TRUTH, mask) == pytest.approx(1.0)
    assert metrics.delta1(PREDICTION, TRUTH, mask) == 0.0


def test_depth_metrics_gives_all_of_them() -> None:
    answer = depth_metrics(PREDICTION, TRUTH)
    assert math.isnan(answer.pop("bumpiness"))  # there is no pixel with all its neighbours
    assert answer == pytest.approx(BY_HAND, rel=1e-6)


class TestBumpiness:
    def test_is_that_of_the_curvature_of_the_error(self) -> None:
        x = np.arange(20.0)
        truth = np.full((12, 20), 5.0)
        mask = np.ones_like(truth, dtype=bool)
        mask[:, [0, 1, -2, -1]] = False  # the border of the image is repeated: not a parabola
        mask[[0, 1, -2, -1]] = False
        # Two filters, 2 for a slope of 1 each, make 4 of the second derivative of 2 * 0.001.
        curved = truth + 0.001 * x**2
        assert metrics.bumpiness(curved, truth, mask) == pytest.approx(100 * 4 * 0.002)
        assert metrics.bumpiness(truth + 0.1 * x, truth, mask) == pytest.approx(0.0, abs=1e-9)
        assert metrics.bumpiness(truth + x**2, truth, mask) == pytest.approx(5.0)

    def test_agrees_with_the_filters_of_scikit_image(self) -> None:
        filters = pytest.importorskip("skimage.filters")
        rng = np.random.default_rng(0)
        truth = rng.uniform(1.0, 3.0, (40, 50))
        prediction = truth + rng.normal(0.0, 0.004, truth.shape)
        first = [f(prediction - truth) for f in (filters.scharr_v, filters.scharr_h)]
        second = [f(d) for d in first for f in (filters.scharr_v, filters.scharr_h)]
        uneven = np.minimum(np.sqrt(np.sum(np.square(second), axis=0)), 0.05)
        mask = np.zeros(truth.shape, dtype=bool)
        mask[5:30, 7:40] = True
        expected = 100.0 * uneven[7:28, 9:38].mean()
        assert metrics.bumpiness(prediction, truth, mask) == pytest.approx(expected, rel=1e-9)

    def test_what_is_not_known_does_not_count(self) -> None:
        truth = np.full((9, 9), 2.0)
        truth[0, 0] = np.nan
        prediction = truth.copy()
        prediction[0, 0] = 7.0
        assert metrics.bumpiness(prediction, truth, valid_mask(truth, prediction)) == 0.0


def test_of_the_truth_itself_are_perfect() -> None:
    perfect = depth_metrics(TRUTH, TRUTH)
    assert all(
        perfect[name] == 0.0 for name in ("mae", "mse", "rmse", "rmse_log", "abs_rel", "sq_rel")
    )
    assert all(perfect[name] == 1.0 for name in ("delta1", "delta2", "delta3", "coverage"))


def test_without_an_answer_are_not_numbers_and_cover_nothing() -> None:
    answer = depth_metrics(np.full_like(TRUTH, np.nan), TRUTH)
    assert answer.pop("coverage") == 0.0
    assert all(math.isnan(value) for value in answer.values())


def test_without_a_truth_are_not_numbers() -> None:
    answer = depth_metrics(PREDICTION, np.full_like(TRUTH, np.nan))
    assert all(math.isnan(value) for value in answer.values())


def test_limits_of_delta_are_strict() -> None:
    truth, prediction = np.array([[4.0]]), np.array([[5.0]])
    assert metrics.delta1(prediction, truth, valid_mask(truth)) == 0.0
    assert metrics.delta1(np.array([[4.9]]), truth, valid_mask(truth)) == 1.0


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)), min_size=1, max_size=9))
def test_hold_their_inequalities(pairs: list[tuple[float, float]]) -> None:
    prediction, truth = np.array(pairs).T[:, np.newaxis]
    answer = depth_metrics(prediction, truth)
    assert answer["mae"] <= answer["rmse"] * (1 + 1e-9)
    assert answer["delta1"] <= answer["delta2"] <= answer["delta3"]
    swapped = depth_metrics(truth, prediction)
    for name in ("mae", "rmse", "rmse_log"):
        assert swapped[name] == pytest.approx(answer[name])


def test_refuse_images_of_different_size() -> None:
    with pytest.raises(EvaluationError, match=r"shapes \(1, 3\), \(2, 3\) cannot be compared"):
        depth_metrics(PREDICTION[:1], TRUTH)
    with pytest.raises(EvaluationError, match="must be of one size"):
        metrics.mae(PREDICTION, TRUTH, np.ones((1, 3), bool))
