from __future__ import annotations

import numpy as np
import pytest

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.evaluation.scale_shift import aligned_depth, fit_scale_and_shift


@pytest.fixture
def truth() -> np.ndarray:
    depth = np.random.default_rng(1).uniform(0.5, 4.0, (20, 30)).astype(np.float32)
    depth[3, 4] = np.nan
    return depth


def test_a_fit_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    values, truth = rng.normal(size=(2, 15, 10))
    mask = rng.random((15, 10)) < 0.7
    expected = np.polyfit(values[mask], truth[mask], 1)
    np.testing.assert_allclose(fit_scale_and_shift(values, truth, mask), expected, rtol=1e-9)


def test_slices_of_an_even_sweep_are_depth(truth: np.ndarray) -> None:
    position = 9.0 - 4.0 / truth  # slice number, near to far
    answer = aligned_depth(position, truth)
    np.testing.assert_allclose(answer[np.isfinite(truth)], truth[np.isfinite(truth)], rtol=1e-5)
    assert depth_metrics(answer, truth)["abs_rel"] < 1e-5


def test_the_error_left_is_that_of_the_shape(truth: np.ndarray) -> None:
    noise = np.random.default_rng(2).normal(0.0, 0.05, truth.shape)
    position = 1.0 / truth + noise
    rescaled = 3.0 * position - 7.0
    left = depth_metrics(aligned_depth(position, truth), truth)
    assert left == pytest.approx(depth_metrics(aligned_depth(rescaled, truth), truth))
    assert left["abs_rel"] > 0.01


def test_a_constant_answer_becomes_the_mean(truth: np.ndarray) -> None:
    answer = aligned_depth(np.full(truth.shape, 3.0), truth)
    np.testing.assert_allclose(answer, 1.0 / np.nanmean(1.0 / truth), rtol=1e-5)


def test_what_is_not_known_stays_so_and_is_not_fitted(truth: np.ndarray) -> None:
    position = 1.0 / truth
    position[0, 0], position[1, 1] = np.nan, 1.0 / truth[1, 1]
    answer = aligned_depth(position, truth)
    assert np.isnan(answer[0, 0])
    assert depth_metrics(answer, truth)["abs_rel"] < 1e-5


def test_no_answer_lies_behind_the_camera(truth: np.ndarray) -> None:
    position = 1.0 / truth
    position[5, 5] = -50.0
    assert np.nanmin(aligned_depth(position, truth)) > 0.0


def test_errors_of_use() -> None:
    image = np.ones((3, 4))
    with pytest.raises(EvaluationError, match="no pixel is known in both"):
        aligned_depth(np.full((3, 4), np.nan), image)
    with pytest.raises(EvaluationError, match=r"values of shape \(4, 3\), truth \(3, 4\)"):
        fit_scale_and_shift(image.T, image, image > 0)
