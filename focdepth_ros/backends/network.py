"""What the backends that ask a network have in common."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.classical.all_in_focus import blend_all_in_focus, sample_all_in_focus
from focdepth_ros.classical.focus_volume import near_to_far
from focdepth_ros.classical.refinement import enlarge
from focdepth_ros.errors import BackendUnavailableError, OptionError, WeightsError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.libraries import NETWORK_LIBRARIES, how_to_install, missing_because
from focdepth_ros.models.weights_index import choose_weights
from focdepth_ros.options import check_options, option
from focdepth_ros.stack import FloatImage, ImageArray, Slice
from focdepth_ros.torch_device import choose_device

if TYPE_CHECKING:
    from focdepth_ros.models.inference import SweepRunner
    from focdepth_ros.models.sweeps import SliceFeatures

# A relative sweep is shown to the network as one of this kind [1/m].
_RELATIVE_START = 3.0
_RELATIVE_STEP = 0.25

_AIF_MEDIAN = 5  # px of half the resolution


@dataclass(frozen=True)
class NetworkSettings:
    """Settings of a network; each field's description says what it does."""

    #: Which one has them.
    backend: ClassVar[str]

    weights: str = option(
        "",
        "Weights by name, as `focdepth weights` lists them, or path of a .safetensors file; "
        "empty: the first that come with the package.",
    )
    device: str = option(
        "auto",
        "Where the network runs; auto: on a GPU if CUDA is there.",
        choices=("auto", "cpu", "cuda"),
    )
    precision: str = option(
        "auto",
        "Of the products; auto: on a GPU bf16, or fp16 if it does not know that, and fp32 "
        "elsewhere.",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    compile: str = option(
        "auto",
        "What makes it faster after the first sweeps: CUDA graphs, or torch's compiler, on a GPU "
        "with CUDA graphs of what it made. That takes minutes, anew for every number of slices, "
        "and needs a compiler for C++. Auto: on a GPU CUDA graphs.",
        choices=("auto", "none", "cuda_graphs", "torch_compile"),
    )
    all_in_focus: str = option(
        "sharpness",
        "What the all-in-focus image is made of: the slices in which the finest detail is "
        "strongest, where the network measures it, or those of the depth found.",
        choices=("sharpness", "depth"),
    )
    aif_blend: bool = option(
        True, "Mix the all-in-focus image from neighbouring slices, so that no seam shows."
    )

    def __post_init__(self) -> None:
        check_options(self, self.backend)

    @property
    def uses_tokens(self) -> bool:
        """Whether more is looked at than the focus measure."""
        return True


class NetworkBackend(Backend):
    """Looks at each slice as it comes, and answers when the sweep is over.

    Where the network has seen a slice before, in a sweep that overlaps this one, it does not look
    again. Its kind, by which weights are found, has the name of the backend.
    """

    def __init__(self, config: Any = None) -> None:
        self._config = config = config or self.config_class()
        file = choose_weights(config.weights, self.name)
        device = choose_device(config.device)
        try:
            from focdepth_ros.models.inference import load_runner
        except (ImportError, OSError, RuntimeError) as error:  # such as of a broken torchvision
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise BackendUnavailableError(
                f"backend '{self.name}' cannot be used here: its libraries cannot be imported: "
                f"{reason}; again: {how_to_install('torch')}"
            ) from error

        self._runner = load_runner(
            self.name, file, device, precision=config.precision, compilation=config.compile
        )
        if not (config.uses_tokens or self._runner.measures_sharpness):
            raise OptionError(
                f"weights {file.path} measure no sharpness and need their transformer; set "
                "transformer to true, or take weights with refinement"
            )

    @classmethod
    def unusable_because(cls, config: NetworkSettings | None = None) -> str | None:
        # Weights that are asked for by name are an error of their own.
        weights = config.weights if config else ""
        missing = missing_because(NETWORK_LIBRARIES, "torch")
        return missing or (None if weights else _weights_missing_because(cls.name))

    def start(self, spec: SweepSpec) -> Accumulator:
        of_sharpness = self._config.all_in_focus == "sharpness"
        if not spec.depth and of_sharpness and self._runner.measures_sharpness:
            return SharpestAccumulator(self.name, spec, self._runner, self._config)
        with self._runner.failures_named():
            self._runner.warm_up(
                spec.height,
                spec.width,
                measured_only=not self._config.uses_tokens,
                **_wanted(spec, self._config),
            )
        return NetworkAccumulator(self.name, spec, self._runner, self._config)


class NetworkAccumulator(Accumulator):
    """A sweep on its way through a network."""

    def __init__(
        self, backend: str, spec: SweepSpec, runner: SweepRunner, config: NetworkSettings
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._runner = runner
        self._config = config
        self._slices: list[Slice] = []
        self._state: Any = None
        # That without the last slice, which may yet be replaced.
        self._state_before: Any = None

    def add(self, item: Slice) -> None:
        if self._spec.check(item, self._slices):
            self._slices.pop()
            self._state = self._state_before
        with self._runner.failures_named():
            state = self._runner.step(self._state, self._features(item))
        self._state_before, self._state = self._state, state
        self._slices.append(item)

    def finish(self) -> DepthEstimate:
        started = time.perf_counter()
        order, _ = near_to_far(
            self._slices, metric=self._spec.metric, by_position=self._spec.by_position
        )
        images = [self._slices[number] for number in order]
        with self._runner.failures_named():
            if self._spec.by_position and not _goes_one_way(order):
                self._take_again(images)
                order = list(range(len(images)))
            answer = self._runner.decode(self._state, order, **_wanted(self._spec, self._config))
        solved = time.perf_counter()
        slice_index = answer.slice_index
        picture = answer.all_in_focus
        if self._spec.all_in_focus and picture is None:
            where = slice_index
            if answer.sharpest is not None:
                where = _sharpest_positions(answer.sharpest, images[0].size)
            picture = _picture(images, where, blend=self._config.aif_blend)
        depth = slice_index.copy() if answer.depth is None else answer.depth
        confidence = answer.confidence
        warnings: tuple[str, ...] = ()
        if confidence is None:
            confidence = np.ones_like(slice_index)
            warnings = ("these weights tell no confidence: every pixel counts as sure",)
        return DepthEstimate(
            depth=depth,
            confidence=confidence,
            slice_index=slice_index,
            backend=self._backend,
            metric=self._spec.metric,
            all_in_focus=picture,
            timings={
                "positions": solved - started,
                "all_in_focus": time.perf_counter() - solved,
            },
            warnings=warnings,
        )

    def _take_again(self, slices: list[Slice]) -> None:
        """Go through the sweep in another order: what stands for dioptres are the places in it."""
        self._state, self._slices = None, []
        for item in slices:
            self._state = self._runner.step(self._state, self._features(item))
            self._slices.append(item)

    def _features(self, item: Slice) -> SliceFeatures:
        measured_only = not self._config.uses_tokens
        if not self._spec.metric:  # its dioptre is that of its place in this sweep
            dioptre = _RELATIVE_START - _RELATIVE_STEP * len(self._slices)
            return self._runner.encode(item, dioptre, measured_only=measured_only)
        features = self._runner.seen.get(item)
        # It may have been seen for its image alone.
        if features is None or not (features.tokens or measured_only):
            features = self._runner.encode(item, item.dioptre, measured_only=measured_only)
            self._runner.seen.keep(item, features)
        return features


class SharpestAccumulator(Accumulator):
    """A sweep of which only the all-in-focus image is wanted, so that depth is never worked out.

    The focus measure of the network is all that it takes: nothing that was learned has a part in
    that image.
    """

    def __init__(
        self, backend: str, spec: SweepSpec, runner: SweepRunner, config: NetworkSettings
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._runner = runner
        self._config = config
        self._slices: list[Slice] = []
        self._features: list[SliceFeatures] = []

    def add(self, item: Slice) -> None:
        if self._spec.check(item, self._slices):
            self._slices.pop()
            self._features.pop()
        features = self._runner.seen.get(item)
        if features is None:
            with self._runner.failures_named():
                features = self._runner.encode(item, 0.0, measured_only=True)
            self._runner.seen.keep(item, features)
        self._features.append(features)
        self._slices.append(item)

    def finish(self) -> DepthEstimate:
        started = time.perf_counter()
        order, _ = near_to_far(
            self._slices, metric=self._spec.metric, by_position=self._spec.by_position
        )
        with self._runner.failures_named():
            sharpest, picture = self._runner.sharpest(
                self._features, order, blend=self._config.aif_blend
            )
        solved = time.perf_counter()
        positions = _sharpest_positions(sharpest, (self._spec.height, self._spec.width))
        if picture is None:
            images = [self._slices[number] for number in order]
            picture = _picture(images, positions, blend=self._config.aif_blend)
        return DepthEstimate.of_picture(
            picture,
            positions,
            backend=self._backend,
            metric=self._spec.metric,
            timings={
                "positions": solved - started,
                "all_in_focus": time.perf_counter() - solved,
            },
        )


def _goes_one_way(order: list[int]) -> bool:
    return order in (sorted(order), sorted(order, reverse=True))


def _wanted(spec: SweepSpec, config: NetworkSettings) -> dict[str, bool]:
    """What `SweepRunner.decode` is to answer with."""
    return {
        "metres": spec.metric,
        "sharpest": spec.all_in_focus and config.all_in_focus == "sharpness",
        "picture": spec.all_in_focus,
        "blend": config.aif_blend,
    }


def _sharpest_positions(
    sharpest: NDArray[np.uint8 | np.uint16], size: tuple[int, int]
) -> FloatImage:
    smooth = cv2.medianBlur(sharpest, _AIF_MEDIAN)
    return enlarge(np.asarray(smooth, np.float32), size)


def _picture(slices: list[Slice], positions: FloatImage, *, blend: bool) -> ImageArray:
    mix = blend_all_in_focus if blend else sample_all_in_focus
    return mix([item.image for item in slices], positions, [item.valid_mask for item in slices])


def _weights_missing_because(backend: str) -> str | None:
    try:
        path = choose_weights("", backend).path
    except WeightsError as error:
        return str(error)
    if not path.is_file():
        return f"its weights {path} are missing; install the package again"
    return None
