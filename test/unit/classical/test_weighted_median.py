"""The weighted median against its definition, worked out in full for every pixel."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.classical.weighted_median import weighted_median
from focdepth_ros.errors import BackendError, OptionError
from focdepth_ros.stack import FloatImage

STEP = 1.0 / 64.0


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(request.param)
    yield
    cv2.setNumThreads(before)


def random_case(
    shape: tuple[int, int], channels: int = 3
) -> tuple[FloatImage, NDArray[np.uint8], FloatImage]:
    """Slice positions, a guide and weights, all smooth but for some noise."""
    rng = np.random.default_rng(3)

    def noise(sigma: float) -> FloatImage:
        field = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma)
        return np.asarray(field / np.std(field), dtype=np.float32)

    index = np.clip(4.5 + 2.0 * noise(5.0) + 0.3 * noise(0.3), 0.0, 9.0)
    layers = [np.clip(128 + 25 * noise(3.0), 0, 255).astype(np.uint8) for _ in range(channels)]
    guide = np.stack(layers, axis=-1) if channels > 1 else layers[0]
    weight = np.clip(0.5 + 0.4 * noise(2.0), 0.1, 1.0).astype(np.float32)
    return index.astype(np.float32), guide, weight


def shares_below(
    answer: FloatImage,
    index: FloatImage,
    guide: NDArray[np.uint8],
    weight: FloatImage,
    radius: int,
    guide_sigma: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of each window's weight that lies a step or more below, or up to a step above."""
    height, width = index.shape
    below, up_to = np.empty(index.shape), np.empty(index.shape)
    planes = guide.reshape(height, width, -1).astype(np.float64)
    for y, x in np.ndindex(height, width):
        window = np.s_[
            max(y - radius, 0) : y + radius + 1,
            max(x - radius, 0) : x + radius + 1,
        ]
        distance = np.abs(planes[window] - planes[y, x]).max(axis=-1)
        shares = weight[window] * np.clip(1.0 - distance / (3.0 * guide_sigma), 0.0, None) ** 2
        below[y, x] = shares[index[window] < answer[y, x] - STEP].sum() / shares.sum()
        up_to[y, x] = shares[index[window] <= answer[y, x] + STEP].sum() / shares.sum()
    return below, up_to


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("radius", [1, 2, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_half_of_the_weight_lies_on_either_side(radius: int, channels: int) -> None:
    index, guide, weight = random_case((21, 37), channels)
    answer = weighted_median(index, guide, radius=radius, guide_sigma=15.0, weight=weight)
    assert answer.dtype == np.float32
    below, up_to = shares_below(answer, index, guide, weight, radius, 15.0)
    # Weights are rounded to 1/127 of the largest.
    assert below.max() < 0.52
    assert up_to.min() > 0.48


def test_with_equal_weights_it_is_the_median() -> None:
    index, guide, _ = random_case((24, 31))
    answer = weighted_median(index, np.zeros_like(guide), radius=2, guide_sigma=1.0)
    expected = cv2.medianBlur(index, 5)
    inside = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(answer[inside], expected[inside], atol=STEP / 2 + 1e-5)


def test_a_wide_window_is_sampled_evenly() -> None:
    index, guide, _ = random_case((64, 80))
    answer = weighted_median(index, np.zeros_like(guide), radius=14, guide_sigma=1.0)
    windows = np.lib.stride_tricks.sliding_window_view(index, (29, 29))[..., ::2, ::2]
    expected = np.median(windows.reshape(*windows.shape[:2], -1), axis=-1)
    np.testing.assert_allclose(answer[14:-14, 14:-14], expected, atol=STEP / 2 + 1e-5)


def test_positions_between_slices_survive() -> None:
    slope = np.tile(np.linspace(2.0, 3.0, 64, dtype=np.float32), (40, 1))
    answer = weighted_median(slope, np.zeros((40, 64), np.uint8), radius=4, guide_sigma=5.0)
    assert np.abs(answer - slope)[:, 4:-4].max() < 1.0 / 32.0


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_edge_of_the_guide_moves_the_edge_of_depth_to_it(dtype: type) -> None:
    guide = np.zeros((40, 60), dtype)
    guide[:, 30:] = 200
    index = np.full((40, 60), 1.25, np.float32)
    index[:, 33:] = 6.5  # three pixels off
    answer = weighted_median(index, guide, radius=7, guide_sigma=10.0)
    np.testing.assert_allclose(answer[:, :30], 1.25, atol=STEP)
    np.testing.assert_allclose(answer[:, 30:], 6.5, atol=STEP)


def test_what_has_no_confidence_takes_what_its_neighbours_say() -> None:
    index = np.full((20, 20), 3.0, np.float32)
    index[6:14, 6:14] = 8.0
    weight = np.ones_like(index)
    weight[6:14, 6:14] = 0.0
    answer = weighted_median(
        index, np.zeros((20, 20), np.uint8), radius=5, guide_sigma=5.0, weight=weight
    )
    np.testing.assert_array_equal(answer, np.full_like(index, 3.0))


def test_unknown_positions_have_no_weight() -> None:
    index = np.full((12, 30), 2.5, np.float32)
    index[:, 10:] = np.nan
    index[3, 3] = np.inf
    answer = weighted_median(index, np.zeros((12, 30), np.uint8), radius=2, guide_sigma=5.0)
    np.testing.assert_array_equal(answer[:, :12], 2.5)
    assert np.isnan(answer[:, 12:]).all()  # no neighbour knows


def test_all_unknown_stays_unknown() -> None:
    index = np.full((5, 7), np.nan, np.float32)
    answer = weighted_median(index, np.zeros((5, 7), np.uint8), radius=2, guide_sigma=5.0)
    assert np.isnan(answer).all()


def test_no_weight_anywhere_leaves_the_values() -> None:
    index, guide, weight = random_case((9, 11))
    answer = weighted_median(index, guide, radius=2, guide_sigma=5.0, weight=np.zeros_like(weight))
    np.testing.assert_array_equal(answer, index)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 8)])
def test_images_smaller_than_the_window(shape: tuple[int, int]) -> None:
    index = np.full(shape, 1.5, np.float32)
    answer = weighted_median(index, np.zeros(shape, np.uint8), radius=9, guide_sigma=5.0)
    np.testing.assert_array_equal(answer, index)


def test_the_faintest_guide_sigma_tells_all_levels_apart() -> None:
    guide = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    index = np.tile(np.arange(256, dtype=np.float32), (16, 1))
    answer = weighted_median(index, guide, radius=7, guide_sigma=1e-6)
    np.testing.assert_array_equal(answer, index)


def test_inputs_are_left_as_they_are() -> None:
    index, guide, weight = random_case((9, 11))
    before = index.copy(), guide.copy(), weight.copy()
    weighted_median(index, guide, radius=3, guide_sigma=5.0, weight=weight)
    for array, copy in zip((index, guide, weight), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("radius", [0, -1, 201, 2.5])
def test_refuses_a_radius_out_of_range(radius: int) -> None:
    index, guide, _ = random_case((9, 11))
    with pytest.raises(OptionError, match=f"radius={radius} is not a whole number"):
        weighted_median(index, guide, radius=radius, guide_sigma=5.0)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_a_sigma_that_is_none(sigma: float) -> None:
    index, guide, _ = random_case((9, 11))
    with pytest.raises(OptionError, match=f"guide_sigma={sigma} is not above 0 and finite"):
        weighted_median(index, guide, radius=2, guide_sigma=sigma)


def test_refuses_what_does_not_fit_together() -> None:
    index, guide, weight = random_case((9, 11))
    with pytest.raises(BackendError, match="guide has shape"):
        weighted_median(index, guide[:, 1:], radius=2, guide_sigma=5.0)
    with pytest.raises(BackendError, match="weight has shape"):
        weighted_median(index, guide, radius=2, guide_sigma=5.0, weight=weight[1:])
    with pytest.raises(BackendError, match="slice positions have shape"):
        weighted_median(index[0], guide, radius=2, guide_sigma=5.0)
    with pytest.raises(BackendError, match="NaN or inf"):
        weighted_median(index, np.full((9, 11), np.nan, np.float32), radius=2, guide_sigma=5.0)
    with pytest.raises(BackendError, match="not in"):
        weighted_median(index, guide, radius=2, guide_sigma=5.0, weight=weight * 2)


def test_never_leaves_the_range_of_the_values() -> None:
    values = np.full((6, 9), 2.0, np.float32)
    values[:, :3] = 0.99
    answer = weighted_median(values, np.zeros((6, 9), np.uint8), radius=1, guide_sigma=5.0)
    assert answer.max() == np.float32(2.0)
    assert answer.min() == np.float32(0.99)
