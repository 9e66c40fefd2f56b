"""Stacks of one slice that is sharp everywhere."""

from __future__ import annotations

import torch
from pattern_photographs import patterns

from focdepth_ros.colour import linear_from_srgb
from focdepth_ros.training.rendering.sensor import PERFECT_SENSOR
from focdepth_ros.training.sources.monocular import MonocularSource
from focdepth_ros.training.sources.rendered import RenderSettings, SimulatedSource


def test_is_the_pinhole_image_and_its_depth() -> None:
    settings = RenderSettings(sensor=PERFECT_SENSOR)
    scenes = SimulatedSource((50, 60), 2, patterns(), settings=settings)
    found = MonocularSource(scenes).batch(torch.Generator().manual_seed(1), 8)
    assert found.images.shape == (2, 1, 3, 50, 60)
    assert found.dioptres.shape == (2, 1)
    _, scene = scenes.draw(torch.Generator().manual_seed(1), 2)
    torch.testing.assert_close(found.inverse_depth[0], scene.inverse_depth)
    light = torch.from_numpy(linear_from_srgb(found.images[0, 0].numpy()))
    expected = scene.view.all_in_focus().clamp(0.0, 1.0)
    torch.testing.assert_close(light, expected, atol=6e-3, rtol=0.0)
    assert found.labels is not None
