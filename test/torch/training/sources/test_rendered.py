"""Stacks rendered on the fly: what they promise, and truth that goes with the pictures."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from pattern_photographs import patterns
from torch import Tensor

from focdepth_ros.errors import OptionError
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.rendering.focus_sweeps import SweepConfig
from focdepth_ros.training.rendering.random_layers import LayerConfig
from focdepth_ros.training.rendering.sensor import PERFECT_SENSOR
from focdepth_ros.training.sources.rendered import RenderSettings, SimulatedSource

SIZE = (64, 80)


def source(device: str = "cpu", batch_size: int = 2, **settings) -> SimulatedSource:
    layers = LayerConfig(solids=(1, 4), thin=(0, 1), textureless=0.0, faint=0.0, reflective=0.0)
    return SimulatedSource(
        SIZE,
        batch_size,
        patterns(device),
        layers=layers,
        settings=RenderSettings(device=device, **settings),
    )


def batch(made: SimulatedSource, seed: int = 0, slices: int = 5) -> TrainingBatch:
    return made.batch(torch.Generator().manual_seed(seed), slices)


def sharpest(images: Tensor) -> Tensor:
    """Number of the slice with the most detail at every pixel, (H, W)."""
    grey = images.float().mean(dim=1, keepdim=True)
    detail = F.conv2d(grey, torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]]), padding=1)
    return F.avg_pool2d(detail**2, 7, stride=1, padding=3)[:, 0].argmax(dim=0)


@pytest.mark.parametrize("slices", [2, 9])
def test_batches_are_what_training_expects(slices: int, device: str) -> None:
    found = batch(source(device), slices=slices)
    assert found.images.shape == (2, slices, 3, *SIZE)
    assert found.images.dtype == torch.uint8
    assert found.dioptres.shape == (2, slices)
    assert found.dioptres.dtype == found.inverse_depth.dtype == torch.float32
    assert found.inverse_depth.shape == found.labels.shape == (2, *SIZE)
    assert found.labels.dtype == torch.int64
    assert {item.device.type for item in (found.images, found.dioptres, found.labels)} == {device}


def test_the_slice_that_is_in_focus_is_the_sharpest() -> None:
    settings = {
        "sensor": PERFECT_SENSOR,
        "sweep": SweepConfig(blur=(14.0, 20.0), range_ratio=(4.0, 8.0), beyond=(-0.02, 0.0)),
    }
    made = source(batch_size=1, **settings)
    errors = []
    for seed in range(4):
        found = batch(made, seed, slices=6)
        answer = found.dioptres[0][sharpest(found.images[0])]
        step = (found.dioptres[0].max() - found.dioptres[0].min()) / 5.0
        errors.append((answer - found.inverse_depth[0]).abs() / step)
    assert float(torch.stack(errors).median()) < 0.6


def test_the_same_generator_gives_the_same_batch(device: str) -> None:
    one, same, other = (batch(source(device), seed) for seed in (3, 3, 4))
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.dioptres, same.dioptres)
    assert torch.equal(one.inverse_depth, same.inverse_depth)
    assert not torch.equal(one.images, other.images)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(OptionError, match="0 images of"):
        SimulatedSource(SIZE, 0, patterns())
    with pytest.raises(OptionError, match="photographs are on 'cpu'"):
        SimulatedSource(SIZE, 1, patterns(), settings=RenderSettings(device="cuda"))
    with pytest.raises(OptionError, match="1 slices"):
        batch(source(), slices=1)
