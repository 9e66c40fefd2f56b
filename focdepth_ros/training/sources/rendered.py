"""Training data rendered on the fly: a random sweep through something, made into a stack."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from focdepth_ros.errors import OptionError
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.rendering.focus_sweeps import FocusSweep, SweepConfig, random_sweep
from focdepth_ros.training.rendering.layered_tensors import LayeredScene, without_margin
from focdepth_ros.training.rendering.photographs import Photographs
from focdepth_ros.training.rendering.random_layers import LayerConfig, random_layers
from focdepth_ros.training.rendering.sensor import SensorConfig, SensorModel
from focdepth_ros.training.rendering.torch_defocus import TorchDefocusRenderer
from focdepth_ros.training.sources.base import TrainingSource

_SENSOR_MARGIN = 8  # px that moved slices look into


@dataclass(frozen=True)
class RenderSettings:
    """How stacks are rendered on the fly.

    Parameters
    ----------
    sweep : SweepConfig
    sensor : SensorConfig
    bin_step, radius_step : float
        Pixels; see `TorchDefocusRenderer`. The defaults are twice as fast as the reference and
        differ from it by less than the noise of a sensor.
    device : str
        Where to render, and where batches end up.
    """

    sweep: SweepConfig = field(default_factory=SweepConfig)
    sensor: SensorConfig = field(default_factory=SensorConfig)
    bin_step: float = 1.0
    radius_step: float = 0.125
    device: str = "cpu"


class RenderedSource(TrainingSource):
    """Renders what `draw` has drawn.

    Parameters
    ----------
    size : (int, int)
        Height and width of the images.
    batch_size : int
    settings : RenderSettings, optional

    Raises
    ------
    OptionError
        If a size is not above 0.
    """

    def __init__(
        self, size: tuple[int, int], batch_size: int, settings: RenderSettings | None = None
    ) -> None:
        if min(*size, batch_size) < 1:
            raise OptionError(f"{batch_size} images of {size} px; give numbers above 0")
        self.size = size
        self.batch_size = batch_size
        self.settings = settings or RenderSettings()

    @abstractmethod
    def draw(self, generator: torch.Generator, slices: int) -> tuple[FocusSweep, LayeredScene]:
        """A random sweep and what it goes through, on the device of the settings.

        The view has the margin that `margin` gives for the sweep.
        """

    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        """Stacks of so many slices."""
        stacks = [self._stack(generator, slices) for _ in range(self.batch_size)]
        images, dioptres, truths, labels = zip(*stacks, strict=True)
        known = all(item is not None for item in labels)
        return TrainingBatch(
            torch.stack(images),
            torch.stack(dioptres).float().to(self.settings.device),
            torch.stack(truths),
            torch.stack(labels) if known else None,
        )

    def margin(self, sweep: FocusSweep) -> int:
        """Pixels on every side that a view must have."""
        return sweep.margin + _SENSOR_MARGIN

    def _stack(
        self, generator: torch.Generator, slices: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        sweep, scene = self.draw(generator, slices)
        settings = self.settings
        renderer = TorchDefocusRenderer(
            scene.view,
            sweep.lens,
            sweep.focus_distances,
            psf=sweep.psf,
            bin_step=settings.bin_step,
            radius_step=settings.radius_step,
        )
        light = torch.stack(
            [without_margin(renderer.render(z), sweep.margin) for z in sweep.focus_distances]
        )
        images = SensorModel(settings.sensor).record(
            light, sweep.dioptres, generator, margin=_SENSOR_MARGIN
        )
        return images, sweep.dioptres, scene.inverse_depth, scene.labels


class SimulatedSource(RenderedSource):
    """Sweeps through random layers covered with photographs; see `random_layers`.

    Parameters
    ----------
    size : (int, int)
        Height and width of the images.
    batch_size : int
    photographs : Photographs
        On the device of the settings.
    layers : LayerConfig, optional
    settings : RenderSettings, optional

    Raises
    ------
    OptionError
        If a size is not above 0, or the photographs are on another device.
    """

    def __init__(
        self,
        size: tuple[int, int],
        batch_size: int,
        photographs: Photographs,
        *,
        layers: LayerConfig | None = None,
        settings: RenderSettings | None = None,
    ) -> None:
        super().__init__(size, batch_size, settings)
        if photographs.device != self.settings.device:
            raise OptionError(
                f"photographs are on '{photographs.device}', to be rendered on "
                f"'{self.settings.device}'; load them there"
            )
        self._photographs = photographs
        self._layers = layers or LayerConfig()

    def draw(self, generator: torch.Generator, slices: int) -> tuple[FocusSweep, LayeredScene]:
        """A sweep and random layers within its range."""
        sweep = random_sweep(generator, self.settings.sweep, slices)
        scene = random_layers(
            generator,
            self._photographs,
            self.size,
            dioptres=sweep.scene,
            margin=self.margin(sweep),
            config=self._layers,
        )
        return sweep, scene
