"""NIQE: its fit by distributions that are known, the order of distorted pictures, its model."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation import niqe as module
from focdepth_ros.evaluation.niqe import (
    FEATURES,
    NiqeModel,
    fit_model,
    load_model,
    niqe,
    patch_features,
    save_model,
    shipped_model,
)
from focdepth_ros.simulation.textures import load_photographs

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    """Some that the model was not fitted to."""
    found = load_photographs()
    if not found:
        pytest.skip("no scikit-image here")
    return [image[:384, :480] for image in found if min(image.shape[:2]) >= 300][:4]


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0.0, sigma, image.shape)
    return np.clip(image + noise, 0.0, 255.0).round().astype(np.uint8)


def mean_niqe(images: list[np.ndarray]) -> float:
    return float(np.mean([niqe(image) for image in images]))


def test_distorted_pictures_score_worse_the_more_they_are(photographs: list[np.ndarray]) -> None:
    sharp = mean_niqe(photographs)
    blurred = [
        mean_niqe([cv2.GaussianBlur(image, (0, 0), sigma) for image in photographs])
        for sigma in (1.0, 2.0, 4.0)
    ]
    with_noise = [
        mean_niqe([noisy(image, sigma) for image in photographs]) for sigma in (10.0, 20.0, 40.0)
    ]
    assert sharp < blurred[0] < blurred[1] < blurred[2]
    assert sharp < with_noise[0] < with_noise[1] < with_noise[2]
    assert 1.0 < sharp < 6.0


def test_grey_pictures_are_their_own_luma(photographs: list[np.ndarray]) -> None:
    colour = photographs[0]
    assert niqe(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)) == niqe(colour)


@pytest.mark.parametrize(("shape", "draw"), [(2.0, RNG.standard_normal), (1.0, RNG.laplace)])
def test_the_fit_finds_the_shape_of_known_distributions(shape: float, draw: object) -> None:
    values = draw(size=(3, 200_000))  # type: ignore[operator]
    found, left, right = module._asymmetric_gaussian(values)
    assert found == pytest.approx([shape] * 3, rel=0.02)
    # exp(-|x / width|^shape): of a normal one sqrt(2), of one of Laplace 1.
    assert left == pytest.approx([math.sqrt(2.0) if shape == 2.0 else 1.0] * 3, rel=0.02)
    assert right == pytest.approx(left, rel=0.02)


def test_the_fit_tells_the_sides_apart() -> None:
    values = np.abs(RNG.standard_normal(200_000))
    values[::2] *= -3.0
    _, left, right = module._asymmetric_gaussian(values[np.newaxis])
    # Left is three times as wide; half of the values lie on either side, as drawn.
    assert left[0] / right[0] == pytest.approx(3.0, rel=0.02)


def plain_features(patch: np.ndarray) -> list[float]:
    """The 18 features of one patch, value by value, the shape by trying all of them."""

    def fit(values: list[float]) -> tuple[float, float, float]:
        below = [v * v for v in values if v < 0.0]
        above = [v * v for v in values if v > 0.0]
        left, right = math.sqrt(sum(below) / len(below)), math.sqrt(sum(above) / len(above))
        skew = left / right
        magnitude = sum(map(abs, values)) / len(values)
        ratio = magnitude**2 / (sum(v * v for v in values) / len(values))
        ratio *= (skew**3 + 1.0) * (skew + 1.0) / (skew**2 + 1.0) ** 2

        def expected(shape: float) -> float:
            gamma = math.gamma
            return gamma(2.0 / shape) ** 2 / (gamma(1.0 / shape) * gamma(3.0 / shape))

        shape = min((0.2 + 0.001 * i for i in range(9801)), key=lambda a: abs(expected(a) - ratio))
        width = math.sqrt(math.gamma(1.0 / shape) / math.gamma(3.0 / shape))
        return shape, left * width, right * width

    rows, columns = patch.shape
    shape, left, right = fit([float(v) for v in patch.flat])
    found = [shape, (left + right) / 2.0]
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        products = [
            float(patch[y, x] * patch[y - down, x - across])
            for y in range(down, rows)
            for x in range(columns)
            if 0 <= x - across < columns
        ]
        shape, left, right = fit(products)
        mean = (right - left) * math.gamma(2.0 / shape) / math.gamma(1.0 / shape)
        found += [shape, mean, left, right]
    return found


def test_features_are_those_written_down_plainly() -> None:
    patches = RNG.laplace(size=(2, 16, 16)) * np.array([1.0, 2.0]).reshape(2, 1, 1)
    found = module._features(patches)
    expected = np.array([plain_features(patch) for patch in patches])
    # The plain ones take the nearest of the shapes tried, the others go between them.
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=2e-4)


def test_every_patch_is_described_at_two_scales(photographs: list[np.ndarray]) -> None:
    image = photographs[0]
    features, sharpness = patch_features(image)
    count = (image.shape[0] // 96) * (image.shape[1] // 96)
    assert features.shape == (count, FEATURES)
    assert sharpness.shape == (count,)
    # What is beside whole patches is not looked at.
    rows, columns = (side // 96 * 96 for side in image.shape[:2])
    np.testing.assert_array_equal(patch_features(image[:rows, :columns])[0], features)
    blurred, less_sharp = patch_features(cv2.GaussianBlur(image, (0, 0), 2.0))
    assert (less_sharp < sharpness).all()
    assert not np.allclose(blurred, features)


def test_what_has_no_contrast_or_no_room_has_no_score() -> None:
    assert math.isnan(niqe(np.full((300, 300, 3), 7, np.uint8)))
    assert math.isnan(niqe(RNG.integers(0, 256, (95, 400, 3), dtype=np.uint8)))
    one_patch = RNG.integers(0, 256, (96, 191, 3), dtype=np.uint8)
    assert math.isnan(niqe(one_patch))
    with_flat = np.concatenate([np.zeros_like(one_patch), *[one_patch] * 2], axis=1)
    assert niqe(with_flat) > 0.0
    with pytest.raises(EvaluationError, match=r"image is float64 \(96, 191, 3\)"):
        niqe(one_patch.astype(float))


def test_a_model_is_fitted_to_the_sharp_patches_and_kept(
    photographs: list[np.ndarray], tmp_path: Path
) -> None:
    # Of each picture, half of it blurred away: the model does not see that half.
    halves = []
    for image in photographs:
        half = cv2.GaussianBlur(image, (0, 0), 4.0)
        half[: len(half) // 96 // 2 * 96] = image[: len(half) // 96 // 2 * 96]
        halves.append(half)
    model = fit_model(halves * 4)
    sharp = [patch_features(image) for image in halves]
    chosen = np.concatenate([f[s > 0.75 * s.max()] for f, s in sharp])
    np.testing.assert_allclose(model.mean, chosen.mean(axis=0))
    save_model(tmp_path / "model.npz", model)
    again = load_model(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.mean, model.mean)
    np.testing.assert_array_equal(again.covariance, model.covariance)
    assert niqe(photographs[0], again) != niqe(photographs[0])


def test_too_few_patches_fit_no_model() -> None:
    with pytest.raises(EvaluationError, match="have 4 sharp patches of 96 px; give more than 36"):
        fit_model([RNG.integers(0, 256, (192, 192), dtype=np.uint8)])


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"nothing")
    save_model(tmp_path / "b.npz", NiqeModel(np.zeros(3), np.zeros((3, 3))))
    for name in ("a.npz", "b.npz", "absent.npz"):
        with pytest.raises(EvaluationError, match=rf"{name}: is no model of NIQE"):
            load_model(tmp_path / name)


def test_the_model_of_the_package_is_one() -> None:
    model = shipped_model()
    assert model.mean.shape == (FEATURES,)
    assert np.linalg.eigvalsh(model.covariance).min() > 0.0
    # Shapes of normalised luma of natural pictures are about those of a normal distribution.
    assert 1.5 < model.mean[0] < 4.0
