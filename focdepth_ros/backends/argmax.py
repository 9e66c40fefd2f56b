"""The plain baseline: each pixel takes the slice in which it is sharpest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.classical.confidence import FocusCurves, noise_floor
from focdepth_ros.classical.focus_answer import answer_from_positions
from focdepth_ros.classical.focus_volume import FocusVolumeBuilder, sharpest_slice
from focdepth_ros.classical.measure_config import FocusMeasureConfig
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.options import option
from focdepth_ros.stack import FloatImage, Slice


@dataclass(frozen=True)
class ArgmaxConfig(FocusMeasureConfig):
    """Settings of the `argmax` backend; each field's description says what it does."""

    owner = "argmax"

    window_sigma: float = option(
        7.0,
        "Sigma of the window over which the focus measure is averaged [px].",
        minimum=0.5,
        maximum=100.0,
    )


class ArgmaxBackend(Backend):
    """Depth of the slice with the largest focus measure around each pixel."""

    name = "argmax"
    summary = "per pixel the sharpest slice; the plain baseline"
    config_class = ArgmaxConfig

    def __init__(self, config: ArgmaxConfig | None = None) -> None:
        self._config = config or ArgmaxConfig()

    def start(self, spec: SweepSpec) -> Accumulator:
        return _ArgmaxAccumulator(spec, self._config)


class _ArgmaxAccumulator(Accumulator):
    def __init__(self, spec: SweepSpec, config: ArgmaxConfig) -> None:
        self._config = config
        self._focus_measure = config.focus_measure()
        self._builder = FocusVolumeBuilder(spec, self._measure)

    def add(self, item: Slice) -> None:
        self._builder.add(item)

    def finish(self) -> DepthEstimate:
        volume = self._builder.volume()
        labels = sharpest_slice(volume.energy)
        slice_index = labels.astype(np.float32)
        # The position stays that of the slice; only whether it was ever in focus is asked for.
        log_energy, _, overshoot = volume.refine_peak(labels, noise_floor(volume.energy))
        return answer_from_positions(
            volume,
            FocusCurves(log_energy, slice_index, slice_index, overshoot),
            volume.sample_all_in_focus(slice_index),
            backend=ArgmaxBackend.name,
            timings={},
        )

    def _measure(self, item: Slice) -> FloatImage:
        return self._focus_measure(
            item.image, window_sigma=self._config.window_sigma, valid_mask=item.valid_mask
        )
