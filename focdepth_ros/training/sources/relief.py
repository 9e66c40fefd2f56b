"""Training data from photographs without depth: one is made up that goes with their edges."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.defocus import SEPARATE_BLUR, blur_per_dioptre
from focdepth_ros.simulation.rgbd import layered_view_from_rgbd
from focdepth_ros.stack import ImageArray
from focdepth_ros.training.randomness import Range, chance, choice, integer, log_uniform
from focdepth_ros.training.rendering.focus_sweeps import FocusSweep, random_sweep
from focdepth_ros.training.rendering.layered_tensors import LayeredScene, layered_tensors
from focdepth_ros.training.rendering.random_relief import ReliefConfig, random_relief
from focdepth_ros.training.sources.rendered import RenderedSource, RenderSettings

_ZOOM: Range = (0.8, 2.0)  # pixels of the photograph per pixel, where there are enough


class ReliefSource(RenderedSource):
    """Sweeps through photographs with `random_relief`.

    Parameters
    ----------
    size : (int, int)
        Height and width of the images.
    batch_size : int
    photographs : sequence of (H, W, 3) uint8
    relief : ReliefConfig, optional
    settings : RenderSettings, optional

    Raises
    ------
    OptionError
        If a size is not above 0, or there is no photograph: patterns have no edges of things.
    """

    def __init__(
        self,
        size: tuple[int, int],
        batch_size: int,
        photographs: Sequence[ImageArray],
        *,
        relief: ReliefConfig | None = None,
        settings: RenderSettings | None = None,
    ) -> None:
        super().__init__(size, batch_size, settings)
        if not photographs:
            raise OptionError("reliefs need photographs; give a folder of them")
        self._photographs = tuple(photographs)
        self._relief = relief or ReliefConfig()

    def draw(self, generator: torch.Generator, slices: int) -> tuple[FocusSweep, LayeredScene]:
        """A sweep, and a photograph within its range."""
        sweep = random_sweep(generator, self.settings.sweep, slices)
        image = self._crop(generator)
        low, high = sweep.scene
        relief = random_relief(generator, image, self._relief)
        dioptre = np.asarray(low + (high - low) * relief, dtype=np.float32)
        with np.errstate(divide="ignore"):
            depth = 1.0 / dioptre
        view = layered_view_from_rgbd(
            image,
            depth,
            margin=self.margin(sweep),
            reach=sweep.margin,
            gap=SEPARATE_BLUR / blur_per_dioptre(sweep.lens, sweep.focus_distances),
        )
        device = self.settings.device
        truth = torch.from_numpy(dioptre).to(device)
        return sweep, LayeredScene(layered_tensors(view, device), truth)

    def _crop(self, generator: torch.Generator) -> ImageArray:
        """A part of a photograph, scaled and perhaps mirrored."""
        photograph = choice(generator, self._photographs)
        height, width = self.size
        most = min(photograph.shape[0] / height, photograph.shape[1] / width)
        zoom = min(log_uniform(generator, _ZOOM), most)
        part = (max(int(height * zoom), 1), max(int(width * zoom), 1))
        top = integer(generator, 0, photograph.shape[0] - part[0])
        left = integer(generator, 0, photograph.shape[1] - part[1])
        how = cv2.INTER_AREA if zoom > 1.0 else cv2.INTER_CUBIC
        crop = photograph[top : top + part[0], left : left + part[1]]
        image = np.asarray(cv2.resize(crop, (width, height), interpolation=how))
        return np.ascontiguousarray(image[:, ::-1] if chance(generator, 0.5) else image)
