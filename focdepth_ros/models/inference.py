"""A network at work: on a device, at a precision, slice by slice.

`encode` and `step` only give a GPU its work; nothing waits for it before `decode`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focdepth_ros.classical.torch_focus import download, upload
from focdepth_ros.errors import BackendUnavailableError, DeviceError
from focdepth_ros.models.answers import (
    DeviceAnswer,
    Wanted,
    answer_of,
    picture_of,
    sharpest_slices,
)
from focdepth_ros.models.architectures import ARCHITECTURES
from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.cpu_memory import give_back_freed_memory, keep_freed_memory
from focdepth_ros.models.cuda_graphs import CapturedFunction, record_cuda_graph
from focdepth_ros.models.feature_cache import FeatureCache
from focdepth_ros.models.precision import (
    at_precision,
    cast_once,
    chosen_precision,
    compile_many_variants,
)
from focdepth_ros.models.sweeps import SliceFeatures, SweepNetwork, known_of, without_tokens
from focdepth_ros.models.weights_index import WeightsFile
from focdepth_ros.stack import FloatImage, ImageArray, Slice
from focdepth_ros.torch_device import device_failures_named

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")

_ORDERS = 16  # of slices that are kept on the device
_LARGE = 4_000_000  # px of an image; below, what was freed is kept for the next one


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
    depth : (H, W) float32, or None
        In metres; None where that was not asked for.
    all_in_focus : (H, W, 3) uint8, or None
        None where that was not asked for, or is not made on this device; see `picture_of`.
    """

    slice_index: FloatImage
    confidence: FloatImage | None
    sharpest: NDArray[np.uint8 | np.uint16] | None
    depth: FloatImage | None
    all_in_focus: ImageArray | None


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
    BackendUnavailableError
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
            raise BackendUnavailableError(
                "compile 'cuda_graphs' needs a GPU; use 'none' on the device 'cpu'"
            )
        self.seen = FeatureCache()
        self._warm: set[tuple[int, int]] = set()
        self._orders: dict[tuple[int, ...], Tensor] = {}
        self._captured: list[CapturedFunction[..., Any]] = []
        self._paints = self.device.type == "cuda"  # on a CPU OpenCV makes images in less time
        self.network = network
        network.eval().requires_grad_(False)
        network.fold()
        with self.failures_named():
            self.precision = chosen_precision(precision, self.device)
            self.network.to(self.device, memory_format=torch.channels_last)
            cast_once(self.network, self.precision)
        self._compiles = compilation == "torch_compile"
        self._records = compilation != "none" and self.device.type == "cuda"
        # A function is recorded when it is called for the second time.
        self._warm_ups = 2 if self._records else int(self.device.type != "cpu" or self._compiles)
        if self._compiles and not self._records:
            compile_many_variants()
            # Not what depends on the number of slices, which takes minutes for each of them.
            for part in network.parts_to_compile():
                part.compile(dynamic=False)
        self._encode = self._made_ready(network.encode)
        self._measure = at_precision(network.measure, self.device.type, self.precision)
        self._step = self._made_ready(network.step)
        # An answer leaves the device before there is another one.
        self._answer = self._made_ready(self._answered, borrows=True)

    def _made_ready(
        self, function: Callable[_Given, _Found], *, borrows: bool = False
    ) -> Callable[_Given, _Found]:
        """The function at the precision that is asked for, recorded and compiled if it is to be."""
        how = (self.device.type, self.precision)
        plain = at_precision(function, *how)
        if not self._records:
            return plain
        quick = None
        if self._compiles:
            compile_many_variants()
            quick = at_precision(torch.compile(function, dynamic=False), *how)
        captured = CapturedFunction(plain, record_cuda_graph, quick, borrows=borrows)
        self._captured.append(captured)
        return captured

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
            Whether the focus measure is all that is looked at: enough for `sharpest`, and for
            `decode` where it guides a refinement.
        """
        look = self._measure if measured_only else self._encode
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

    def decode(self, state: Any, order: list[int], **wanted: bool) -> Answer:
        """Answer from the slices so far; this waits for the device.

        Parameters
        ----------
        state
            From `step`.
        order : list of int
            Of the slices from near to far.
        **wanted
            For `Wanted`.

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
            asked = Wanted(**wanted)
            asked = replace(asked, picture=asked.picture and self._paints)
            found = self._answer(state, self._uploaded(order), asked)
            slice_index, depth, confidence, sharpest, picture, is_finite = download(
                found.slice_index, found.depth, found.confidence, found.sharpest, found.picture,
                found.is_finite,
            )  # fmt: skip
        assert slice_index is not None
        if not is_finite:
            self.seen.clear()  # what was seen may be broken, too
            broken = ~np.isfinite(slice_index)
            if confidence is not None:
                broken |= ~np.isfinite(confidence)
            remedy = "" if self.precision == "fp32" else "precision fp32, or "
            raise DeviceError(
                f"the network answered NaN for {np.mean(broken):.1%} of the pixels, at "
                f"{self.precision}; use {remedy}other weights"
            )
        return Answer(slice_index, confidence, sharpest, depth, picture)

    def sharpest(
        self, slices: Sequence[SliceFeatures], order: list[int], *, blend: bool
    ) -> tuple[NDArray[Any], ImageArray | None]:
        """Where the finest detail is strongest, and the image of it; this waits for the device.

        Parameters
        ----------
        slices : sequence of SliceFeatures
            With `measures_sharpness`.
        order : list of int
            Of them, from near to far.
        blend : bool

        Returns
        -------
        sharpest, all_in_focus
            As in an `Answer`.
        """
        with self._at_work():
            near_to_far = self._uploaded(order)
            found = sharpest_slices(slices, near_to_far)
            assert found is not None
            picture = None
            if self._paints:
                picture = picture_of(slices, near_to_far, found, blend=blend)
            sharpest, all_in_focus = download(found, picture)
        assert sharpest is not None
        return sharpest, all_in_focus

    def _answered(self, state: Any, order: Tensor, wanted: Wanted) -> DeviceAnswer:
        """All that there is to do when a sweep is over."""
        prediction = self.network.decode(state)
        with torch.autocast(self.device.type, enabled=False):  # pixels need more than 8 bits
            return answer_of(prediction, state.slices, order, wanted)

    def _uploaded(self, order: list[int]) -> Tensor:
        """The order on the device, where it often is already: sweeps go one way or the other."""
        key = tuple(order)
        if key not in self._orders:
            if len(self._orders) >= _ORDERS:
                self._orders.clear()
            self._orders[key] = upload(np.array(order, np.int64), str(self.device))
        return self._orders[key]

    def warm_up(
        self, height: int, width: int, *, measured_only: bool = False, **wanted: bool
    ) -> None:
        """Run slices of a size through, once for each size, where the first ones would be slow.

        Parameters
        ----------
        height, width : int
        measured_only : bool
            As for `encode`.
        **wanted
            As for `decode`.
        """
        if not self._warm_ups or (height, width) in self._warm:
            return
        noise = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), np.uint8)
        for _ in range(self._warm_ups):
            state = None
            for number, image in enumerate(noise):
                dioptre = 2.0 - 0.5 * number
                item = Slice(image, 1.0 / dioptre)
                features = self.encode(item, dioptre, measured_only=measured_only)
                state = self.step(state, features)
            assert state is not None
            if not (self._compiles and self.device.type == "cuda"):
                # To compile it takes a minute, and it is only good for that number of slices.
                self.decode(state, list(range(len(noise))), **wanted)
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
        self._orders.clear()
        for function in self._captured:
            function.clear()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        here = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with torch.inference_mode(), here:
            yield


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
    BackendUnavailableError
        If the device cannot do what is asked for.
    DeviceError
        If it fails, or has too little memory for the weights.
    """
    kind = ARCHITECTURES[architecture].network_class()
    network: SweepNetwork = read_weights(file.path, sha256=file.sha256).network_as(kind)
    return SweepRunner(network, device, precision, compilation)


def _split(features: SliceFeatures) -> tuple[SliceFeatures, SliceFeatures]:
    """What goes into the state of a sweep, and what is kept beside it."""
    tokens = SliceFeatures(features.tokens, None, None, None, features.dioptre, features.size)
    return tokens, without_tokens(features)
