"""The plain baseline: each pixel takes the slice in which it is sharpest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.classical.confidence import (
    ARGMAX_CONFIDENCE,
    FocusCurves,
    focus_confidence,
    noise_floor,
)
from focdepth_ros.classical.focus_answer import answer_from_positions
from focdepth_ros.classical.focus_volume import FocusVolume, FocusVolumeBuilder, sharpest_slice
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

    def start(self, spec: SweepSpec) -> ArgmaxAccumulator:
        return ArgmaxAccumulator(spec, self._config)


class ArgmaxAccumulator(Accumulator):
    """A sweep on its way through the `argmax` backend."""

    def __init__(self, spec: SweepSpec, config: ArgmaxConfig) -> None:
        self._config = config
        self._focus_measure = config.focus_measure()
        self._builder = FocusVolumeBuilder(spec, self._measure)

    def add(self, item: Slice) -> None:
        self._builder.add(item)

    def finish(self) -> DepthEstimate:
        volume = self._builder.volume()
        if not volume.depth:
            sharpest = sharpest_slice(volume.energy).astype(np.float32)
            picture = volume.sample_all_in_focus(sharpest)
            return DepthEstimate.of_picture(
                picture, sharpest, backend=ArgmaxBackend.name, metric=volume.metric, timings={}
            )
        curves = self._curves(volume)
        picture = volume.sample_all_in_focus(curves.slice_index)
        return answer_from_positions(
            volume,
            curves.slice_index,
            focus_confidence(curves, ARGMAX_CONFIDENCE),
            picture,
            picture,
            backend=ArgmaxBackend.name,
            timings={},
        )

    def focus_curves(self) -> FocusCurves:
        """What `finish` takes its answer from: for calibrating the confidence."""
        return self._curves(self._builder.volume())

    def _curves(self, volume: FocusVolume) -> FocusCurves:
        labels = sharpest_slice(volume.energy)
        # The position stays that of the slice; only whether it was ever in focus is asked for,
        # and whether it was noise that chose another slice than the neighbours have.
        log_energy, _, overshoot = volume.refine_peak(labels, noise_floor(volume.energy))
        slice_index = labels.astype(np.float32)
        around = np.asarray(cv2.medianBlur(slice_index, 5), np.float32)
        return FocusCurves(log_energy, slice_index, around, overshoot)

    def _measure(self, item: Slice) -> FloatImage:
        return self._focus_measure(
            item.image, window_sigma=self._config.window_sigma, valid_mask=item.valid_mask
        )
