"""A network at work: on a device, at a precision, slice by slice.

`encode` and `step` only give a GPU its work; nothing waits for it before `decode`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from focdepth_ros.classical.torch_focus import upload
from focdepth_ros.errors import DeviceError, OptionError
from focdepth_ros.models.architectures import ARCHITECTURES
from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.cpu_memory import give_back_freed_memory, keep_freed_memory
from focdepth_ros.models.cuda_graphs import CapturedFunction, record_cuda_graph
from focdepth_ros.models.feature_cache import FeatureCache
from focdepth_ros.models.focus_guide import known_energies, largest_slice, slice_coordinates
from focdepth_ros.models.sweeps import (
    Prediction,
    SliceFeatures,
    SweepNetwork,
    known_of,
    normalised_dioptres,
    without_tokens,
)
from focdepth_ros.models.weights_index import WeightsFile
from focdepth_ros.stack import FloatImage, Slice
from focdepth_ros.torch_device import device_failures_named

_MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}
_LARGE = 4_000_000  # px of an image; below, what was freed is kept for the next one
_FIRST_WITH_BF16 = 8  # compute capability
# The modules whose weights autocast would cast for every slice.
_CAST_ONCE = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.LSTMCell)


@dataclass(frozen=True, eq=False)
class Answer:
    """Of a sweep, near to far.

    Parameters
    ----------
    slice_index : (H, W) float32
        In [0, N - 1].
    confidence : (H, W) float32 in [0, 1], or None
        None where the network does not tell.
    sharpest : (ceil(H / 2), ceil(W / 2)) uint8 or uint16, or None
        Slice in which the finest detail is strongest; None where that was not asked for or the
        network does not measure it.
    """

    slice_index: FloatImage
    confidence: FloatImage | None
    sharpest: NDArray[np.uint8 | np.uint16] | None


class SweepRunner:
    """Runs one of the networks that take a sweep slice by slice.

    Parameters
    ----------
    network : SweepNetwork
        It is moved to the device and made ready: it cannot be trained any more.
    device : str
        As torch calls it, such as ``cuda``.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of the matrix products and convolutions.
    compilation : {"auto", "none", "cuda_graphs", "torch_compile"}
        Auto: on a GPU CUDA graphs.

    Raises
    ------
    OptionError
        If the device cannot do that.
    DeviceError
        If it fails, or has too little memory for the weights.
    """

    def __init__(
        self, network: SweepNetwork, device: str, precision: str, compilation: str
    ) -> None:
        self.device = torch.device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        if compilation == "auto":
            compilation = "cuda_graphs" if self.device.type == "cuda" else "none"
        if compilation == "cuda_graphs" and self.device.type != "cuda":
            raise OptionError("compile 'cuda_graphs' needs a GPU; use 'none' on the device 'cpu'")
        self.seen = FeatureCache()
        self._warm: set[tuple[int, int]] = set()
        self._encode: Callable[[Tensor, Tensor, Tensor | None], SliceFeatures] = network.encode
        self._step: Callable[[Any, SliceFeatures], Any] = network.step
        self._decode: Callable[[Any], Prediction] = network.decode
        self.network = network
        network.eval().requires_grad_(False)
        network.fold()
        with self.failures_named():
            self.precision = chosen_precision(precision, self.device)
            self.network.to(self.device, memory_format=torch.channels_last)
            if self.precision != "fp32":
                cast_once(self.network, _MIXED[self.precision])
        self._warm_ups = int(self.device.type != "cpu" or compilation != "none")
        if compilation == "cuda_graphs":
            self._warm_ups = 2  # a function is recorded when it is called for the second time
            self._encode = CapturedFunction(network.encode, record_cuda_graph)
            self._step = CapturedFunction(network.step, record_cuda_graph)
            self._decode = CapturedFunction(network.decode, record_cuda_graph)
        elif compilation == "torch_compile":
            for part in network.parts_to_compile():
                part.compile(dynamic=False)

    @property
    def measures_sharpness(self) -> bool:
        """Whether the network has a focus measure, so that `sharpest` can be told."""
        return self.network.measures_sharpness

    def encode(self, item: Slice, dioptre: float, *, measured_only: bool = False) -> SliceFeatures:
        """Look at one slice.

        Parameters
        ----------
        item : Slice
        dioptre : float
            1/m; its place in the sweep where that is not known in metres.
        measured_only : bool
            Whether the focus measure is all that is looked at: enough for `sharpest`, not for
            `decode`.
        """
        look = self.network.measure if measured_only else self._encode
        device = str(self.device)
        pixels = upload(item.image, device)
        image = pixels.expand(3, -1, -1) if pixels.ndim == 2 else pixels.permute(2, 0, 1)
        mask = None if item.valid_mask is None else upload(item.valid_mask, device)[None]
        with self._at_work():
            # Filled, not copied: a copy of a Python number would wait for the device.
            told = torch.full((1,), max(dioptre, 0.0), device=self.device)
            features = look(image[None], told, mask)
            if self.device.type == "cpu" and image.shape[1] * image.shape[2] > _LARGE:
                give_back_freed_memory()
            return replace(features, dioptre=torch.full((1,), dioptre, device=self.device))

    def step(self, state: Any, features: SliceFeatures) -> Any:
        """Take a slice into the sweep; None begins one. The state before stays as it is."""
        tokens, rest = _split(features)
        with self._at_work():
            # The slices before have no part in it; they may be many.
            bare = None if state is None else replace(state, slices=())
            stepped = self._step(bare, tokens)
        kept = replace(rest, tokens=stepped.slices[-1].tokens)
        before = () if state is None else state.slices
        return replace(stepped, slices=(*before, kept))

    def decode(self, state: Any, order: list[int], *, wants_sharpest: bool = True) -> Answer:
        """Answer from the slices so far; this waits for the device.

        Parameters
        ----------
        state
            From `step`.
        order : list of int
            Of the slices from near to far.
        wants_sharpest : bool

        Raises
        ------
        DeviceError
            If the answer is not finite.
        """
        with self._at_work():
            known = known_of(state.slices)
            if known is not None:  # for all or for none, so that fewer graphs have to be recorded
                filled = zip(state.slices, known, strict=True)
                state = replace(
                    state, slices=tuple(replace(item, known=mask) for item, mask in filled)
                )
            prediction = self._decode(state)
            slice_index = self._slice_index(prediction, state, order)
            logits = prediction.confidence_logits
            confidence = None if logits is None else torch.sigmoid(logits[0].float())
            sharpest = self._sharpest(state.slices, order) if wants_sharpest else None
            answer = Answer(
                slice_index.cpu().numpy(),
                None if confidence is None else confidence.cpu().numpy(),
                None if sharpest is None else sharpest.cpu().numpy(),
            )
        for values in (answer.slice_index, answer.confidence):
            if values is not None and not np.isfinite(values).all():
                self.seen.clear()  # what was seen may be broken, too
                remedy = "" if self.precision == "fp32" else "precision fp32, or "
                raise DeviceError(
                    f"the network answered NaN for {np.mean(~np.isfinite(values)):.1%} of the "
                    f"pixels, at {self.precision}; use {remedy}other weights"
                )
        return answer

    def sharpest(
        self, slices: Sequence[SliceFeatures], order: list[int]
    ) -> NDArray[np.uint8 | np.uint16]:
        """Where the finest detail is strongest, as in an `Answer`; this waits for the device.

        Parameters
        ----------
        slices : sequence of SliceFeatures
            With `measures_sharpness`.
        order : list of int
            Of them, from near to far.
        """
        with self._at_work():
            sharpest = self._sharpest(slices, order)
        assert sharpest is not None
        return np.asarray(sharpest.cpu().numpy())

    def warm_up(self, height: int, width: int) -> None:
        """Run slices of a size through, once for each size, where the first ones would be slow."""
        if not self._warm_ups or (height, width) in self._warm:
            return
        noise = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), np.uint8)
        for _ in range(self._warm_ups):
            state = None
            for number, image in enumerate(noise):
                dioptre = 2.0 - 0.5 * number
                state = self.step(state, self.encode(Slice(image, 1.0 / dioptre), dioptre))
            assert state is not None
            self.decode(state, list(range(len(noise))))
        self._warm.add((height, width))

    def failures_named(self) -> AbstractContextManager[None]:
        """Turn what torch raises into a `DeviceError`, with the memory of the device given back.

        Raises
        ------
        DeviceError
        """
        remedy = "use smaller images, shorter sweeps or smaller weights"
        return device_failures_named(str(self.device), remedy, self._let_go)

    def _let_go(self) -> None:
        """Free all that can be calculated anew."""
        self.seen.clear()
        self._warm.clear()
        for function in (self._encode, self._step, self._decode):
            if isinstance(function, CapturedFunction):
                function.clear()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        mixed = self.precision != "fp32"
        cudnn = torch.backends.cudnn
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self.device.type == "cuda":
                stack.enter_context(torch.cuda.device(self.device))
            # Ten bits would do for the network, but not for the focus measure.
            stack.enter_context(
                cudnn.flags(
                    enabled=cudnn.enabled,
                    benchmark=cudnn.benchmark,
                    deterministic=cudnn.deterministic,
                    allow_tf32=False,
                )
            )
            # A cast that autocast keeps would not outlive a CUDA graph.
            stack.enter_context(
                torch.autocast(
                    self.device.type, _MIXED.get(self.precision), mixed, cache_enabled=False
                )
            )
            yield

    def _slice_index(self, prediction: Prediction, state: Any, order: list[int]) -> Tensor:
        """Positions (H, W) of the prediction, kept within the sweep, as slices near to far."""
        dioptres = torch.stack([state.slices[number].dioptre for number in order], dim=1)
        # Beyond its ends a sweep has seen nothing: there is no telling how far beyond.
        # What is not finite stays so, for `decode` to see.
        raw = prediction.position.float()
        inside = torch.where(raw.isfinite(), raw.clamp(0.0, 1.0), torch.nan)
        return slice_coordinates(inside, normalised_dioptres(dioptres, dioptres))[0]

    def _sharpest(self, every: Sequence[SliceFeatures], order: list[int]) -> Tensor | None:
        slices = [every[number] for number in order]
        finest = [item.energies[:, :1] for item in slices if item.energies is not None]
        if not finest:
            return None
        energies = torch.stack(finest, dim=1)
        known = known_of(slices)
        if known is not None:
            energies = known_energies(energies, torch.stack(known, dim=1))
        height, width = ((side + 1) // 2 for side in slices[0].size)
        labels = largest_slice(energies)[1][0, 0, 0, :height, :width]
        return labels.to(torch.uint8 if len(order) <= 256 else torch.uint16)


def load_runner(
    architecture: str,
    file: WeightsFile,
    device: str,
    *,
    precision: str = "auto",
    compilation: str = "auto",
) -> SweepRunner:
    """The network of a file of weights, ready to run.

    Parameters
    ----------
    architecture : str
        Kind of network that it must be.
    file : WeightsFile
    device, precision, compilation
        As for `SweepRunner`.

    Raises
    ------
    WeightsError
        If the weights are missing, damaged, or of another network.
    OptionError
        If the device cannot do what is asked for.
    DeviceError
        If it fails, or has too little memory for the weights.
    """
    kind = ARCHITECTURES[architecture].network_class()
    network: SweepNetwork = read_weights(file.path, sha256=file.sha256).network_as(kind)
    return SweepRunner(network, device, precision, compilation)


def chosen_precision(name: str, device: torch.device) -> str:
    """The precision that a setting means on a device.

    Raises
    ------
    OptionError
        If the device cannot calculate in it.
    """
    if device.type == "cpu":
        if name == "fp16":
            raise OptionError("precision 'fp16' needs a GPU; use fp32 or bf16 on the device 'cpu'")
        return "fp32" if name == "auto" else name
    has_bf16 = torch.cuda.get_device_capability(device)[0] >= _FIRST_WITH_BF16
    if name == "bf16" and not has_bf16:
        raise OptionError(
            f"precision 'bf16' is not known to {torch.cuda.get_device_name(device)}; use fp16 or "
            "fp32"
        )
    if name == "auto":
        return "bf16" if has_bf16 else "fp16"
    return name


def cast_once(network: nn.Module, kind: torch.dtype) -> None:
    """Give the weights that autocast uses in 16 bits to it in 16 bits."""
    for part in network.modules():
        if isinstance(part, _CAST_ONCE):
            part.to(kind)


def _split(features: SliceFeatures) -> tuple[SliceFeatures, SliceFeatures]:
    """What goes into the state of a sweep, and what is kept beside it."""
    tokens = SliceFeatures(features.tokens, None, None, None, features.dioptre, features.size)
    return tokens, without_tokens(features)
