"""The all-in-focus image on tensors is that of OpenCV and NumPy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_sweeps import texture

from focdepth_ros.classical import all_in_focus, refinement, torch_all_in_focus
from focdepth_ros.classical.torch_focus import upload

SIZE = (61, 83)


@pytest.mark.parametrize("mono", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_sampled_images_agree(mono: bool, masked: bool, device: str) -> None:
    rng = np.random.default_rng(5)
    images = [texture(SIZE, seed=seed, mono=mono) for seed in range(4)]
    slice_index = rng.uniform(0.0, 3.0, SIZE).astype(np.float32)
    slice_index[:5] = 1.5  # half way
    masks = [None, *(rng.random((3, *SIZE)) < 0.7)] if masked else []
    found = torch_all_in_focus.sample_all_in_focus(
        [upload(image, device) for image in images],
        upload(slice_index, device),
        [None if mask is None else upload(mask, device) for mask in masks],
    )
    expected = all_in_focus.sample_all_in_focus(images, slice_index, masks)
    np.testing.assert_array_equal(found.cpu().numpy(), expected)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0])
def test_blended_images_agree(sigma: float, device: str) -> None:
    images = [texture(SIZE, seed=seed) for seed in range(4)]
    slice_index = positions(4)
    order = np.array([3, 1, 0, 2])  # how the images lie there
    lying = np.stack([images[where] for where in np.argsort(order)])
    found = torch_all_in_focus.blend_all_in_focus(
        upload(lying, device),
        upload(slice_index, device),
        upload(order, device),
        transition_sigma=sigma,
    )
    expected = all_in_focus.blend_all_in_focus(images, slice_index, transition_sigma=sigma)
    apart = np.abs(found.cpu().numpy().astype(int) - expected)
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 1e-3


@pytest.mark.parametrize("count", [2, 3, 12, 256])
@pytest.mark.parametrize("kernel", [3, 5])
def test_medians_agree(count: int, kernel: int, device: str) -> None:
    labels = np.random.default_rng(6).integers(0, count, SIZE).astype(np.uint8)
    found = torch_all_in_focus.median_of_labels(upload(labels, device), count, kernel)
    np.testing.assert_array_equal(found.cpu().numpy(), cv2.medianBlur(labels, kernel))


@pytest.mark.parametrize("size", [(2 * SIZE[0], 2 * SIZE[1]), (2 * SIZE[0] - 1, 2 * SIZE[1] - 1)])
def test_enlarged_positions_agree(size: tuple[int, int], device: str) -> None:
    found = torch_all_in_focus.enlarge(upload(positions(9), device), size)
    expected = refinement.enlarge(positions(9), size)
    np.testing.assert_allclose(found.cpu().numpy(), expected, atol=1e-4)


def positions(count: int) -> NDArray[np.float32]:
    """Two surfaces and noise."""
    rng = np.random.default_rng(7)
    slice_index = np.linspace(0.0, 0.4 * count, SIZE[1], dtype=np.float32) * np.ones(SIZE, "f4")
    slice_index[30:60, 20:70] = count - 1.0
    slice_index[:10] = rng.uniform(0.0, count - 1.0, (10, SIZE[1]))
    return slice_index
