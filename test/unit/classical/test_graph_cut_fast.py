"""The coarse-to-fine cut against the exact one, and against what it must find."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.classical.graph_cut import alpha_expansion, cut_fast
from focdepth_ros.stack import FloatImage


def surfaces(
    seed: int, count: int, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Noisy costs of a slanted plane with boxes and rods in front, and edge-aware weights."""
    height, width = size
    rng = np.random.default_rng(seed)
    truth = np.tile(np.linspace(0.0, count - 1.0, width), (height, 1))
    for _ in range(8):
        box = rng.integers(0, width), rng.integers(0, height), *rng.integers(3, width // 3, 2)
        cv2.rectangle(truth, [int(side) for side in box], float(rng.uniform(0, count)), -1)
    patches = rng.random((height // 24 + 1, width // 24 + 1))
    texture = np.repeat(np.repeat(patches, 24, axis=0), 24, axis=1)[:height, :width]
    observed = truth + rng.normal(0.0, 1.5, size)
    costs = np.abs(np.arange(count)[:, None, None] - observed) * texture
    unary = np.minimum(costs, 4.0).astype(np.float32)
    right: FloatImage = np.ones(size, np.float32)
    down = right.copy()
    right[:, :-1][np.abs(np.diff(truth, axis=1)) > 1.0] = 0.2
    down[:-1][np.abs(np.diff(truth, axis=0)) > 1.0] = 0.2
    unary -= unary.min(axis=0)
    return unary, right, down


@pytest.mark.parametrize("scale", [0.3, 1.0])
@pytest.mark.parametrize(("seed", "count"), [(0, 10), (1, 10), (2, 32)])
def test_the_energy_is_close_to_the_exact_one(seed: int, count: int, scale: float) -> None:
    unary, right, down = surfaces(seed, count, (243, 322))
    right *= np.float32(scale)
    down *= np.float32(scale)
    _, exact = alpha_expansion(unary, right, down, truncation=6, max_cycles=10)
    labels, energy = cut_fast(unary, right, down, truncation=6)
    assert energy <= 1.02 * exact
    _, lower = alpha_expansion(unary, right, down, truncation=6, start=labels, max_cycles=1)
    assert lower <= energy + 1e-3


def test_a_small_grid_is_cut_as_a_whole() -> None:
    unary, right, down = surfaces(3, 8, (40, 60))
    labels, energy = cut_fast(unary, right, down, truncation=4)
    expected, exact = alpha_expansion(unary, right, down, truncation=4, max_cycles=10)
    assert energy == pytest.approx(exact, rel=1e-3)
    assert np.mean(labels != expected) < 0.01


def test_a_rod_thinner_than_a_coarse_pixel_is_found() -> None:
    truth = np.zeros((320, 400), np.uint8)
    truth[:, 201:203] = 7
    unary = np.minimum(np.abs(np.arange(9)[:, None, None] - truth.astype(int)), 4) * 2.0
    weight = np.full(truth.shape, 0.5, np.float32)
    labels, _ = cut_fast(unary.astype(np.float32), weight, weight, truncation=4)
    np.testing.assert_array_equal(labels, truth)


def test_the_answer_is_always_the_same_and_inputs_stay_as_they_were() -> None:
    problem = surfaces(4, 12, (161, 203))
    copies = [term.copy() for term in problem]
    first, energy = cut_fast(*problem, truncation=6)
    for _ in range(3):
        again, same = cut_fast(*problem, truncation=6)
        np.testing.assert_array_equal(again, first)
        assert same == energy
    for term, copy in zip(problem, copies, strict=True):
        np.testing.assert_array_equal(term, copy)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 163), (81, 81)])
def test_narrow_and_odd_grids(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    unary = rng.random((7, *size)).astype(np.float32)
    weight = np.full(size, 0.2, np.float32)
    labels, energy = cut_fast(unary, weight, weight, truncation=3)
    _, exact = alpha_expansion(unary, weight, weight, truncation=3)
    start = np.take_along_axis(unary, labels[None].astype(int), 0).sum()
    assert labels.max() < 7
    assert start <= energy + 1e-3
    assert energy <= 1.1 * exact + 1e-3
