from __future__ import annotations

import numpy as np
import pytest

from focdepth_ros.classical.energy_terms import edge_aware_weights, inverse_unary, log_unary


def energies(seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).exponential(5.0, (6, 7, 8)).astype(np.float32)


def test_log_unary_is_the_distance_to_the_best_slice() -> None:
    energy = energies()
    cost = log_unary(energy.copy(), np.float32(0.5))
    expected = np.log(energy.max(axis=0) + 0.5) - np.log(energy + 0.5)
    np.testing.assert_allclose(cost, expected, atol=1e-5)
    assert cost.dtype == np.float32
    np.testing.assert_array_equal(cost.argmin(axis=0), energy.argmax(axis=0))


def test_log_unary_says_little_below_the_noise_floor() -> None:
    faint = log_unary(energies() * np.float32(1e-4), np.float32(1.0))
    assert faint.max() < 0.01


def test_inverse_unary_fills_the_unit_range() -> None:
    energy = 1000.0 * energies()
    cost = inverse_unary(energy.copy(), 20.0)
    assert (cost.min(), cost.max()) == pytest.approx((0.0, 1.0))
    np.testing.assert_array_equal(cost.argmin(axis=0), energy.argmax(axis=0))


def test_inverse_unary_of_a_flat_stack_is_zero() -> None:
    np.testing.assert_array_equal(inverse_unary(np.full((3, 4, 5), 7.0, np.float32), 20.0), 0.0)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_step_costs_less_across_an_edge_of_the_picture(channels: tuple[int, ...]) -> None:
    guide = np.full((5, 6, *channels), 50, np.uint8)
    guide[:, 3:] = 150
    right, down = edge_aware_weights(guide, 2.0, 10.0)
    assert right.shape == down.shape == (5, 6)
    np.testing.assert_allclose(right[:, 2], 2.0 * (0.05 + np.exp(-10.0)), rtol=1e-5)
    np.testing.assert_allclose(right[:, [0, 1, 3, 4]], 2.0 * 1.05, rtol=1e-5)
    np.testing.assert_allclose(down[:-1], 2.0 * 1.05, rtol=1e-5)


def test_without_contrast_a_step_costs_the_same_everywhere() -> None:
    guide = np.random.default_rng(0).integers(0, 256, (5, 6), dtype=np.uint8)
    for weight in edge_aware_weights(guide, 0.7, 0.0):
        np.testing.assert_array_equal(weight, np.float32(0.7))


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
def test_pictures_of_one_row_or_column(shape: tuple[int, int]) -> None:
    for weight in edge_aware_weights(np.zeros(shape, np.uint8), 1.0, 5.0):
        assert weight.shape == shape
        assert np.isfinite(weight).all()
