"""What the backend `stackmff_v2` promises, with the weights that are shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from streamed import SPEC, stream
from synthetic_sweeps import DIOPTRES, SIZE, texture, true_index, two_surfaces

from focdepth_ros.backends.base import Backend, SweepSpec
from focdepth_ros.backends.registry import choose_backend, create_backend
from focdepth_ros.errors import DeviceError, StackError, WeightsError
from focdepth_ros.models.checkpoint import save_weights
from focdepth_ros.models.stackmff_v2.config import StackMffV2Config
from focdepth_ros.models.stackmff_v2.model import StackMffV2
from focdepth_ros.stack import FocalStack, Slice


@pytest.fixture(scope="module")
def backend() -> Backend:
    return create_backend("stackmff_v2", device="cpu")


def errors_inside(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Away from the border between the surfaces, and from that of the image."""
    middle = SIZE[1] // 2
    kept = np.ones(SIZE, bool)
    kept[:, middle - 6 : middle + 6] = False
    kept[:4], kept[-4:], kept[:, :4], kept[:, -4:] = False, False, False, False
    return np.abs(found - expected)[kept]


def test_two_surfaces_are_told_apart(backend: Backend) -> None:
    estimate = stream(backend, two_surfaces())
    assert estimate.backend == "stackmff_v2"
    errors = errors_inside(estimate.slice_index, true_index())
    assert np.median(errors) < 0.25
    assert np.mean(errors < 0.5) > 0.9
    assert estimate.confidence.dtype == np.float32
    assert 0.0 <= estimate.confidence.min() <= estimate.confidence.max() <= 1.0


def test_the_image_is_sharper_than_every_slice(backend: Backend) -> None:
    slices = two_surfaces()
    estimate = stream(backend, slices)
    assert estimate.all_in_focus is not None
    sharp = texture().astype(float)
    error = np.abs(estimate.all_in_focus - sharp).mean()
    assert error < 0.5 * min(np.abs(item.image - sharp).mean() for item in slices)


@pytest.mark.parametrize("size", [(48, 64), (33, 47), (1, 1)])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_any_size_and_number(backend: Backend, size: tuple[int, int], count: int) -> None:
    slices = two_surfaces(DIOPTRES[:count], size=size)
    estimate = stream(backend, slices, SweepSpec(height=size[0], width=size[1]))
    assert estimate.depth.shape == size
    assert estimate.depth.min() >= 1.0 / DIOPTRES[0] - 1e-4
    assert estimate.depth.max() <= 1.0 / DIOPTRES[count - 1] + 1e-4


def test_far_to_near_is_the_same_depth(backend: Backend) -> None:
    near_first = stream(backend, two_surfaces())
    far_first = stream(backend, two_surfaces()[::-1])
    apart = errors_inside(near_first.slice_index, far_first.slice_index)
    assert np.median(apart) < 0.1


def test_without_distances_it_counts_the_slices(backend: Backend) -> None:
    slices = [Slice(item.image, None) for item in two_surfaces()]
    estimate = backend.estimate(FocalStack(slices))
    assert not estimate.metric
    np.testing.assert_array_equal(estimate.depth, estimate.slice_index)
    assert np.median(errors_inside(estimate.slice_index, true_index())) < 0.25


def test_mono_images(backend: Backend) -> None:
    slices = two_surfaces(mono=True)
    estimate = stream(backend, slices)
    assert np.median(errors_inside(estimate.slice_index, true_index())) < 0.3


def test_one_slice_is_too_few(backend: Backend) -> None:
    accumulator = backend.start(SPEC)
    accumulator.add(two_surfaces()[0])
    with pytest.raises(StackError, match="2"):
        accumulator.finish()


def test_auto_is_another() -> None:
    assert choose_backend() != "stackmff_v2"


def test_weights_of_the_published_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "published.safetensors"
    save_weights(path, StackMffV2(StackMffV2Config()))
    backend = create_backend("stackmff_v2", weights=str(path), device="cpu")
    estimate = stream(backend, two_surfaces())
    assert estimate.warnings == ("these weights tell no confidence: every pixel counts as sure",)
    assert estimate.all_in_focus is not None
    assert estimate.all_in_focus.shape == (*SIZE, 3)


def test_weights_of_another_network(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights 'focdepthformer_tiny' of 'stackmff_v2'"):
        create_backend("stackmff_v2", weights="focdepthformer_tiny")
    path = tmp_path / "guided.safetensors"
    save_weights(path, StackMffV2(StackMffV2Config()))
    with pytest.raises(WeightsError, match="'stackmff_v2', those of a FocDepthFormer are needed"):
        create_backend("focdepthformer", weights=str(path))


def test_nan_is_an_error_of_the_device(tmp_path: Path) -> None:
    backend = create_backend("stackmff_v2", device="cpu")
    with torch.no_grad():
        for parameter in backend._runner.network.onward.parameters():  # type: ignore[attr-defined]
            parameter.fill_(torch.nan)
    with pytest.raises(DeviceError, match="answered NaN"):
        stream(backend, two_surfaces())
