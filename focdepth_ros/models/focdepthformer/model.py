"""FocDepthFormer: slices go in one by one, depth in the sweep's own dioptres comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from focdepth_ros.errors import SliceError, StackError
from focdepth_ros.models.focdepthformer.config import FocDepthFormerConfig
from focdepth_ros.models.focdepthformer.decoder import Decoder, DepthHead
from focdepth_ros.models.focdepthformer.encoder import PATCH, SIZE_MULTIPLE, SliceEncoder
from focdepth_ros.models.focdepthformer.focus_guide import FocusEnergies, known_energies
from focdepth_ros.models.focdepthformer.latent_lstm import (
    LatentLstm,
    LstmState,
    PoolState,
    is_activated,
)
from focdepth_ros.models.focdepthformer.refinement import GuideEncoder, RefinementHead

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
    picture : (B, 12, h, w) uint8 or None
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


@dataclass(frozen=True, eq=False)
class SweepState:
    """A sweep so far: what `FocDepthFormer.step` goes on from."""

    slices: tuple[SliceFeatures, ...]
    pools: tuple[PoolState, ...]
    lstm: LstmState | None


class FocDepthFormer(nn.Module):
    """Depth from a focal stack of any length, whose slices may come one by one.

    `encode` looks at one slice, `step` takes it into the sweep, `decode` answers from the slices
    so far. `forward` does the three for whole stacks. Tokens of the deepest hook go through the
    latent LSTM; those of the others are pooled over the slices by the same rule without one (the
    paper leaves open which do).

    Parameters
    ----------
    config : FocDepthFormerConfig

    References
    ----------
    Kang, Han, Xiong, "FocDepthFormer: Transformer with latent LSTM for Depth Estimation from
    Focal Stack", arXiv 2310.11178.
    """

    def __init__(self, config: FocDepthFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SliceEncoder(config)
        width = self.encoder.width
        channels, guide = config.decoder_channels, config.guide_channels
        self.lstm = LatentLstm(
            width, config.lstm_hidden, config.lstm_layers, config.activation_threshold
        )
        self.decoder = Decoder(width, config.reassemble_channels, channels)
        classes = config.segmentation_classes
        if config.refinement:
            self.energies = FocusEnergies()
            self.guide = GuideEncoder(guide, channels)
            self.refine = RefinementHead(
                channels, guide, confidence=config.confidence, classes=classes
            )
            # Tokens come in gently: training may begin without them.
            for layer in self.decoder.project:
                nn.init.zeros_(layer.weight)
        else:
            self.head = DepthHead(channels)
            self.confidence_head = DepthHead(channels) if config.confidence else None
            self.label_head = nn.Conv2d(channels, classes, 3, padding=1) if classes else None

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the vision transformer, which learn at a rate of their own."""
        yield from self.encoder.vit.parameters()

    def encode(
        self,
        images: Tensor,
        dioptres: Tensor,
        valid_mask: Tensor | None = None,
        *,
        transformer: bool = True,
    ) -> SliceFeatures:
        """Look at slices, each for itself.

        Parameters
        ----------
        images : (B, 3, H, W) uint8
            RGB, of any size.
        dioptres : (B,) float32
            Inverse focus distances, 1/m.
        valid_mask : (B, H, W) bool, optional
            Where the images show the scene.
        transformer : bool
            Without it there are no tokens, and the focus measure is all that is looked at.
        """
        size = (images.shape[-2], images.shape[-1])
        padded = padded_to_multiple(images.float())
        tokens = tuple(self.encoder(padded / 127.5 - 1.0, dioptres)) if transformer else ()
        if not self.config.refinement:
            return SliceFeatures(tokens, None, None, None, dioptres, size)
        with torch.autocast(images.device.type, enabled=False):
            energies = self.energies(padded)
        picture = nn.functional.pixel_unshuffle(padded, 2).to(torch.uint8)
        known = None if valid_mask is None else known_cells(valid_mask)
        return SliceFeatures(tokens, energies, picture, known, dioptres, size)

    def step(self, state: SweepState | None, features: SliceFeatures) -> SweepState:
        """Take a slice into the sweep; None begins one."""
        before = () if state is None else state.slices
        if not features.tokens:
            return SweepState((*before, features), (), None)
        shallow, deep = features.tokens[:-1], features.tokens[-1]
        pools = tuple(map(PoolState.empty, shallow)) if state is None else state.pools
        lstm = None if state is None else state.lstm
        threshold = self.config.activation_threshold
        pools = tuple(
            pool.with_slice(tokens, tokens, is_activated(tokens, threshold))
            for pool, tokens in zip(pools, shallow, strict=True)
        )
        lstm = self.lstm.step(self.lstm.start(deep) if lstm is None else lstm, deep)
        return SweepState((*before, without_tokens(features)), pools, lstm)

    def decode(self, state: SweepState) -> Prediction:
        """Answer from the slices so far."""
        tokens = [pool.pooled() for pool in state.pools]
        if state.lstm is not None:
            tokens.append(self.lstm.finish(state.lstm))
        height, width = state.slices[0].size
        grid = tuple(-(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE // PATCH for side in (height, width))
        dioptres = torch.stack([item.dioptre for item in state.slices], dim=1)
        if self.config.refinement:
            found = self._refined(tokens, grid, state, dioptres)
        else:
            found = self._plain(tokens, grid, dioptres)
        return _cropped(found, height, width)

    def forward(self, images: Tensor, dioptres: Tensor, *, transformer: bool = True) -> Prediction:
        """Answer whole stacks at once.

        Parameters
        ----------
        images : (B, N, 3, H, W) uint8
            RGB, in the order of exposure.
        dioptres : (B, N) float32
            Inverse focus distances, 1/m.
        transformer : bool
            See `encode`: training begins without, since that is several times as fast.

        Raises
        ------
        SliceError
            If the images are not RGB in 8 bits.
        StackError
            If there is not one finite dioptre, 0 or more, for each slice, or two are equal.
        """
        check_stacks(images, dioptres)
        batch, count = images.shape[:2]
        every = self.encode(images.flatten(0, 1), dioptres.flatten(), transformer=transformer)
        state = None
        for number in range(count):
            state = self.step(state, _one_slice(every, (batch, count), number))
        assert state is not None
        return self.decode(state)

    def _refined(
        self,
        tokens: list[Tensor],
        grid: tuple[int, ...],
        state: SweepState,
        dioptres: Tensor,
    ) -> Prediction:
        order = dioptres.argsort(dim=1, descending=True)
        with torch.autocast(dioptres.device.type, enabled=False):
            energies = _sorted_rows([item.energies for item in state.slices], order)
            pictures = _stacked([item.picture for item in state.slices])
            known = known_of(state.slices)
            if known is not None:
                energies = known_energies(energies, _sorted_rows(known, order))
            positions = normalised_dioptres(dioptres.gather(1, order), dioptres)
        guide = self.guide(energies, positions, pictures, order)
        refined = self.refine(self.decoder(tokens, grid, guide.laterals), guide)
        return Prediction(
            refined.position, refined.confidence_logits, refined.labels, refined.coarse_positions
        )

    def _plain(self, tokens: list[Tensor], grid: tuple[int, ...], dioptres: Tensor) -> Prediction:
        fused = self.decoder(tokens, grid)
        answer = self.head(fused).float()
        if self.config.output == "metres":
            depth = nn.functional.softplus(answer) + 1e-3
            position = normalised_dioptres(1.0 / depth, dioptres)
        else:
            position = answer
        confidence = None if self.confidence_head is None else self.confidence_head(fused)
        labels = None
        if self.label_head is not None:
            labels = nn.functional.interpolate(
                self.label_head(fused), scale_factor=2.0, mode="bilinear"
            )
        return Prediction(position, confidence, labels)


def check_stacks(images: Tensor, dioptres: Tensor) -> None:
    """Refuse what is no batch of focal stacks; see `FocDepthFormer.forward`."""
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
    if all(item.known is None for item in slices):
        return None
    masks = []
    for item in slices:
        assert item.energies is not None  # only beside them there are masks
        everywhere = torch.ones_like(item.energies[:, :1], dtype=torch.bool)
        masks.append(everywhere if item.known is None else item.known)
    return masks


def without_tokens(features: SliceFeatures) -> SliceFeatures:
    """They are in the pools and the LSTM; kept, they would fill the memory of a long sweep."""
    return replace(features, tokens=())


def _one_slice(every: SliceFeatures, shape: tuple[int, int], number: int) -> SliceFeatures:
    """Slice of each stack from what was encoded of all (B * N, ...)."""

    def chosen(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.unflatten(0, shape)[:, number]

    tokens = tuple(values.unflatten(0, shape)[:, number] for values in every.tokens)
    dioptre = every.dioptre.unflatten(0, shape)[:, number]
    return SliceFeatures(
        tokens, chosen(every.energies), chosen(every.picture), None, dioptre, every.size
    )


def _stacked(values: Sequence[Tensor | None]) -> Tensor:
    """Slices (B, C, h, w) as (B, N, C, h, w)."""
    return torch.stack([item for item in values if item is not None], dim=1)


def _sorted_rows(values: Sequence[Tensor | None], order: Tensor) -> Tensor:
    """Slices (B, C, h, w) as (B, N, C, h, w), in the order (B, N)."""
    batch, count = order.shape
    first = count * torch.arange(batch, device=order.device)
    rows = (order + first[:, None]).flatten()
    # Whole rows are copied: several times as fast as an index of two dimensions.
    return _stacked(values).flatten(0, 1).index_select(0, rows).unflatten(0, (batch, count))


def _cropped(found: Prediction, height: int, width: int) -> Prediction:
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
