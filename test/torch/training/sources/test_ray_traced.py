"""Training data from ray-traced rooms, of which some are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation import Part, Scene, random_scene
from focdepth_ros.simulation.primitives import Rectangle
from focdepth_ros.training.rendering.random_layers import SurfaceClass
from focdepth_ros.training.rendering.sensor import PERFECT_SENSOR
from focdepth_ros.training.sources import ray_traced as ray_traced_source
from focdepth_ros.training.sources.ray_traced import RayTracedSource, part_labels
from focdepth_ros.training.sources.rendered import RenderSettings

SIZE = (48, 64)


def source(**options) -> RayTracedSource:
    settings = RenderSettings(sensor=PERFECT_SENSOR)
    return RayTracedSource(SIZE, 1, settings=settings, **options)


def test_batches_are_the_same_for_the_same_generator() -> None:
    one, same = (source().batch(torch.Generator().manual_seed(3), 4) for _ in range(2))
    assert one.images.shape == (1, 4, 3, *SIZE)
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.inverse_depth, same.inverse_depth)
    assert one.labels is not None
    known = {SurfaceClass.PLANE, SurfaceClass.SOLID, SurfaceClass.THIN}
    assert set(one.labels.unique().tolist()) <= known


@pytest.mark.parametrize("seed", [2, 18, 42])  # floors seen from near
def test_all_that_is_seen_is_within_the_range_of_the_sweep(seed: int) -> None:
    made = source()
    sweep, scene = made.draw(torch.Generator().manual_seed(seed), 4)
    low, high = sweep.scene
    # Too narrow a range is widened.
    assert low <= float(scene.inverse_depth.min()) < float(scene.inverse_depth.max()) <= high
    for dioptre in (scene.view.front_dioptre, scene.view.back_dioptre):
        assert low <= float(dioptre.min())
        assert float(dioptre.max()) <= high
    focus = sweep.dioptres
    beyond = made.settings.sweep.beyond[1] * (high - low)
    assert float(focus.max()) > high - beyond - 1e-6


def test_the_truth_is_that_of_the_view() -> None:
    _, scene = source().draw(torch.Generator().manual_seed(1), 4)
    close = (scene.inverse_depth - scene.view.inverse_depth()).abs() < 0.05
    assert float(close.float().mean()) > 0.95


def test_only_the_given_seeds_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = set()

    def recorded(seed: int, **options: Any) -> Scene:
        shown.add(seed)
        wall = Rectangle((0.0, 0.0, options["far"]), (np.inf, np.inf))
        return Scene((Part(wall, np.ones(3, np.float32)),), options["intrinsics"])

    monkeypatch.setattr(ray_traced_source, "random_scene", recorded)
    made, generator = source(seeds=range(7, 9)), torch.Generator().manual_seed(0)
    for _ in range(6):
        made.draw(generator, 2)
    assert shown == {7, 8}


def test_the_last_seeds_before_the_validation_may_be_shown() -> None:
    source(seeds=range(890, 900))


@pytest.mark.parametrize("seeds", [range(890, 901), range(1000, 1010), range(0), range(-3, 5)])
def test_held_out_seeds_are_refused(seeds: range) -> None:
    with pytest.raises(OptionError, match="held out"):
        source(seeds=seeds)


def test_every_part_has_a_label() -> None:
    room = random_scene(4, photographs=())
    labels = part_labels(room)
    assert len(labels) == len(room.parts) + 1
    assert labels[-1] == -1
    assert np.isin(labels[:-1], [int(label) for label in SurfaceClass]).all()
    assert labels[0] == SurfaceClass.PLANE
