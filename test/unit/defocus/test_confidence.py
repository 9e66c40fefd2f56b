"""The confidence of depth from defocus: what pixels saw, and whether their neighbours agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from focdepth_ros.defocus.confidence import PixelFit, surface_confidence, surface_features
from focdepth_ros.stack import FloatImage

SHAPE = (40, 60)
STEP = 0.25
INSIDE = (slice(12, -12), slice(12, -12))


def image_of(value: float) -> FloatImage:
    return np.full(SHAPE, value, np.float32)


SURFACE = image_of(1.0)
FIT = PixelFit(evidence=image_of(0.95), misfit=image_of(1.0), dioptre=SURFACE)


def confidence(
    fit: PixelFit = FIT, surfaces: FloatImage = SURFACE, step: float = STEP
) -> FloatImage:
    return surface_confidence(surface_features(fit, surfaces, step))


def scattered(by: float) -> FloatImage:
    """Depths that pixels would choose by themselves, so many steps from the surface."""
    return SURFACE + np.float32(by * STEP) * np.random.default_rng(0).choice((-1, 1), SHAPE).astype(
        np.float32
    )


NOISY = replace(FIT, dioptre=scattered(0.2))


def test_is_high_where_pixels_see_their_depth_and_agree() -> None:
    found = confidence()
    assert found.shape == SHAPE
    assert found.dtype == np.float32
    assert found.min() > 0.95
    assert found.max() <= 1.0


def test_is_nothing_where_nothing_is_seen_however_well_neighbours_agree() -> None:
    np.testing.assert_array_equal(confidence(replace(FIT, evidence=image_of(0.0))), 0.0)


@pytest.mark.parametrize(
    "fits",
    [
        [replace(FIT, evidence=image_of(value)) for value in (0.05, 0.2, 0.6, 1.0)],
        [replace(FIT, dioptre=scattered(value)) for value in (1.0, 0.5, 0.2, 0.0)],
        [replace(NOISY, misfit=image_of(value)) for value in (30.0, 5.0, 1.0)],
    ],
    ids=["evidence", "scatter", "misfit"],
)
def test_rises_with_what_speaks_for_the_depth(fits: list[PixelFit]) -> None:
    means = [float(confidence(fit)[INSIDE].mean()) for fit in fits]
    assert means == sorted(means)
    assert means[-1] > means[0] + 0.05


def test_is_lower_beside_an_edge() -> None:
    surfaces = SURFACE.copy()
    surfaces[:, 30:] += np.float32(2.0 * STEP)
    noisy = replace(FIT, dioptre=scattered(0.2) + surfaces - SURFACE)
    found, flat = confidence(noisy, surfaces), confidence(NOISY)
    assert found[:, 26:34].max() < flat.min() - 0.1
    np.testing.assert_allclose(found[:, :25], flat[:, :25], atol=1e-5)


def test_differences_of_depth_count_in_steps() -> None:
    apart = confidence(replace(FIT, dioptre=scattered(0.3)))
    doubled = replace(FIT, dioptre=2.0 * scattered(0.3))
    np.testing.assert_allclose(confidence(doubled, 2.0 * SURFACE, 2.0 * STEP), apart, atol=1e-5)
