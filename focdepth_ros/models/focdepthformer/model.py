"""FocDepthFormer: slices go in one by one, depth in the sweep's own dioptres comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from focdepth_ros.models.focdepthformer.config import FocDepthFormerConfig
from focdepth_ros.models.focdepthformer.decoder import Decoder, DepthHead
from focdepth_ros.models.focdepthformer.encoder import PATCH, SliceEncoder
from focdepth_ros.models.focdepthformer.latent_lstm import (
    LatentLstm,
    LstmState,
    PoolState,
    is_activated,
)
from focdepth_ros.models.focus_guide import FocusEnergies
from focdepth_ros.models.refinement import GuideEncoder, RefinementHead
from focdepth_ros.models.sweeps import (
    SIZE_MULTIPLE,
    Prediction,
    SliceFeatures,
    SweepNetwork,
    cropped,
    guide_input,
    known_cells,
    normalised_dioptres,
    padded_to_multiple,
    without_tokens,
)


@dataclass(frozen=True, eq=False)
class SweepState:
    """A sweep so far: what `FocDepthFormer.step` goes on from."""

    slices: tuple[SliceFeatures, ...]
    pools: tuple[PoolState, ...]
    lstm: LstmState | None


class FocDepthFormer(SweepNetwork):
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

    def parts_to_compile(self) -> list[nn.Module]:
        """Encoder and decoder, and the focus measure."""
        measures = [self.energies] if self.config.refinement else []
        return [self.encoder, self.decoder, *measures]

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
        known = None if valid_mask is None else known_cells(valid_mask)
        return SliceFeatures(tokens, energies, images, known, dioptres, size)

    def measure(
        self, images: Tensor, dioptres: Tensor, valid_mask: Tensor | None = None
    ) -> SliceFeatures:
        """What `encode` gives without the transformer."""
        return self.encode(images, dioptres, valid_mask, transformer=False)

    @property
    def measures_sharpness(self) -> bool:
        """Whether a focus measure guides the refinement."""
        return self.config.refinement

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
        if self.config.refinement:
            found = self._refined(tokens, grid, state)
        else:
            dioptres = torch.stack([item.dioptre for item in state.slices], dim=1)
            found = self._plain(tokens, grid, dioptres)
        return cropped(found, height, width)

    def _refined(
        self, tokens: list[Tensor], grid: tuple[int, ...], state: SweepState
    ) -> Prediction:
        guide = self.guide(guide_input(state.slices))
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
