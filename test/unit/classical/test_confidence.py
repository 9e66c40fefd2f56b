"""The confidence: high only where the focus was seen, and 0 where nothing was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_sweeps import texture

from focdepth_ros.classical.confidence import (
    FEATURES,
    FocusCurves,
    focus_confidence,
    focus_features,
    noise_floor,
)
from focdepth_ros.stack import FloatImage

SHAPE = (40, 60)
COUNT = 9


def image_of(value: float) -> FloatImage:
    return np.full(SHAPE, value, np.float32)


def curves(height: float, at: float = 4.0) -> FocusCurves:
    """The same focus curve of this height at every pixel, and the position read from it."""
    slices = np.arange(COUNT, dtype=np.float32)[:, np.newaxis, np.newaxis]
    log_energy = height * np.exp(-0.5 * (slices - np.float32(at)) ** 2) * image_of(1.0)
    return FocusCurves(log_energy.astype(np.float32), image_of(at), image_of(at), image_of(0.0))


def test_is_high_on_texture_and_nothing_without() -> None:
    assert focus_confidence(curves(4.0)).min() > 0.9
    np.testing.assert_array_equal(focus_confidence(curves(0.0)), 0.0)


def test_rises_with_the_contrast_of_the_curve() -> None:
    rising = [float(focus_confidence(curves(height)).mean()) for height in (0.0, 0.1, 1.0, 4.0)]
    assert rising == sorted(rising)
    assert rising[1] < 0.4


def test_is_lower_where_the_curve_is_higher_elsewhere() -> None:
    seen = curves(4.0)
    moved = image_of(6.0)
    wrong = replace(seen, slice_index=moved, single_index=moved)
    assert focus_confidence(wrong).max() < focus_confidence(seen).min()


def test_is_lower_at_the_edge_between_two_surfaces() -> None:
    near, far = curves(4.0, 2.0), curves(4.0, 6.0)
    left = np.arange(SHAPE[1]) < 30
    index = np.where(left, near.slice_index, far.slice_index)
    both = FocusCurves(np.where(left, near.log_energy, far.log_energy), index, index, image_of(0.0))
    confidence = focus_confidence(both)
    assert confidence[:, 28:32].max() < confidence[:, :20].min()
    assert confidence[:, 28:32].max() < confidence[:, 40:].min()


def test_falls_with_the_overshoot() -> None:
    seen = curves(4.0, 0.0)
    falling = [
        float(focus_confidence(replace(seen, overshoot=image_of(by))).mean())
        for by in (0.0, 0.3, 1.0, 3.0, np.inf)
    ]
    assert falling == sorted(falling, reverse=True)
    assert falling[1] < falling[0]
    assert falling[-1] < 0.01


def test_falls_where_single_pixels_scatter_around_the_surface() -> None:
    seen = curves(4.0)
    scatter = np.random.default_rng(0).normal(0.0, 0.5, SHAPE).astype(np.float32)
    scattered = replace(seen, single_index=seen.slice_index + scatter)
    confidence = focus_confidence(scattered)
    assert confidence.max() < focus_confidence(seen).min()
    assert confidence.mean() < focus_confidence(seen).mean() - 0.05


@pytest.mark.parametrize("seed", range(5))
def test_is_a_probability_whatever_the_curves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-2, 2)
    last = COUNT - 1
    wild = FocusCurves(
        (scale * rng.standard_normal((COUNT, *SHAPE))).astype(np.float32),
        rng.uniform(0, last, SHAPE).astype(np.float32),
        rng.uniform(0, last, SHAPE).astype(np.float32),
        np.where(rng.random(SHAPE) < 0.1, np.inf, rng.exponential(5.0, SHAPE)).astype(np.float32),
    )
    with np.errstate(over="raise", invalid="raise"):
        confidence = focus_confidence(wild)
    assert confidence.shape == SHAPE
    assert confidence.dtype == np.float32
    assert confidence.min() >= 0.0
    assert confidence.max() <= 1.0


def test_does_not_overflow_in_a_long_sweep() -> None:
    log_energy = np.zeros((256, 4, 4), np.float32)
    log_energy[255] = 20.0
    far_off = FocusCurves(
        log_energy, np.zeros((4, 4), np.float32), np.full((4, 4), 255, np.float32),
        np.zeros((4, 4), np.float32),
    )  # fmt: skip
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(focus_confidence(far_off), 0.0, atol=1e-6)


def test_features_are_what_their_names_say() -> None:
    seen = replace(curves(2.0), overshoot=image_of(7.0))
    features = dict(zip(FEATURES, focus_features(seen), strict=True))
    curve = seen.log_energy[:, 0, 0]
    contrast = np.exp(features["contrast"]) - 0.05
    np.testing.assert_allclose(contrast, curve.max() - curve.mean(), rtol=1e-4)
    np.testing.assert_array_equal(features["overshoot"], 6.0)
    for name in ("edge", "roughness"):
        np.testing.assert_allclose(features[name], 0.0, atol=1e-6)


@pytest.mark.parametrize("textured_columns", [0, 1, 6])
def test_the_noise_floor_is_above_zero_without_noise(textured_columns: int) -> None:
    energy = np.zeros((3, 5, 7), np.float32)
    energy[..., :textured_columns] = 80.0
    assert noise_floor(energy) > 0.0


def test_the_noise_floor_follows_the_pixels_without_texture() -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.8, 1.2, (6, 30, 40)).astype(np.float32)
    energy = noise.copy()
    energy[3, :, :28] += 100.0 * texture((30, 28), mono=True)
    assert noise_floor(energy) == pytest.approx(2.0 * np.median(noise.min(axis=0)), rel=0.2)
    assert noise_floor(10.0 * energy) == pytest.approx(10.0 * noise_floor(energy), rel=1e-5)
