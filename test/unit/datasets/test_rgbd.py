"""Sweeps over photographs with depth."""

from __future__ import annotations

import numpy as np
import pytest

from focdepth_ros.datasets.rgbd import FittedSweep, Photograph
from focdepth_ros.simulation import render_rgbd
from focdepth_ros.simulation.defocus import LARGEST_BLUR, blur_radius


def photograph(nearest: float) -> Photograph:
    """A slope from 1 to 4 m with a speck in front of it."""
    rng = np.random.default_rng(0)
    depth = np.tile(np.linspace(1.0, 4.0, 160).astype(np.float32), (120, 1))
    depth[60:64, 80:84] = nearest
    image = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    return Photograph(image, depth, focal_px=150.0)


def test_a_near_speck_stops_the_lens_down_so_far_that_it_can_be_rendered() -> None:
    usual, scene = FittedSweep().of(photograph(1.0)), photograph(0.05)
    sweep = FittedSweep().of(scene)
    assert sweep.focus_distances == pytest.approx(usual.focus_distances, rel=1e-3)
    assert sweep.lens.f_number > 1.5 * usual.lens.f_number
    most = max(blur_radius(sweep.lens, 1.0 / 0.05, at) for at in sweep.focus_distances)
    assert 0.98 * LARGEST_BLUR < most < LARGEST_BLUR
    found = render_rgbd(
        scene.image, scene.depth, scene.intrinsics(), sweep.lens, sweep.focus_distances[:2]
    )
    assert len(found.stack) == 2
