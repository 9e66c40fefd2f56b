"""Sub-slice positions against parabolas whose vertex is known, and the way to the full grid."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.classical.refinement import enlarge, refine_peak, smooth_surfaces
from focdepth_ros.stack import FloatImage

UNEVEN = np.array([2.6, 2.1, 1.9, 1.2, 0.8, 0.0])
EVEN = np.array([2.0, 1.5, 1.0, 0.5])


def parabolas(
    vertices: NDArray[np.float64], positions: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Log focus curves (N, 1, M) that peak at `vertices` (M,), and their sharpest slices."""
    squared = (positions[:, np.newaxis, np.newaxis] - vertices[np.newaxis, np.newaxis]) ** 2
    log_energy = (3.0 - 4.0 * squared).astype(np.float32)
    return log_energy, log_energy.argmax(axis=0).astype(np.uint8)


@pytest.mark.parametrize("positions", [EVEN, UNEVEN, np.arange(5.0), UNEVEN[:3]])
def test_finds_every_vertex_inside_the_sweep(positions: NDArray[np.float64]) -> None:
    # Every whole position, the ends included, and places between them.
    vertices = np.interp(
        np.linspace(0.0, len(positions) - 1.0, 41), np.arange(len(positions)), positions
    )
    log_energy, labels = parabolas(vertices, positions)
    index, overshoot = refine_peak(log_energy, labels, positions)
    found = np.interp(index[0], np.arange(len(positions)), positions)
    np.testing.assert_allclose(found, vertices, atol=1e-4)
    np.testing.assert_allclose(overshoot, 0.0, atol=1e-4)


@pytest.mark.parametrize(("end", "step"), [(0, 0.5), (-1, -0.8)])
def test_says_by_how_many_slices_a_vertex_lies_beyond_the_end(end: int, step: float) -> None:
    slices = np.array([0.1, 0.5, 1.0, 2.0])
    log_energy, labels = parabolas(UNEVEN[end] + slices * step, UNEVEN)
    index, overshoot = refine_peak(log_energy, labels, UNEVEN)
    np.testing.assert_array_equal(index[0], np.full(4, 0 if end == 0 else len(UNEVEN) - 1))
    np.testing.assert_allclose(overshoot[0], slices, rtol=1e-3)


@pytest.mark.parametrize("falling", [False, True])
def test_a_curve_that_rises_ever_more_steeply_peaks_out_of_reach(falling: bool) -> None:
    curve = np.array([0.0, 0.1, 0.4, 1.0], np.float32)[:, np.newaxis, np.newaxis]
    log_energy = curve[::-1] if falling else curve
    end = 0 if falling else 3
    index, overshoot = refine_peak(log_energy, np.full((1, 1), end, np.uint8), EVEN)
    assert index[0, 0] == end
    assert overshoot[0, 0] == np.inf


def test_a_flat_curve_leaves_the_label() -> None:
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    index, overshoot = refine_peak(np.full((4, 1, 4), 0.7, np.float32), labels, EVEN)
    np.testing.assert_array_equal(index, labels)
    np.testing.assert_array_equal(overshoot, 0.0)


def test_stays_within_half_a_slice_of_what_the_neighbours_decided() -> None:
    log_energy, _ = parabolas(np.full(4, 0.62), EVEN)
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    index, overshoot = refine_peak(log_energy, labels, EVEN)
    np.testing.assert_allclose(index, [[0.5, 1.5, 2.5, 2.76]], atol=1e-3)
    np.testing.assert_array_equal(overshoot, 0.0)


def test_two_slices_have_nothing_between_them() -> None:
    log_energy = np.array([[[1.0, 0.0]], [[0.5, 2.0]]], np.float32)
    index, overshoot = refine_peak(log_energy, np.array([[0, 1]], np.uint8), EVEN[:2])
    np.testing.assert_array_equal(index, [[0.0, 1.0]])
    np.testing.assert_array_equal(overshoot, 0.0)
    assert index.dtype == overshoot.dtype == np.float32


def step_image(low: float, high: float) -> FloatImage:
    image = np.full((10, 12), low, np.float32)
    image[:, 6:] = high
    return image


@pytest.mark.parametrize("factor", [2, 3, 8])
@pytest.mark.parametrize("high", [2.2, 3.0, 6.5])
def test_enlarging_makes_no_depth_between_two_surfaces(high: float, factor: int) -> None:
    large = enlarge(step_image(1.0, high), (10 * factor, 12 * factor))
    expected = np.kron(step_image(1.0, high), np.ones((factor, factor), np.float32))
    np.testing.assert_allclose(large, expected, atol=1e-6)


def test_enlarging_interpolates_on_a_slanted_surface() -> None:
    slope = np.tile(np.linspace(0.0, 4.0, 12, dtype=np.float32), (10, 1))
    large = enlarge(slope, (20, 24))
    centres = (np.arange(24) + 0.5) / 2 - 0.5
    expected = np.interp(centres, np.arange(12), slope[0])
    np.testing.assert_allclose(large, np.tile(expected, (20, 1)), atol=1e-5)


@pytest.mark.parametrize("size", [(9, 11), (20, 23), (1, 5)])
def test_enlarges_to_sizes_that_are_no_multiple(size: tuple[int, int]) -> None:
    small = np.full((-(-size[0] // 2), -(-size[1] // 2)), 2.5, np.float32)
    np.testing.assert_array_equal(enlarge(small, size), np.full(size, 2.5, np.float32))


@pytest.mark.parametrize("size", [(19, 27), (34, 41)])
def test_edges_go_to_neither_side(size: tuple[int, int]) -> None:
    blocks = np.repeat(np.random.default_rng(0).integers(0, 9, (3, 5)), 3, axis=0)
    small = np.repeat(blocks, 3, axis=1).astype(np.float32)
    turned = enlarge(np.ascontiguousarray(small[::-1, ::-1]), size)
    np.testing.assert_allclose(turned[::-1, ::-1], enlarge(small, size), atol=1e-5)


def test_nothing_to_enlarge() -> None:
    image = step_image(1.0, 4.0)
    assert enlarge(image, image.shape) is image


def test_smoothing_evens_out_surfaces_and_keeps_the_step_between_them() -> None:
    image = np.full((60, 80), 1.0, np.float32)
    image[:, 40:] = 4.0
    noisy = image + 0.2 * np.random.default_rng(0).standard_normal(image.shape, np.float32)
    smooth = smooth_surfaces(noisy)
    assert smooth.dtype == np.float32
    assert np.std(smooth - image) < 0.4 * np.std(noisy - image)
    beside = np.s_[:, 38:42]
    assert np.abs(smooth[beside] - image[beside]).max() < 0.5
    np.testing.assert_allclose(smooth[beside].mean(axis=0), [1.0, 1.0, 4.0, 4.0], atol=0.1)
