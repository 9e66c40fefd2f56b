"""What runs on torch answers as NumPy and OpenCV do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from synthetic_sweeps import texture

from focdepth_ros.classical import refinement, torch_focus
from focdepth_ros.classical.focus_operators import create_focus_measure, focus_measure_names
from focdepth_ros.classical.torch_focus import TorchFocusMeasure, download, upload
from focdepth_ros.stack import FloatImage, ImageArray

SIZE = (61, 83)
OPERATORS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in focus_measure_names()),
    ("log", {"sigma": 0.0, "gaussian_size": 5, "laplacian_size": 5}),
    ("modified_laplacian", {"sigma": 0.0, "step": 3}),
    ("tenengrad", {"sigma": 0.0}),
    ("wavelet", {"finest": 1, "levels": 3}),
]


def agree(found: torch.Tensor, expected: NDArray[Any], rtol: float = 1e-3) -> None:
    assert tuple(found.shape) == expected.shape
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=rtol, atol=1e-3)


def measured(
    name: str,
    options: dict[str, Any],
    device: str,
    image: ImageArray,
    valid_mask: NDArray[np.bool_] | None = None,
    *,
    window_sigma: float = 3.0,
    reduction: int = 1,
) -> tuple[torch.Tensor, FloatImage]:
    """The measure by torch and by OpenCV."""
    operator = create_focus_measure(name, **options)
    measure = TorchFocusMeasure(operator, device, window_sigma=window_sigma, reduction=reduction)
    mask = None if valid_mask is None else upload(valid_mask, device)
    expected = operator(
        image, window_sigma=window_sigma, reduction=reduction, valid_mask=valid_mask
    )
    return measure(upload(image, device), mask), expected


@pytest.mark.parametrize(("name", "options"), OPERATORS)
@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_measures_agree(name: str, options: dict[str, Any], reduction: int, device: str) -> None:
    agree(*measured(name, options, device, texture(SIZE), reduction=reduction))


@pytest.mark.parametrize("size", [(60, 80), (2, 5), (1, 1), (1, 9), (7, 300)])
@pytest.mark.parametrize("mono", [False, True])
def test_measures_agree_at_any_size(size: tuple[int, int], mono: bool, device: str) -> None:
    agree(*measured("wavelet", {}, device, texture(size, mono=mono), reduction=2))


@pytest.mark.parametrize("window_sigma", [0.5, 1.5, 20.0])
def test_measures_agree_in_any_window(window_sigma: float, device: str) -> None:
    agree(*measured("log", {}, device, texture(SIZE), window_sigma=window_sigma, reduction=2))


def test_a_bright_image_without_texture_has_no_energy(device: str) -> None:
    """The kernels' weights sum to nothing also in the numbers that a GPU multiplies in."""
    found, _ = measured("log", {}, device, np.full(SIZE, 255, np.uint8))
    assert float(found.abs().max()) < 1e-6


@pytest.mark.parametrize(("name", "options"), OPERATORS)
@pytest.mark.parametrize("reduction", [1, 2])
def test_masked_measures_agree(
    name: str, options: dict[str, Any], reduction: int, device: str
) -> None:
    size = (96, 120)
    valid = np.zeros(size, np.bool_)
    valid[10:, :101] = True
    valid[50, 50] = False
    found, expected = measured(name, options, device, texture(size), valid, reduction=reduction)
    assert 0 < np.isnan(expected).sum() < expected.size
    agree(found, expected)


def test_products_are_exact_in_the_numbers_of_a_gpu() -> None:
    values = torch.randn(1000) * 300.0
    high, low = torch_focus.split(values)
    assert torch.equal(high + low, values)
    assert not (high.view(torch.int32) & 0x1FFF).any()  # the bits that TF32 does not have
    assert (low.abs() <= 2.0**-10 * values.abs()).all()


@pytest.mark.parametrize(
    "positions",
    [np.array([2.5, 2.2, 1.6, 1.0, 0.9, 0.0]), np.arange(6.0), np.arange(2.0), np.arange(3.0)],
    ids=str,
)
def test_peaks_agree(positions: NDArray[np.float64], device: str) -> None:
    rng = np.random.default_rng(4)
    log_energy = rng.standard_normal((len(positions), *SIZE), np.float32)
    log_energy[:, :20] = np.sort(log_energy[:, :20], axis=0)  # rising to the end
    log_energy[:, 20:22] = 1.0
    labels = log_energy.argmax(axis=0)
    labels[40:] = rng.integers(0, len(positions), labels[40:].shape)
    found = torch_focus.refine_peak(upload(log_energy, device), upload(labels, device), positions)
    expected = refinement.refine_peak(log_energy, labels, positions)
    for on_torch, on_numpy in zip(found, expected, strict=True):
        agree(on_torch, on_numpy)
    if len(positions) > 3:
        assert np.isinf(expected[1]).any()


def test_what_is_uploaded_may_change(device: str) -> None:
    array = np.arange(6, dtype=np.uint8)
    uploaded = upload(array, device)
    array[:] = 0
    np.testing.assert_array_equal(uploaded.cpu().numpy(), np.arange(6))


def test_what_is_downloaded_is_what_was_there_whatever_its_layout(device: str) -> None:
    numbers = torch.arange(24, device=device).reshape(2, 3, 4)
    found = download(
        numbers, None, numbers.permute(2, 0, 1), numbers[:, 1:, ::2], numbers.sum() > 0
    )
    numbers.zero_()
    expected = np.arange(24).reshape(2, 3, 4)
    if device == "cpu":
        expected = np.zeros_like(expected)  # its memory is that of the tensor
    whole, nothing, turned, part, flag = found
    assert nothing is None
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(turned, expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(part, expected[:, 1:, ::2])
    assert flag


def test_read_only_images_are_uploaded(device: str) -> None:
    array = np.frombuffer(bytes(range(6)), np.uint8)
    np.testing.assert_array_equal(upload(array, device).cpu().numpy(), array)
