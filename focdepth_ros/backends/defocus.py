"""Depth from defocus: depth and all-in-focus image that explain the blur of every slice."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.classical.focus_volume import near_to_far
from focdepth_ros.classical.graph_cut import library_missing_because
from focdepth_ros.classical.weighted_median import weighted_median
from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.defocus.initialisation import start_from_slices
from focdepth_ros.defocus.light import codes_of, light_of
from focdepth_ros.defocus.post_processing import remove_outliers
from focdepth_ros.defocus.search_range import search_range
from focdepth_ros.defocus.settings import LENS_POSITIONS, load_settings
from focdepth_ros.errors import BackendError, SliceError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.libraries import missing_because
from focdepth_ros.stack import FloatImage, ImageArray, Lens, Slice
from focdepth_ros.torch_device import choose_device, device_failures_named

if TYPE_CHECKING:
    from focdepth_ros.defocus.solver import DefocusSolution, EpochLoss, EpochState

_NAME = "defocus"
_LIBRARIES = ("torch",)
_MEDIAN_CONTRAST = 12.0  # grey levels over which a neighbour counts less in the median
_LEAST_WEIGHT = 0.02  # of a pixel in the median, however unsure its depth


class DefocusBackend(Backend):
    """The blur of every pixel in every slice is explained by one depth and one sharp image."""

    name = _NAME
    summary = "depth from defocus by direct optimisation; slow, and needs to know the lens"
    config_class = DefocusConfig
    on_request = True

    def __init__(self, config: DefocusConfig | None = None) -> None:
        config = config or DefocusConfig()
        settings = load_settings(config.settings)
        self._config, self._lens = settings.applied_to(config), settings.lens
        self._at_lens_positions = settings.focus_distances == LENS_POSITIONS
        self.steps = self._config.epochs
        self._interrupted = threading.Event()

    @classmethod
    def unusable_because(cls, config: DefocusConfig | None = None) -> str | None:
        return missing_because(_LIBRARIES, "torch")

    @classmethod
    def passed_over_because(cls) -> str | None:
        return "it takes seconds to minutes per sweep, and needs to know the lens; ask for it"

    def start(self, spec: SweepSpec) -> DefocusAccumulator:
        missing = []
        lens = spec.lens or self._lens
        if lens is None:
            missing.append(
                "the lens (focal_length, f_number and pixel_pitch, in the lens: of a stack.yaml or "
                "of a file of settings, or as the lens. parameters of depth_node)"
            )
        if not spec.metric and not self._at_lens_positions:
            missing.append("the focus distances of the slices in metres")
        if lens is None or missing:
            raise BackendError(f"it needs {' and '.join(missing)}, which are not known")
        choose_device(self._config.device)  # whether there is one
        return DefocusAccumulator(self, spec, lens, self._config)

    def interrupt(self) -> None:
        self._interrupted.set()

    def check_wanted(self) -> None:
        """Raise a `BackendError` once the work is interrupted."""
        if self._interrupted.is_set():
            raise BackendError("it was interrupted before it had an answer")


class DefocusAccumulator(Accumulator):
    """A sweep on its way through the `defocus` backend.

    Attributes
    ----------
    solution : DefocusSolution or None
        What the last `finish` found, before outliers are removed.
    """

    def __init__(
        self, backend: DefocusBackend, spec: SweepSpec, lens: Lens, config: DefocusConfig
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._lens = lens
        self._config = config
        self._slices: list[Slice] = []
        self.solution: DefocusSolution | None = None

    def add(self, item: Slice) -> None:
        if self._spec.check(item, self._slices):
            self._slices.pop()
        if not self._spec.metric:  # the lens is in the unit of the lens positions as well
            if item.lens_position is None:
                raise SliceError("the settings of defocus want a lens position of every slice")
            item = replace(item, focus_distance=item.lens_position)
        self._slices.append(item)

    def finish(self) -> DepthEstimate:
        started = time.perf_counter()
        order, dioptres = near_to_far(self._slices, metric=True)
        slices = [self._slices[number] for number in order]
        start, _ = start_from_slices(slices, self._config.start)
        begun = time.perf_counter()
        solution = self._solved(slices, codes_of(start, linear_light=False), started)
        self.solution = solution
        solved = time.perf_counter()
        picture = self._picture(solution.image)
        dioptre, confidence = self._cleaned(solution, picture, dioptres)
        with np.errstate(divide="ignore"):
            depth = np.float32(1.0) / dioptre
        # Where the depth is not known any more, what was found there is the best guess.
        answered = np.where(np.isfinite(dioptre), dioptre, solution.surfaces)
        # A relative sweep counts its slices in the order in which they came.
        numbers = np.arange(len(order)) if self._spec.metric else np.array(order)
        slice_index = np.interp(-answered, -dioptres, numbers).astype(np.float32)
        if not self._spec.metric:
            depth = np.where(np.isfinite(dioptre), slice_index, np.float32(np.nan))
        return DepthEstimate(
            depth=np.asarray(depth, np.float32),
            confidence=confidence,
            slice_index=slice_index,
            backend=_NAME,
            metric=self._spec.metric,
            all_in_focus=picture if self._spec.all_in_focus else None,
            timings={
                "start": begun - started,
                "epochs": sum(loss.seconds for loss in solution.losses),
                "solve": solved - begun,
                "clean": time.perf_counter() - solved,
            },
            warnings=(
                *self._budget_warning(solution.losses, solved - started),
                *self._range_warning(dioptres),
            ),
        )

    def _solved(self, slices: list[Slice], start: ImageArray, started: float) -> DefocusSolution:
        from focdepth_ros.defocus.plots import save_epoch_plot, save_loss_curve
        from focdepth_ros.defocus.solver import solve

        folder = Path(self._config.plots_dir) if self._config.plots_dir else None

        def on_epoch(state: EpochState) -> None:
            if folder is not None:
                save_epoch_plot(folder, state, linear_light=self._config.linear_light)
            if self._backend.on_step is not None:
                loss = state.loss
                self._backend.on_step(f"epoch {loss.epoch}, error {loss.after_image:.2g}")

        config = self._config
        stack = np.stack([light_of(item.image, config.linear_light) for item in slices])
        if config.max_seconds:  # what came before has had its share
            left = config.max_seconds - (time.perf_counter() - started)
            config = replace(config, max_seconds=max(left, 1e-3))
        remedy = "use smaller images, shorter sweeps or a smaller memory_mb"
        with device_failures_named(choose_device(config.device), remedy):
            solution = solve(
                stack,
                self._lens,
                [np.inf if item.dioptre == 0.0 else 1.0 / item.dioptre for item in slices],
                config,
                start_image=light_of(start, config.linear_light),
                weight=_weight(slices),
                on_epoch=on_epoch,
                check=self._backend.check_wanted,
            )
        if folder is not None:
            save_loss_curve(folder, solution.losses)
        return solution

    def _picture(self, image: NDArray[np.float32]) -> ImageArray:
        codes = codes_of(image, self._config.linear_light)
        return np.ascontiguousarray(np.broadcast_to(codes, (*codes.shape[:2], 3)))

    def _cleaned(
        self, solution: DefocusSolution, picture: ImageArray, dioptres: NDArray[np.float64]
    ) -> tuple[FloatImage, FloatImage]:
        """Dioptres and confidence without outliers, smoothed where neighbours look alike."""
        config = self._config
        gap = float(dioptres[0] - dioptres[-1]) / (len(dioptres) - 1)
        dioptre, outliers = remove_outliers(
            solution.surfaces, config.outlier_threshold * gap, config.outliers
        )
        confidence = np.where(outliers, np.float32(0.0), solution.confidence)
        if config.median_radius and library_missing_because() is None:
            # Counted in slices from where the nearest depth can lie: that is what it resolves.
            nearest = float(np.nanmax(solution.surfaces))
            position = weighted_median(
                ((nearest - dioptre) / gap).astype(np.float32),
                picture,
                radius=config.median_radius,
                guide_sigma=_MEDIAN_CONTRAST,
                weight=np.clip(confidence, _LEAST_WEIGHT, 1.0),
            )
            smooth = np.maximum(nearest - gap * position, 0.0)
            dioptre = np.where(np.isfinite(dioptre), smooth, dioptre).astype(np.float32)
        return dioptre, confidence

    def _budget_warning(self, losses: Sequence[EpochLoss], seconds: float) -> tuple[str, ...]:
        config = self._config
        done, limit = len(losses), config.max_seconds
        has_converged = done > 1 and losses[-1].after_image > losses[-2].after_image * (
            1.0 - config.tolerance
        )
        if losses[-1].cut_short:
            where = f"in epoch {done} of {config.epochs}"
        elif limit and done < config.epochs and not has_converged:
            where = f"after {done} of {config.epochs} epochs"
        else:
            return ()
        return (f"max_seconds {limit:g} ended it {where}, {seconds:.1f} s",)

    def _range_warning(self, dioptres: NDArray[np.float64]) -> tuple[str, ...]:
        """Where slices are focused at depths that are not looked for."""
        with np.errstate(divide="ignore"):
            distances = 1.0 / dioptres
            far, near = search_range(distances.tolist(), self._config.near, self._config.far)
            first, last = 1.0 / np.array((near, far))
        outside = [f"{at:g}" for at in distances if not far <= 1.0 / at <= near]
        if not outside:
            return ()
        return (
            f"depth is looked for from {first:g} to {last:g} m, but slices are focused at "
            f"{', '.join(outside)} m; set near and far around them",
        )


def _weight(slices: list[Slice]) -> NDArray[np.float32] | None:
    """1 where a slice shows something, (K, H, W); None where all do everywhere."""
    if all(item.valid_mask is None for item in slices):
        return None
    masks = [
        np.ones(item.size, np.float32)
        if item.valid_mask is None
        else item.valid_mask.astype(np.float32)
        for item in slices
    ]
    return np.stack(masks)
