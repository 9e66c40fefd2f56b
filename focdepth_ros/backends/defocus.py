"""Depth from defocus: the most precise answer where the lens is known and there is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.classical.focus_volume import near_to_far
from focdepth_ros.classical.graph_cut import library_missing_because
from focdepth_ros.classical.torch_device import choose_device
from focdepth_ros.classical.weighted_median import weighted_median
from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.defocus.search_range import search_range
from focdepth_ros.defocus.settings import LENS_POSITIONS, DefocusSettings, load_settings
from focdepth_ros.errors import BackendError, DeviceError, LensUnknownError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.libraries import missing_because
from focdepth_ros.simulation.colour import linear_from_srgb, srgb_from_linear
from focdepth_ros.stack import FloatImage, ImageArray, Lens, Slice
from focdepth_ros.visualization import as_colour

if TYPE_CHECKING:
    from focdepth_ros.defocus.solver import DefocusSolution, EpochState

_NAME = "defocus"
_LIBRARIES = ("torch",)
_MEDIAN_CONTRAST = 12.0  # grey levels over which a neighbour counts less in the median
_LEAST_WEIGHT = 0.02  # of a pixel in the median, however unsure its depth
_LEAST_SECONDS = 1e-3  # of a budget that is used up: 0 would be none


class DefocusBackend(Backend):
    """Depth and all-in-focus image that, blurred by the lens, give the slices.

    Everything but the conversion of the images is done after the last frame, and takes from
    seconds to minutes: for robots that stand, and for recordings.
    """

    name = _NAME
    summary = "depth from defocus, by inverting the blur of a known lens; takes its time"
    config_class = DefocusConfig
    only_by_name = True

    def __init__(self, config: DefocusConfig | None = None) -> None:
        asked = config or DefocusConfig()
        self.settings = load_settings(asked.settings)
        #: What is asked for on top of the settings file.
        self.config = self.settings.applied_to(asked)
        #: Called after every epoch of every sweep.
        self.on_epoch: Callable[[EpochState], None] | None = None
        self.device = choose_device(self.config.device)
        self._is_abandoned = False

    @classmethod
    def unusable_because(cls, config: DefocusConfig | None = None) -> str | None:
        return missing_because(_LIBRARIES, "torch")

    @classmethod
    def passed_over_because(cls) -> str | None:
        return "it takes from seconds to minutes and needs the lens; ask for it by name"

    def start(self, spec: SweepSpec) -> DefocusAccumulator:
        """Begin the work on one sweep.

        Raises
        ------
        LensUnknownError
            If lens or focus distances are not known.
        CalibrationError
            If the lens of the settings is for images of another shape.
        """
        lens = spec.lens or self.settings.lens_at(spec.height, spec.width)
        lacking = []
        if lens is None:
            lacking.append(
                "the lens (focal_length, f_number, pixel_pitch): give it under lens in "
                "stack.yaml or in a settings file, or as the parameters lens.* of depth_node"
            )
        if not spec.metric and self.settings.focus_distances is None:
            lacking.append(
                "focus distances: give them in stack.yaml, or for a relative sweep in a "
                "settings file"
            )
        if lacking:
            raise LensUnknownError(f"it needs {', and '.join(lacking)}")
        assert lens is not None
        return DefocusAccumulator(spec, self, lens)

    def abandon(self) -> None:
        self._is_abandoned = True

    def after_epoch(self, state: EpochState) -> None:
        """Tell who follows the epochs, unless nobody waits for the answer any more.

        Raises
        ------
        BackendError
            If the work is abandoned.
        """
        if self._is_abandoned:
            raise BackendError("given up on the way, as nobody waits for it any more")
        if self.on_epoch is not None:
            self.on_epoch(state)


class DefocusAccumulator(Accumulator):
    """A sweep on its way through the `defocus` backend."""

    def __init__(self, spec: SweepSpec, backend: DefocusBackend, lens: Lens) -> None:
        self._spec = spec
        self._backend = backend
        self._config: DefocusConfig = backend.config
        self._settings: DefocusSettings = backend.settings
        self._lens = lens
        self._slices: list[Slice] = []
        self._drops_outliers = self._config.outliers == "nan"
        self._images: list[FloatImage] = []  # (H, W, C) in the light in which blur happens

    def add(self, item: Slice) -> None:
        if self._spec.check(item, self._slices):
            self._slices.pop()
            self._images.pop()
        self._images.append(self._light(item.image))
        self._slices.append(item)

    def finish(self) -> DepthEstimate:
        started = time.perf_counter()
        order, _ = near_to_far(self._slices, metric=self._spec.metric)
        slices = [self._slices[number] for number in order]
        distances = self._focus_distances(slices)
        start = self._light(self._start_image(slices))
        begun = time.perf_counter()
        solution = self._solve(
            np.stack([self._images[number] for number in order]),
            distances,
            start,
            _weights(slices),
            seconds_used=begun - started,
        )
        solved = time.perf_counter()
        picture = self._picture(solution.image)
        dioptre, outlier = self._without_outliers(solution.dioptre, distances)
        confidence = np.where(outlier & self._drops_outliers, np.float32(0.0), solution.confidence)
        dioptre = self._smoothed(dioptre, confidence, picture, distances)
        slice_index = _slice_index(dioptre, distances)
        with np.errstate(divide="ignore"):
            depth = np.float32(1.0) / dioptre if self._spec.metric else slice_index.copy()
        if self._drops_outliers:
            depth = np.where(outlier, np.float32(np.nan), depth)
        return DepthEstimate(
            depth=depth,
            confidence=confidence,
            slice_index=slice_index,
            backend=_NAME,
            metric=self._spec.metric,
            all_in_focus=picture if self._spec.all_in_focus else None,
            timings={
                "start": begun - started,
                "solve": solved - begun,
                "depth": time.perf_counter() - solved,
            },
            warnings=self._beyond_range(distances),
        )

    def _light(self, image: ImageArray) -> FloatImage:
        """(H, W, C) in [0, 1] of an image, in the light in which blur happens."""
        channels = image[..., None] if image.ndim == 2 else image
        if self._config.linear_light:
            return linear_from_srgb(channels)
        return np.asarray(channels, np.float32) / np.float32(255.0)

    def _picture(self, light: FloatImage) -> ImageArray:
        if self._config.linear_light:
            codes = srgb_from_linear(light)
        else:
            codes = np.rint(np.float32(255.0) * light).astype(np.uint8)
        return as_colour(codes[..., 0] if codes.shape[2] == 1 else codes)

    def _start_image(self, slices: Sequence[Slice]) -> ImageArray:
        """First guess of the all-in-focus image (H, W, C), put together from the slices."""
        from focdepth_ros.defocus.initialisation import start_from_slices

        image, _ = start_from_slices(slices, self._config.start)
        return np.asarray(np.rint(np.float32(255.0) * image), np.uint8)

    def _focus_distances(self, slices: Sequence[Slice]) -> tuple[float, ...]:
        """Of the slices in their order: metres, or in a relative sweep what the settings say.

        Raises
        ------
        LensUnknownError
            If the settings do not fit the slices.
        """
        if self._spec.metric:
            return tuple(float(item.focus_distance or np.nan) for item in slices)
        told = self._settings.focus_distances
        if told == LENS_POSITIONS:
            positions = tuple(item.lens_position for item in slices)
            found = tuple(position for position in positions if position is not None)
            if len(found) < len(positions) or min(found) <= 0.0 or len({*found}) < len(found):
                raise LensUnknownError(
                    f"its settings take the lens positions for focus distances, but those of the "
                    f"slices are {positions}; each slice needs another one above 0"
                )
            return found
        assert told is not None
        if len(told) != len(slices):
            raise LensUnknownError(
                f"its settings have {len(told)} focus distances, the sweep {len(slices)} slices; "
                "give one for each"
            )
        return told

    def _solve(
        self,
        stack: NDArray[np.float32],
        distances: Sequence[float],
        start: FloatImage,
        weight: NDArray[np.float32] | None,
        *,
        seconds_used: float,
    ) -> DefocusSolution:
        from focdepth_ros.defocus.solver import solve

        config = self._config
        if config.max_seconds > 0.0:
            left = max(config.max_seconds - seconds_used, _LEAST_SECONDS)
            config = replace(config, max_seconds=left)
        with _failures_named(self._backend.device):
            return solve(
                stack,
                self._lens,
                distances,
                config,
                start_image=start,
                weight=weight,
                on_epoch=self._backend.after_epoch,
            )

    def _without_outliers(
        self, dioptre: FloatImage, distances: Sequence[float]
    ) -> tuple[FloatImage, NDArray[np.bool_]]:
        """Dioptres where outliers are replaced if that is asked for, and which they are."""
        if self._config.outliers == "keep":
            return dioptre, np.zeros(dioptre.shape, np.bool_)
        from focdepth_ros.defocus.post_processing import remove_outliers

        step = _mean_step(distances)
        cleaned, outlier = remove_outliers(
            dioptre / step, self._config.outlier_threshold, self._config.outliers
        )
        # Where nothing is known, the position found still fills the slice index.
        replaced = outlier & ~np.isnan(cleaned)
        return np.where(replaced, cleaned * step, dioptre), outlier

    def _smoothed(
        self,
        dioptre: FloatImage,
        confidence: FloatImage,
        picture: ImageArray,
        distances: Sequence[float],
    ) -> FloatImage:
        """Dioptres that the neighbours who look alike agree on; sure ones count most."""
        radius = self._config.median_radius
        if radius == 0 or library_missing_because() is not None:
            return dioptre
        # Counted in slices, from 0 on: that is what the median resolves.
        step, farthest = _mean_step(distances), dioptre.min()
        position = weighted_median(
            (dioptre - farthest) / step,
            picture,
            radius=radius,
            guide_sigma=_MEDIAN_CONTRAST,
            weight=np.clip(confidence, _LEAST_WEIGHT, 1.0),
        )
        return np.asarray(position * step + farthest, np.float32)

    def _beyond_range(self, distances: Sequence[float]) -> tuple[str, ...]:
        """A warning where depth at some focus distances is not looked for."""
        far, near = search_range(distances, self._config.near, self._config.far)
        outside = [f"{distance:g}" for distance in distances if not far <= 1.0 / distance <= near]
        if not outside:
            return ()
        farthest = 1.0 / far if far > 0.0 else np.inf
        return (
            f"depth is looked for from {1.0 / near:g} to {farthest:g} m, but slices are focused "
            f"at {', '.join(outside)} m; set near and far around them",
        )


def _mean_step(distances: Sequence[float]) -> np.float32:
    """Between slices, in dioptres."""
    focus = 1.0 / np.asarray(distances)
    return np.float32((focus.max() - focus.min()) / (len(focus) - 1))


def _weights(slices: Sequence[Slice]) -> NDArray[np.float32] | None:
    """1 where a slice shows the scene, (K, H, W); None where all do everywhere."""
    if all(item.valid_mask is None for item in slices):
        return None
    weight = np.ones((len(slices), *slices[0].size), np.float32)
    for number, item in enumerate(slices):
        if item.valid_mask is not None:
            weight[number] = item.valid_mask
    return weight


def _slice_index(dioptre: FloatImage, distances: Sequence[float]) -> FloatImage:
    """Positions in the order of the slices; those beyond the sweep are at its ends."""
    focus = 1.0 / np.asarray(distances)
    order = np.argsort(focus)
    return np.interp(dioptre, focus[order], order).astype(np.float32)


@contextmanager
def _failures_named(device: str) -> Iterator[None]:
    """Turn what torch raises of a GPU into a `DeviceError`."""
    import torch

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise DeviceError(
            f"the GPU has too little memory: {_first_line(error)}; use smaller images, or a "
            "smaller defocus.memory_mb"
        ) from error
    except RuntimeError as error:
        if device == "cpu":
            raise
        raise DeviceError(f"device '{device}' failed: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
