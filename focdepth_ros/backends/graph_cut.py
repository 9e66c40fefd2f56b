"""Depth from focus with a graph cut: the backend for machines without a GPU."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.classical.confidence import FocusCurves, noise_floor
from focdepth_ros.classical.focus_answer import answer_from_positions
from focdepth_ros.classical.focus_operators import LaplacianOfGaussian
from focdepth_ros.classical.focus_volume import FocusVolume, FocusVolumeBuilder
from focdepth_ros.classical.graph_cut import alpha_expansion, library_missing_because
from focdepth_ros.classical.refinement import refine_peak, smooth_surfaces
from focdepth_ros.errors import OptionError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.stack import FloatImage, Slice

# The focus measure is averaged over several pixels, so half the resolution holds all of it.
_REDUCTION = 2


@dataclass(frozen=True)
class GraphCutConfig:
    """Settings of the `graph_cut` backend.

    Parameters
    ----------
    sigma : float
        Of the Gaussian before the Laplacian, in pixels.
    window_sigma : float
        Of the window over which the focus measure is averaged, in pixels.
    smoothness : float
        Cost of a step of one slice between neighbours, against the log of the focus measure.
    truncation : int
        Number of slices beyond which a larger step costs no more, so that edges stay sharp.
    cut_pixels : int
        The cut runs on a grid of about this many pixels; the result is refined beyond it.
    max_cycles : int
        How often at most the cut tries every slice.

    Raises
    ------
    OptionError
        If one of them is out of range.
    """

    sigma: float = 1.0
    window_sigma: float = 3.0
    smoothness: float = 0.3
    truncation: int = 6
    cut_pixels: int = 20_000
    max_cycles: int = 4

    def __post_init__(self) -> None:
        for name, low, high in (
            ("sigma", 0.1, 100.0),
            ("window_sigma", 0.5, 100.0),
            ("smoothness", 0.0, 100.0),
            ("truncation", 1, 255),
            ("cut_pixels", 16, 100_000_000),
            ("max_cycles", 1, 100),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"graph_cut option {name}={value} is not in [{low}, {high}]")
            if isinstance(low, int) and not isinstance(value, int):
                raise OptionError(f"graph_cut option {name}={value} is not a whole number")


class GraphCutBackend(Backend):
    """Sharpest slice per pixel, made consistent between neighbours by a graph cut.

    The cost of a slice is how far the log of its focus measure, on top of the noise floor, lies
    below the pixel's best: next to nothing where there is no texture, so that the neighbours
    decide there. |difference of slices|, truncated, is the cost between neighbours.
    """

    name = "graph_cut"
    summary = "depth from focus, regularised by a graph cut; runs on any CPU"
    config_class = GraphCutConfig

    def __init__(self, config: GraphCutConfig | None = None) -> None:
        self._config = config or GraphCutConfig()
        self._operator = LaplacianOfGaussian(self._config.sigma)
        # Overlapping sweeps (a sliding window) share slices; each is measured once.
        self._measured: WeakKeyDictionary[Slice, FloatImage] = WeakKeyDictionary()

    @classmethod
    def unusable_because(cls) -> str | None:
        return library_missing_because()

    def start(self, spec: SweepSpec) -> GraphCutAccumulator:
        return GraphCutAccumulator(FocusVolumeBuilder(spec, self._measure), self._config)

    def _measure(self, item: Slice) -> FloatImage:
        energy = self._measured.get(item)
        if energy is None:
            energy = self._operator(
                item.image,
                window_sigma=self._config.window_sigma,
                reduction=_REDUCTION,
                valid_mask=item.valid_mask,
            )
            self._measured[item] = energy
        return energy


class GraphCutAccumulator(Accumulator):
    """A sweep on its way through the `graph_cut` backend."""

    def __init__(self, builder: FocusVolumeBuilder, config: GraphCutConfig) -> None:
        self._builder = builder
        self._config = config

    def add(self, item: Slice) -> None:
        self._builder.add(item)

    def finish(self) -> DepthEstimate:
        started = time.perf_counter()
        volume = self._builder.volume()
        curves = self._solve(volume)
        return answer_from_positions(
            volume,
            curves,
            backend=GraphCutBackend.name,
            timings={"positions": time.perf_counter() - started},
        )

    def focus_curves(self) -> FocusCurves:
        """What `finish` takes its answer from: for calibrating the confidence."""
        return self._solve(self._builder.volume())

    def _solve(self, volume: FocusVolume) -> FocusCurves:
        floor = np.float32(noise_floor(volume.energy))
        labels = self._cut(volume.energy, floor)
        log_energy = np.log(volume.energy + floor)
        single_index, overshoot = refine_peak(log_energy, labels, volume.positions)
        return FocusCurves(log_energy, smooth_surfaces(single_index), single_index, overshoot)

    def _cut(self, energy: NDArray[np.float32], floor: np.float32) -> NDArray[np.uint8]:
        """Labels (h, w) of the energy (N, h, w), cut on a coarser grid."""
        count, height, width = energy.shape
        factor = max(1, math.ceil(math.sqrt(height * width / self._config.cut_pixels)))
        size = (max(1, width // factor), max(1, height // factor))
        unary = np.empty((count, size[1], size[0]), dtype=np.float32)
        for layer, target in zip(energy, unary, strict=True):
            cv2.resize(layer, size, dst=target, interpolation=cv2.INTER_AREA)
        unary += floor
        np.negative(np.log(unary, out=unary), out=unary)
        unary -= unary.min(axis=0)
        weight = np.full(unary.shape[1:], self._config.smoothness, dtype=np.float32)
        labels, _ = alpha_expansion(
            unary,
            weight,
            weight,
            truncation=self._config.truncation,
            max_cycles=self._config.max_cycles,
        )
        enlarged = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(enlarged, dtype=np.uint8)
