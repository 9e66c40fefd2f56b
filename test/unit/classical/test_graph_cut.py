"""The graph cut against exhaustive search, its own energy, and malformed input."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.classical.graph_cut import alpha_expansion, cut_fast
from focdepth_ros.errors import BackendError, OptionError


def energy_of(
    unary: NDArray[np.float32],
    weight_right: NDArray[np.float32],
    weight_down: NDArray[np.float32],
    truncation: int,
    labels: NDArray[np.uint8],
) -> float:
    signed = labels.astype(int)
    data = np.take_along_axis(unary, signed[np.newaxis], axis=0).sum()
    right = np.minimum(np.abs(np.diff(signed, axis=1)), truncation) * weight_right[:, :-1]
    down = np.minimum(np.abs(np.diff(signed, axis=0)), truncation) * weight_down[:-1]
    return float(data + right.sum() + down.sum())


def random_problem(
    seed: int, shape: tuple[int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    # Multiples of 1/8 are exact at the resolution to which the cut rounds its costs.
    rng = np.random.default_rng(seed)
    unary, right, down = (
        (rng.integers(0, 24, size) / 8).astype(np.float32) for size in (shape, shape[1:], shape[1:])
    )
    return unary, right / np.float32(2), down / np.float32(2)


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 20))]
)
def test_two_labels_reach_the_minimum(seed: int) -> None:
    unary, right, down = random_problem(seed, (2, 3, 4))
    labels, energy = alpha_expansion(unary, right, down, truncation=1)
    best = min(
        energy_of(unary, right, down, 1, np.array(choice, np.uint8).reshape(3, 4))
        for choice in itertools.product((0, 1), repeat=12)
    )
    assert energy == pytest.approx(best, abs=1e-9)
    assert energy_of(unary, right, down, 1, labels) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("truncation", [1, 2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_no_single_expansion_move_lowers_the_result(seed: int, truncation: int) -> None:
    unary, right, down = random_problem(seed, (5, 3, 3))
    labels, energy = alpha_expansion(unary, right, down, truncation=truncation, max_cycles=20)
    assert energy == pytest.approx(energy_of(unary, right, down, truncation, labels), abs=1e-9)
    for alpha in range(5):
        for taken in itertools.product((False, True), repeat=9):
            moved = np.where(np.reshape(taken, (3, 3)), alpha, labels).astype(np.uint8)
            assert energy_of(unary, right, down, truncation, moved) >= energy - 1e-9


def test_smoothness_removes_outliers_and_keeps_an_edge() -> None:
    truth = np.zeros((40, 60), np.uint8)
    truth[:, 30:] = 6
    rng = np.random.default_rng(3)
    observed = np.where(rng.random(truth.shape) < 0.2, rng.integers(0, 8, truth.shape), truth)
    unary = np.minimum(np.abs(np.arange(8)[:, None, None] - observed), 2).astype(np.float32)
    weight = np.full(truth.shape, 0.7, np.float32)
    labels, _ = alpha_expansion(unary, weight, weight, truncation=4)
    assert np.mean(observed != truth) > 0.1
    assert np.mean(labels != truth) < 0.005


def test_without_smoothness_every_pixel_takes_its_cheapest_label() -> None:
    unary, _, _ = random_problem(0, (6, 20, 30))
    unary += np.arange(6, dtype=np.float32)[:, None, None] / 1024  # no ties
    zero = np.zeros((20, 30), np.float32)
    start = np.full((20, 30), 5, np.uint8)
    labels, _ = alpha_expansion(unary, zero, zero, truncation=3, start=start)
    np.testing.assert_array_equal(labels, unary.argmin(0))


@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 1, 7), (3, 7, 1)])
def test_single_rows_columns_and_pixels(shape: tuple[int, int, int]) -> None:
    unary, right, down = random_problem(1, shape)
    labels, energy = alpha_expansion(unary, right, down, truncation=2)
    assert energy == pytest.approx(energy_of(unary, right, down, 2, labels), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_energy_never_rises_from_the_start(seed: int) -> None:
    unary, right, down = random_problem(seed, (6, 30, 40))
    start = np.random.default_rng(seed).integers(0, 6, (30, 40)).astype(np.uint8)
    energies = [energy_of(unary, right, down, 3, start)]
    for _ in range(4):
        start, energy = alpha_expansion(unary, right, down, truncation=3, start=start, max_cycles=1)
        energies.append(energy)
    assert np.all(np.diff(energies) <= 1e-9)
    assert energies[1] < energies[0]


def test_a_constant_added_to_all_costs_of_a_pixel_changes_no_label() -> None:
    unary, right, down = random_problem(4, (5, 12, 9))
    offset = np.random.default_rng(0).integers(-1000, 1000, (12, 9)).astype(np.float32)
    labels, energy = alpha_expansion(unary, right, down, truncation=2)
    shifted, higher = alpha_expansion(unary + offset, right, down, truncation=2)
    np.testing.assert_array_equal(shifted, labels)
    assert higher == pytest.approx(energy + float(offset.sum()), abs=1e-6)


@pytest.mark.parametrize("solve", [alpha_expansion, cut_fast])
def test_costs_of_any_size_are_taken(solve: Callable[..., tuple[NDArray[np.uint8], float]]) -> None:
    unary, right, down = random_problem(2, (3, 100, 90))
    largest = np.finfo(np.float32).max
    labels, _ = solve(unary / 3 * largest, right, down, truncation=2)
    np.testing.assert_array_equal(
        np.take_along_axis(unary, labels[None].astype(int), 0)[0], unary.min(0)
    )
    labels, _ = solve(unary, right + largest / 2, down + largest / 2, truncation=2)
    assert np.unique(labels).size == 1


def test_shapes_that_do_not_agree_are_named() -> None:
    unary, right, down = random_problem(0, (3, 4, 5))
    with pytest.raises(BackendError, match=r"weight_down has shape \(4, 4\)"):
        alpha_expansion(unary, right, down[:, :4], truncation=2)
    with pytest.raises(BackendError, match="start has shape"):
        alpha_expansion(unary, right, down, truncation=2, start=np.zeros((2, 2), np.uint8))
    with pytest.raises(BackendError, match="257 labels"):
        alpha_expansion(np.zeros((257, 4, 5), np.float32), right, down, truncation=2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("solve", [alpha_expansion, cut_fast])
def test_terms_that_are_not_finite_are_named(
    solve: Callable[..., tuple[NDArray[np.uint8], float]], value: float
) -> None:
    unary, right, down = random_problem(0, (3, 4, 5))
    broken = unary.copy()
    broken[2, 3, 4] = value
    with pytest.raises(BackendError, match="unary has costs that are NaN or inf"):
        solve(broken, right, down, truncation=2)
    right[0, 1] = value
    with pytest.raises(BackendError, match="weight_right is in"):
        solve(unary, right, down, truncation=2)


@pytest.mark.parametrize("solve", [alpha_expansion, cut_fast])
def test_malformed_problems_are_named(
    solve: Callable[..., tuple[NDArray[np.uint8], float]],
) -> None:
    unary, right, down = random_problem(0, (3, 4, 5))
    with pytest.raises(BackendError, match="weight_down is in \\[-1.0, "):
        solve(unary, right, np.where(down == down.max(), np.float32(-1), down), truncation=2)
    for shape in ((0, 4, 5), (3, 0, 5), (4, 5)):
        with pytest.raises(BackendError, match="unary has shape"):
            solve(np.zeros(shape, np.float32), right, down, truncation=2)
    for truncation in (0, 256, 1.5):
        with pytest.raises(OptionError, match=f"truncation={truncation} is not"):
            solve(unary, right, down, truncation=truncation)


def test_start_and_cycles_out_of_range_are_named() -> None:
    unary, right, down = random_problem(0, (3, 4, 5))
    start = np.full((4, 5), 3, np.uint8)
    with pytest.raises(BackendError, match=r"labels in \[3, 3\], the unary has 3"):
        alpha_expansion(unary, right, down, truncation=2, start=start)
    with pytest.raises(OptionError, match="max_cycles=0"):
        alpha_expansion(unary, right, down, truncation=2, max_cycles=0)
