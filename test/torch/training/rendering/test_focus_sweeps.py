"""Random sweeps keep to the ranges that they are drawn from."""

from __future__ import annotations

import math

import pytest
import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.optics import circle_of_confusion
from focdepth_ros.training.rendering.focus_sweeps import SweepConfig, random_sweep, sweep_through


def sweeps(config: SweepConfig, slices: int = 7, count: int = 100):
    generator = torch.Generator().manual_seed(2)
    return [random_sweep(generator, config, slices) for _ in range(count)]


def test_ranges_are_honoured() -> None:
    config = SweepConfig()
    found = sweeps(config)
    for sweep in found:
        low, high = sweep.scene
        assert config.near[0] <= 1.0 / high <= config.near[1] + 1e-9
        assert low == 0.0 or 1.99 < high / low < 20.01
        near, far = max(sweep.dioptres.tolist()), min(sweep.dioptres.tolist())
        assert len(set(sweep.focus_distances)) == 7
        assert far >= 0.0
        span = high - low
        assert -0.061 * span < near - high + 1e-9 < 0.121 * span
        assert far == 0.0 or -0.121 * span < far - low < 0.061 * span
        far_focus = math.inf if far == 0.0 else 1.0 / far
        blur = float(circle_of_confusion(sweep.lens, 1.0 / near, far_focus))
        assert config.blur[0] * 0.99 < blur < config.blur[1] * 1.2
    assert any(sweep.scene[0] == 0.0 for sweep in found)
    assert {sweep.psf for sweep in found} == {"disc", "gaussian"}


def test_both_orders_occur_and_are_monotonous() -> None:
    falling = 0
    for sweep in sweeps(SweepConfig()):
        steps = sweep.dioptres.diff()
        assert bool((steps < 0).all() or (steps > 0).all())
        falling += bool((steps < 0).all())
    assert 30 < falling < 70


def test_spacing_is_even_in_dioptres_unless_asked_otherwise() -> None:
    even = sweeps(SweepConfig(jittered=0.0, uneven=0.0), count=5)
    assert all(float(s.dioptres.diff().std() / s.dioptres.diff().mean()) < 1e-6 for s in even)
    for config in (SweepConfig(jittered=1.0, uneven=0.0), SweepConfig(jittered=0.0, uneven=1.0)):
        steps = torch.stack([sweep.dioptres.diff().abs() for sweep in sweeps(config, count=20)])
        assert float((steps.std(dim=1) / steps.mean(dim=1)).mean()) > 0.05


def test_the_margin_holds_the_largest_blur() -> None:
    for sweep in sweeps(SweepConfig(), count=20):
        blurs = [
            float(circle_of_confusion(sweep.lens, 1.0 / dioptre if dioptre else math.inf, focus))
            for dioptre in sweep.scene
            for focus in sweep.focus_distances
        ]
        assert 0.5 * max(blurs) < sweep.margin < 0.5 * max(blurs) + 4.0


def test_a_flat_scene_gets_a_sweep_around_it() -> None:
    sweep = sweep_through(torch.Generator(), SweepConfig(beyond=(0.0, 0.0)), (1.0, 1.0), 4)
    assert min(sweep.focus_distances) < 1.0 < max(sweep.focus_distances)


def test_the_same_generator_gives_the_same_sweep() -> None:
    assert sweeps(SweepConfig(), count=3) == sweeps(SweepConfig(), count=3)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(OptionError, match="1 slices were asked for"):
        random_sweep(torch.Generator(), SweepConfig(), 1)
    with pytest.raises(OptionError, match="add up to more than 1"):
        SweepConfig(jittered=0.7, uneven=0.7)
    with pytest.raises(OptionError, match="'blur' goes from 9 to 3"):
        SweepConfig(blur=(9, 3))
