"""What the networks are given of a sweep and what they answer, slice by slice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from focdepth_ros.errors import SliceError, StackError
from focdepth_ros.models.focus_guide import known_energies
from focdepth_ros.models.refinement import GuideInput
from focdepth_ros.models.residual_units import ResidualUnit

#: Sides of padded images are multiples of it, px: the coarsest features are at 1/32.
SIZE_MULTIPLE = 32
_MASK_REACH = 5  # cells, odd: the focus measure of a pixel looks as far


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer of the network.

    Parameters
    ----------
    position : (B, H, W) float32
        Normalised dioptres: 0 at the sweep's farthest focus distance, 1 at its nearest. What
        lies beyond the sweep is a little outside of that.
    confidence_logits : (B, H, W) or None
        Logits of the probability that the position is right within a quarter of a step.
    labels : (B, classes, H, W) or None
        Logits of the segmentation.
    coarse_positions : tuple of (B, H, W)
        Positions before they were refined, for training.
    """

    position: Tensor
    confidence_logits: Tensor | None = None
    labels: Tensor | None = None
    coarse_positions: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False)
class SliceFeatures:
    """All that is computed of a slice for itself; overlapping sweeps can share it.

    Parameters
    ----------
    tokens : tuple of 4 (B, P, D)
    energies : (B, K, h, w) float32 or None
        Log focus measure; only with refinement, as `picture`.
    picture : (B, 3, H, W) uint8 or None
        The image as it was given: in the memory of a CPU it is not copied.
    known : (B, 1, h, w) bool or None
        Where the slice shows the scene; None: everywhere.
    dioptre : (B,) float32
    size : (H, W)
        Of the image, before it was padded.
    """

    tokens: tuple[Tensor, ...]
    energies: Tensor | None
    picture: Tensor | None
    known: Tensor | None
    dioptre: Tensor
    size: tuple[int, int]


class SweepNetwork(nn.Module, ABC):
    """A network that takes a sweep slice by slice.

    Its state is a frozen dataclass with a field ``slices``: the features of the slices so far, with
    as tokens what `decode` needs of each.
    """

    @abstractmethod
    def encode(
        self, images: Tensor, dioptres: Tensor, valid_mask: Tensor | None = None
    ) -> SliceFeatures:
        """Look at slices, each for itself."""

    @abstractmethod
    def measure(
        self, images: Tensor, dioptres: Tensor, valid_mask: Tensor | None = None
    ) -> SliceFeatures:
        """What `encode` gives but for the tokens: enough to tell the sharpest slices."""

    @property
    @abstractmethod
    def measures_sharpness(self) -> bool:
        """Whether there is a focus measure in the features of a slice."""

    @abstractmethod
    def step(self, state: Any, features: SliceFeatures) -> Any:
        """Take a slice into the sweep; None begins one."""

    @abstractmethod
    def decode(self, state: Any) -> Prediction:
        """Answer from the slices so far."""

    def forward(self, images: Tensor, dioptres: Tensor, **how: bool) -> Prediction:
        """Answer whole stacks at once.

        Parameters
        ----------
        images : (B, N, 3, H, W) uint8
            RGB, in the order of exposure.
        dioptres : (B, N) float32
            Inverse focus distances, 1/m.
        **how
            For `encode`, where it takes more.

        Raises
        ------
        SliceError
            If the images are not RGB in 8 bits.
        StackError
            If there is not one finite dioptre, 0 or more, for each slice, or two are equal.
        """
        check_stacks(images, dioptres)
        batch, count = images.shape[:2]
        every = self.encode(images.flatten(0, 1), dioptres.flatten(), **how)
        state: Any = None
        slices: list[SliceFeatures] = []
        for number in range(count):
            # The slices before have no part in it, and would make every step another one.
            bare = None if state is None else replace(state, slices=())
            state = self.step(bare, _one_slice(every, (batch, count), number))
            slices.extend(state.slices)
        return self.decode(replace(state, slices=tuple(slices)))

    def fold(self) -> None:
        """Make normalisations whose statistics are final part of the weights before them."""
        for part in list(self.modules()):
            if isinstance(part, ResidualUnit):
                part.fold()

    @abstractmethod
    def parts_to_compile(self) -> list[nn.Module]:
        """What works on images of one size, whatever the number of slices."""


def check_stacks(images: Tensor, dioptres: Tensor) -> None:
    """Refuse what is no batch of focal stacks; see `SweepNetwork.forward`."""
    if images.ndim != 5 or images.shape[2] != 3 or images.dtype != torch.uint8:
        raise SliceError(
            f"images are {images.dtype} {tuple(images.shape)}; give uint8 RGB (B, N, 3, H, W)"
        )
    if dioptres.shape != images.shape[:2] or not images.shape[1]:
        raise StackError(
            f"dioptres have shape {tuple(dioptres.shape)}, images {tuple(images.shape)}; give one "
            "inverse focus distance per slice, and at least one slice"
        )
    # Values cannot be looked at while the work on them is only written down.
    if torch.compiler.is_compiling() or (
        images.is_cuda and torch.cuda.is_current_stream_capturing()
    ):
        return
    if not (torch.isfinite(dioptres) & (dioptres >= 0.0)).all():
        raise StackError(
            f"dioptres are {dioptres.tolist()}; give inverse focus distances in 1/m, finite and "
            "0 or more"
        )
    if (dioptres.sort(dim=1).values.diff(dim=1) == 0.0).any():
        raise StackError(
            f"dioptres are {dioptres.tolist()}, two of a stack are equal; give each focus distance "
            "once"
        )


def normalised_dioptres(values: Tensor, dioptres: Tensor) -> Tensor:
    """Dioptres in the range of a sweep: 0 at its farthest and 1 at its nearest.

    Of one slice, which has no range, 0.5 lies at its distance and a dioptre is a dioptre.

    Parameters
    ----------
    values : (B, ...)
        1/m.
    dioptres : (B, N)
        Of the sweep.
    """
    shape = (-1, *(1,) * (values.ndim - 1))
    low, high = dioptres.amin(dim=1).reshape(shape), dioptres.amax(dim=1).reshape(shape)
    if dioptres.shape[1] == 1:
        return values - low + 0.5
    return (values - low) / (high - low)


def padded_to_multiple(images: Tensor) -> Tensor:
    """Repeat the last rows and columns (B, C, H, W) up to multiples of `SIZE_MULTIPLE`."""
    bottom, right = (-images.shape[-2]) % SIZE_MULTIPLE, (-images.shape[-1]) % SIZE_MULTIPLE
    if not (bottom or right):
        return images
    return nn.functional.pad(images, (0, right, 0, bottom), mode="replicate")


def known_cells(valid_mask: Tensor) -> Tensor:
    """(B, H, W) bool to the cells (B, 1, h, w) whose focus measure sees valid pixels only."""
    hidden = torch.logical_not(valid_mask)[:, None].float()
    hidden = nn.functional.max_pool2d(padded_to_multiple(hidden), 2)
    reach = _MASK_REACH // 2
    return nn.functional.max_pool2d(hidden, _MASK_REACH, stride=1, padding=reach) == 0.0


def known_of(slices: Sequence[SliceFeatures]) -> list[Tensor] | None:
    """Where each slice shows the scene, (B, 1, h, w) bool; None if all show it everywhere."""
    masks = [item.known for item in slices if item.known is not None]
    if not masks:
        return None
    everywhere = torch.ones_like(masks[0])
    return [everywhere if item.known is None else item.known for item in slices]


def guide_input(slices: Sequence[SliceFeatures], more_curves: Sequence[Tensor] = ()) -> GuideInput:
    """What the guide looks at of a sweep, near to far.

    Parameters
    ----------
    slices : sequence of SliceFeatures
        In the order of exposure, with energies and pictures.
    more_curves : sequence of (B, 1, h, w), optional
        What else is known of each slice, to stand behind its energies.
    """
    dioptres = torch.stack([item.dioptre for item in slices], dim=1)
    order = dioptres.argsort(dim=1, descending=True)
    with torch.autocast(dioptres.device.type, enabled=False):
        energies = _sorted_rows([item.energies for item in slices], order, more_curves)
        known = known_of(slices)
        if known is not None:
            energies = known_energies(energies, _sorted_rows(known, order))
        positions = normalised_dioptres(dioptres.gather(1, order), dioptres)
    pictures = tuple(item.picture for item in slices if item.picture is not None)
    return GuideInput(energies, positions, pictures, order)


def rows_of(item: SliceFeatures, begin: int, end: int) -> SliceFeatures:
    """Of a slice what `guide_input` takes, of the rows of cells from one number up to another."""

    def some(values: Tensor | None, cell: int = 1) -> Tensor | None:
        return None if values is None else values[:, :, cell * begin : cell * end]

    return replace(
        item,
        tokens=(),
        energies=some(item.energies),
        picture=some(item.picture, 2),
        known=some(item.known),
    )


def without_tokens(features: SliceFeatures) -> SliceFeatures:
    """They are in the pools and the LSTM; kept, they would fill the memory of a long sweep."""
    return replace(features, tokens=())


def _one_slice(every: SliceFeatures, shape: tuple[int, int], number: int) -> SliceFeatures:
    """Slice of each stack, of the number `number`, from what was encoded of all (B * N, ...)."""

    def chosen(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.unflatten(0, shape)[:, number]

    tokens = tuple(values.unflatten(0, shape)[:, number] for values in every.tokens)
    dioptre = every.dioptre.unflatten(0, shape)[:, number]
    return SliceFeatures(
        tokens, chosen(every.energies), chosen(every.picture), None, dioptre, every.size
    )


def _sorted_rows(
    values: Sequence[Tensor | None], order: Tensor, more: Sequence[Tensor] = ()
) -> Tensor:
    """Slices (B, C, h, w), with `more` channels each, as (B, N, C, h, w) in the order (B, N)."""
    batch, count = order.shape
    each = [part for part in values if part is not None]
    on_host = batch == 1 and order.device.type == "cpu" and not torch.compiler.is_compiling()
    if on_host:  # the order can be read without waiting for it, and nothing is copied twice
        rows = order[0].tolist()
        each, more = [each[row] for row in rows], [more[row] for row in rows if more]
    if more:
        each = [part for pair in zip(each, more, strict=True) for part in pair]
    stacked = torch.cat(each, dim=1).unflatten(1, (count, -1))
    if on_host:
        return stacked
    first = count * torch.arange(batch, device=order.device)
    # Whole rows are copied: several times as fast as an index of two dimensions.
    chosen = (order + first[:, None]).flatten()
    return stacked.flatten(0, 1).index_select(0, chosen).unflatten(0, (batch, count))


def cropped(found: Prediction, height: int, width: int) -> Prediction:
    """Without what was padded."""

    def crop(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[..., :height, :width]

    position = crop(found.position)
    assert position is not None
    return Prediction(
        position,
        crop(found.confidence_logits),
        crop(found.labels),
        tuple(item[..., :height, :width] for item in found.coarse_positions),
    )
