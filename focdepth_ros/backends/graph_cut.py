"""Depth from focus with a graph cut: the backend for machines without a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.classical.all_in_focus import sharpest_positions
from focdepth_ros.classical.confidence import (
    GRAPH_CUT_CONFIDENCE,
    FocusCurves,
    focus_confidence,
    noise_floor,
    peak_contrast,
)
from focdepth_ros.classical.energy_terms import (
    edge_aware_weights,
    inverse_unary,
    log_unary,
    sweep_density,
)
from focdepth_ros.classical.focus_answer import answer_from_positions
from focdepth_ros.classical.focus_volume import FocusVolume, FocusVolumeBuilder
from focdepth_ros.classical.graph_cut import (
    MAX_LABELS,
    alpha_expansion,
    cut_fast,
    library_missing_because,
)
from focdepth_ros.classical.guide_image import guide_image
from focdepth_ros.classical.measure_config import FocusMeasureConfig
from focdepth_ros.classical.refinement import enlarge, smooth_surfaces
from focdepth_ros.classical.weighted_median import weighted_median
from focdepth_ros.errors import OptionError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.options import option
from focdepth_ros.stack import FloatImage, ImageArray, Slice
from focdepth_ros.torch_device import choose_device, device_failures_named

if TYPE_CHECKING:
    from focdepth_ros.classical.torch_focus_volume import TorchFocusVolumeBuilder

# The focus measure is averaged over several pixels, so half the resolution holds all of it.
_REDUCTION = 2
_CUT_REDUCTION = 2  # on top of it
_MAX_CACHED_PIXELS = 1_000_000  # of a slice's focus measure; larger ones are not held twice
_FULL_WEIGHT_CONTRAST = 0.8  # of the log focus measure; clearer peaks weigh no more
_LEAST_WEIGHT = 0.02


@dataclass(frozen=True)
class GraphCutConfig(FocusMeasureConfig):
    """Settings of the `graph_cut` backend; each field's description says what it does."""

    owner = "graph_cut"

    unary: str = option(
        "log",
        "Cost of a slice: how far the log of its focus measure lies below the pixel's best, or "
        "the inverse focus measure of the classic pipelines.",
        choices=("log", "inverse"),
    )
    unary_scale: float = option(
        1.0, "Factor on the cost of a slice.", minimum=0.0, maximum=10_000.0
    )
    pair_scale: float = option(
        3.2,
        "Cost of a step of one slice between neighbouring pixels of the image, in a sweep of 10; "
        "it falls with the root of their number.",
        minimum=0.0,
        maximum=10_000.0,
    )
    truncation: int = option(
        6,
        "Slices beyond which a larger step costs no more, so that edges stay sharp, in a sweep "
        "of 10; it grows with the root of their number.",
        minimum=1,
        maximum=255,
    )
    edge_contrast: float = option(
        5.0,
        "Difference in the picture [grey levels] over which a step costs a third; 0: a step "
        "costs the same everywhere.",
        minimum=0.0,
        maximum=255.0,
    )
    solver: str = option(
        "fast",
        "How the cut is done: coarse to fine on a grid of a quarter of the resolution, or by "
        "alpha-expansion over all pixels of the image, which takes seconds.",
        choices=("fast", "exact"),
    )
    max_cycles: int = option(
        4, "How often at most the exact cut tries every slice.", minimum=1, maximum=100
    )
    sub_slice: bool = option(
        True, "Look for positions between the slices, and smooth them on surfaces."
    )
    median_radius: int = option(
        7,
        "Radius of the weighted median over the positions [px of half the resolution]; 0: none.",
        minimum=0,
        maximum=200,
    )
    median_contrast: float = option(
        12.0,
        "Difference in the picture [grey levels] over which a neighbour counts less in it.",
        minimum=0.1,
        maximum=255.0,
    )
    all_in_focus: str = option(
        "sharpness",
        "What the all-in-focus image is made of: the slices that are sharpest in the window, or "
        "those of the depth found.",
        choices=("sharpness", "depth"),
    )
    aif_blend: bool = option(
        True, "Mix the all-in-focus image from neighbouring slices, so that no seam shows."
    )
    aif_sigma: float = option(
        0.0,
        "Sigma over which sharpness is averaged further for the all-in-focus image [px of half "
        "the resolution].",
        minimum=0.0,
        maximum=100.0,
    )
    aif_depth_kernel: int = option(
        5,
        "Side of the median filter over the slices of the all-in-focus image [px of half the "
        "resolution], odd; 1: none.",
        minimum=1,
        maximum=255,
    )
    device: str = option(
        "auto",
        "Where the focus is measured and the images are sampled; auto: on a GPU if torch and CUDA "
        "are there.",
        choices=("auto", "cpu", "cuda"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aif_depth_kernel % 2 == 0:
            raise OptionError(
                f"graph_cut option 'aif_depth_kernel' is {self.aif_depth_kernel}; a filter has a "
                "middle, so give an odd number of pixels"
            )

    @property
    def reduction(self) -> int:
        """By how much the grid is coarser on which the focus is measured."""
        return 1 if self.solver == "exact" else _REDUCTION


class GraphCutBackend(Backend):
    """Sharpest slice per pixel, made consistent between neighbours by a graph cut.

    The cost of a slice is how far the log of its focus measure, on top of the noise floor, lies
    below the pixel's best: next to nothing where there is no texture, so that the neighbours
    decide there. |difference of slices|, truncated, is the cost between neighbours, and less
    where the picture has an edge.
    """

    name = "graph_cut"
    summary = "depth from focus, regularised by a graph cut; runs on any CPU"
    config_class = GraphCutConfig

    def __init__(self, config: GraphCutConfig | None = None) -> None:
        self._config = config or GraphCutConfig()
        self._focus_measure = self._config.focus_measure()
        self._device = choose_device(self._config.device)
        self.may_fall_back_to_cpu = self._device != "cpu"
        # Overlapping sweeps (a sliding window) share slices; each is measured once.
        self._measured: WeakKeyDictionary[Slice, FloatImage] = WeakKeyDictionary()

    @classmethod
    def unusable_because(cls, config: GraphCutConfig | None = None) -> str | None:
        return library_missing_because()

    def start(self, spec: SweepSpec) -> GraphCutAccumulator:
        if self._device == "cpu":
            return GraphCutAccumulator(FocusVolumeBuilder(spec, self._measure), self._config)
        from focdepth_ros.classical.torch_focus_volume import TorchFocusVolumeBuilder

        with self._failures_named():
            builder = TorchFocusVolumeBuilder(
                spec,
                self._focus_measure,
                self._device,
                window_sigma=self._config.window_sigma,
                reduction=self._config.reduction,
            )
        return GraphCutAccumulator(builder, self._config, self._failures_named)

    def _failures_named(self) -> AbstractContextManager[None]:
        return device_failures_named(self._device, "use smaller images or the option device=cpu")

    def _measure(self, item: Slice) -> FloatImage:
        energy = self._measured.get(item)
        if energy is None:
            energy = self._focus_measure(
                item.image,
                window_sigma=self._config.window_sigma,
                reduction=self._config.reduction,
                valid_mask=item.valid_mask,
            )
            if energy.size <= _MAX_CACHED_PIXELS:
                self._measured[item] = energy
        return energy


class GraphCutAccumulator(Accumulator):
    """A sweep on its way through the `graph_cut` backend."""

    def __init__(
        self,
        builder: FocusVolumeBuilder | TorchFocusVolumeBuilder,
        config: GraphCutConfig,
        failures_named: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._builder = builder
        self._config = config
        self._failures_named = failures_named  # those of a GPU

    def add(self, item: Slice) -> None:
        with self._failures_named():
            self._builder.add(item)

    def finish(self) -> DepthEstimate:
        with self._failures_named():
            return self._answer()

    def _answer(self) -> DepthEstimate:
        started = time.perf_counter()
        volume = self._builder.volume()
        sharpest = self._sharpest(volume)
        if not volume.depth:
            return self._picture_alone(volume, sharpest, started)
        curves = self._solve(volume, sharpest)
        confidence = focus_confidence(curves, GRAPH_CUT_CONFIDENCE)
        slice_index = curves.slice_index
        del curves  # of a large sweep they take as much memory as what follows
        solved = time.perf_counter()
        guide, picture = self._pictures(volume, slice_index, sharpest)
        return answer_from_positions(
            volume,
            slice_index,
            confidence,
            guide,
            picture,
            backend=GraphCutBackend.name,
            timings={
                "positions": solved - started,
                "all_in_focus": time.perf_counter() - solved,
            },
        )

    def _picture_alone(
        self, volume: FocusVolume, sharpest: FloatImage, started: float
    ) -> DepthEstimate:
        """The answer without what only depth needs, which is the cut and all that follows it."""
        if self._config.all_in_focus == "depth":
            sharpest = self._solve(volume, sharpest).slice_index
        solved = time.perf_counter()
        positions = enlarge(sharpest, volume.size)
        mixed = self._config.aif_blend
        picture = (volume.blend_all_in_focus if mixed else volume.sample_all_in_focus)(positions)
        return DepthEstimate.of_picture(
            picture,
            positions,
            backend=GraphCutBackend.name,
            metric=volume.metric,
            timings={
                "positions": solved - started,
                "all_in_focus": time.perf_counter() - solved,
            },
        )

    def focus_curves(self) -> FocusCurves:
        """What `finish` takes its answer from: for calibrating the confidence."""
        volume = self._builder.volume()
        return self._solve(volume, self._sharpest(volume))

    def _sharpest(self, volume: FocusVolume) -> FloatImage:
        return sharpest_positions(
            volume.energy,
            sharpness_sigma=self._config.aif_sigma,
            depth_kernel=self._config.aif_depth_kernel,
        )

    def _solve(self, volume: FocusVolume, sharpest: FloatImage) -> FocusCurves:
        """Cut, sub-slice fit, median, smoothing: from the focus measure to positions."""
        guide = guide_image(volume.images, sharpest)
        floor = noise_floor(volume.energy)
        labels = self._cut(volume.energy, floor, guide)
        log_energy, single_index, overshoot = volume.refine_peak(labels, floor)
        if not self._config.sub_slice:
            single_index = labels.astype(np.float32)
        slice_index = self._median(log_energy, single_index, guide)
        if self._config.sub_slice:
            slice_index = smooth_surfaces(slice_index)
        return FocusCurves(log_energy, slice_index, single_index, overshoot)

    def _pictures(
        self, volume: FocusVolume, slice_index: FloatImage, sharpest: FloatImage
    ) -> tuple[ImageArray, ImageArray]:
        """The picture that shows where surfaces end, and the all-in-focus image."""
        of_sharpness = self._config.all_in_focus == "sharpness"
        positions = enlarge(sharpest if of_sharpness else slice_index, volume.size)
        guide = volume.sample_all_in_focus(positions)
        if self._config.aif_blend and volume.all_in_focus:
            return guide, volume.blend_all_in_focus(positions)
        return guide, guide

    def _cut(
        self, energy: NDArray[np.float32], floor: float, guide: ImageArray
    ) -> NDArray[np.uint8]:
        """Labels (h, w) of the energy (N, h, w)."""
        config = self._config
        count, height, width = energy.shape
        step = 1 if config.solver == "exact" else _CUT_REDUCTION
        size = (max(1, width // step), max(1, height // step))
        unary = np.empty((count, size[1], size[0]), dtype=np.float32)
        for layer, target in zip(energy, unary, strict=True):
            cv2.resize(layer, size, dst=target, interpolation=cv2.INTER_AREA)
        if config.unary == "log":
            unary = log_unary(unary, np.float32(floor))
        else:
            unary = inverse_unary(unary, config.focus_measure().noise_gain)
        unary *= np.float32(config.unary_scale)
        coarse_guide = np.asarray(cv2.resize(guide, size, interpolation=cv2.INTER_AREA), np.uint8)
        # A cell stands for its pixels with one cost, but has only their outer borders.
        pixels = config.reduction * step
        density = sweep_density(count)
        weights = edge_aware_weights(
            coarse_guide, config.pair_scale / (pixels * density), config.edge_contrast
        )
        truncation = min(max(round(config.truncation * density), 1), MAX_LABELS - 1)
        if config.solver == "exact":
            labels, _ = alpha_expansion(
                unary, *weights, truncation=truncation, max_cycles=config.max_cycles
            )
        else:
            labels, _ = cut_fast(unary, *weights, truncation=truncation)
        enlarged = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(enlarged, dtype=np.uint8)

    def _median(
        self, log_energy: NDArray[np.float32], slice_index: FloatImage, guide: ImageArray
    ) -> FloatImage:
        """Positions that the neighbours who look alike agree on; clear peaks count most."""
        if self._config.median_radius == 0:
            return slice_index
        weight = peak_contrast(log_energy, slice_index) / np.float32(_FULL_WEIGHT_CONTRAST)
        return weighted_median(
            slice_index,
            guide,
            radius=self._config.median_radius,
            guide_sigma=self._config.median_contrast,
            weight=np.clip(weight, _LEAST_WEIGHT, 1.0),
        )
