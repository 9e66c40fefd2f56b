"""Pre-training on single sharp images, before focus is learnt."""

from __future__ import annotations

import torch

from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.rendering.sensor import SensorModel
from focdepth_ros.training.sources.base import TrainingSource
from focdepth_ros.training.sources.rendered import RenderedSource

_FEWEST_SLICES = 2  # of the sweeps that are drawn, though nothing is rendered of them


class MonocularSource(TrainingSource):
    """Stacks of one slice that is in focus everywhere, with its inverse depth.

    There is no focus to tell the scale from, and the loss does not ask for it. The inverse
    focus distance is given as 0.

    Parameters
    ----------
    source : RenderedSource
        Whose scenes are shown.
    """

    def __init__(self, source: RenderedSource) -> None:
        self._source = source
        self._sensor = SensorModel(source.settings.sensor)

    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        """Stacks of one slice, however many are asked for."""
        images, truths, labels = [], [], []
        for _ in range(self._source.batch_size):
            _, scene = self._source.draw(generator, _FEWEST_SLICES)
            light = scene.view.all_in_focus()[None].clone()
            images.append(self._sensor.record(light, torch.zeros(1), generator))
            truths.append(scene.inverse_depth)
            if scene.labels is not None:
                labels.append(scene.labels)
        stacked = torch.stack(images)
        return TrainingBatch(
            stacked,
            torch.zeros(stacked.shape[:2], device=stacked.device),
            torch.stack(truths),
            torch.stack(labels) if labels else None,
        )
