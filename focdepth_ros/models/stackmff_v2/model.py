"""StackMFF-V2: slices go in one by one, the sharpest place of the sweep comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from focdepth_ros.models.banded_guide import enlarged_rows, refined_in_bands, rows_of_a_band
from focdepth_ros.models.focus_guide import MEASURES, FocusEnergies, known_energies
from focdepth_ros.models.refinement import GuideEncoder, GuideInput, RefinementHead
from focdepth_ros.models.residual_units import FusionBlock, enlarged, fused_levels
from focdepth_ros.models.stackmff_v2.config import StackMffV2Config
from focdepth_ros.models.stackmff_v2.feature_extraction import FeatureExtraction
from focdepth_ros.models.stackmff_v2.recurrent_unit import ConvGruCell
from focdepth_ros.models.sweeps import (
    Prediction,
    SliceFeatures,
    SweepNetwork,
    cropped,
    guide_input,
    known_cells,
    known_of,
    normalised_dioptres,
    padded_to_multiple,
    rows_of,
)

_LUMA = (0.299, 0.587, 0.114)
_WHITE = 255.0
_CELL = 4  # pixels of a cell of 2x2
_GUIDE_LEVELS = 4
_LEVEL_SCALE = 0.125  # log energies go to about 8


@dataclass(frozen=True, eq=False)
class StackState:
    """A sweep so far: what `StackMffV2.step` goes on from.

    Parameters
    ----------
    slices : tuple of SliceFeatures
        With the features of each and the recurrent state after it as tokens.
    hidden : (B, hidden, h, w)
        The state after the last.
    """

    slices: tuple[SliceFeatures, ...]
    hidden: Tensor


class StackMffV2(SweepNetwork):
    """Which slice of a focal stack is the sharp one at every pixel.

    Each slice is looked at for itself, then a recurrent unit goes over the slices in both
    directions and gives every pixel of every slice a score. Their softmax is the probability
    that the slice is the sharp one, and its mean over the sweep the answer. With the focus guide
    the scores are one more curve beside those of the focus measure.

    `encode` looks at one slice, `step` takes it into the sweep, in one direction; `decode` goes
    back in the other and answers. `forward` does the three for whole stacks.

    Parameters
    ----------
    config : StackMffV2Config

    References
    ----------
    Xie et al., StackMFF-V2, https://github.com/Xinzhe99/StackMFF-V2; the names of its parts there
    are in `official_weights`.
    """

    def __init__(self, config: StackMffV2Config) -> None:
        super().__init__()
        self.config = config
        self.features = FeatureExtraction(config, _CELL + MEASURES if config.focus_guide else 1)
        self.onward = ConvGruCell(config.features, config.hidden)
        self.backward = ConvGruCell(config.features, config.hidden)
        self.register_buffer("luma", torch.tensor(_LUMA), persistent=False)
        if config.focus_guide:
            curves, guide, channels = MEASURES + 1, config.guide_channels, config.decoder_channels
            self.energies = FocusEnergies()
            self.guide = GuideEncoder(guide, channels, measures=curves)
            self.fusion = nn.ModuleList(
                FusionBlock(channels, coarsest=number == 0) for number in range(_GUIDE_LEVELS)
            )
            self.refine = RefinementHead(
                channels, guide, confidence=config.confidence, classes=0, measures=curves
            )

    def fold(self) -> None:
        """Also those of the features."""
        super().fold()
        self.features.fold()

    def parts_to_compile(self) -> list[nn.Module]:
        """What looks at one slice, and the recurrent units."""
        measures = [self.energies] if self.config.focus_guide else []
        return [self.features, self.onward, self.backward, *measures]

    def encode(
        self, images: Tensor, dioptres: Tensor, valid_mask: Tensor | None = None
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
        """
        grey = self._grey(images)
        found = self._measured(images, grey, dioptres, valid_mask)
        seen = grey / _WHITE
        if found.energies is not None:
            cells = [functional.pixel_unshuffle(seen, 2), found.energies * _LEVEL_SCALE]
            seen = torch.cat(cells, dim=1)
        return replace(found, tokens=(self.features(seen),))

    def measure(
        self, images: Tensor, dioptres: Tensor, valid_mask: Tensor | None = None
    ) -> SliceFeatures:
        """What `encode` gives without the features."""
        return self._measured(images, self._grey(images), dioptres, valid_mask)

    @property
    def measures_sharpness(self) -> bool:
        """Whether there is a focus guide."""
        return self.config.focus_guide

    def step(self, state: StackState | None, features: SliceFeatures) -> StackState:
        """Take a slice into the sweep; None begins one."""
        before = () if state is None else state.slices
        own = features.tokens[0]
        hidden = self.onward(own, None if state is None else state.hidden)
        return StackState((*before, replace(features, tokens=(own, hidden))), hidden)

    def decode(self, state: StackState) -> Prediction:
        """Answer from the slices so far."""
        slices = state.slices
        scores = self.scores([item.tokens for item in slices])
        if self.config.focus_guide:
            found = self._guided(slices, scores)
        else:
            found = Prediction(self._position(slices, scores))
        return cropped(found, *slices[0].size)

    def scores(self, tokens: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
        """How sharp each slice is next to the others: log probabilities up to a constant.

        Parameters
        ----------
        tokens : sequence of ((B, features, h, w), (B, hidden, h, w))
            Of each slice its features and the recurrent state after it.

        Returns
        -------
        list of (B, 1, h, w)
        """
        found = []
        hidden = None
        for features, onward in reversed(tokens):
            hidden = self.backward(features, hidden)
            found.append((onward + hidden).amax(dim=1, keepdim=True))
        return found[::-1]

    def _grey(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) as (B, 1, H, W), in [0, 255] like them, padded."""
        with torch.autocast(images.device.type, enabled=False):
            # A product of a matrix and a vector, as images lie in memory pixel by pixel.
            grey = images.float().permute(0, 2, 3, 1) @ self.luma
        return padded_to_multiple(grey[:, None])

    def _measured(
        self,
        images: Tensor,
        grey: Tensor,
        dioptres: Tensor,
        valid_mask: Tensor | None,
    ) -> SliceFeatures:
        """Focus measure and picture, where there is a guide for them, of grey images made ready."""
        size = (images.shape[-2], images.shape[-1])
        known = None if valid_mask is None else known_cells(valid_mask)
        if not self.config.focus_guide:
            return SliceFeatures((), None, None, known, dioptres, size)
        with torch.autocast(images.device.type, enabled=False):
            energies = self.energies.of_grey(grey)
        return SliceFeatures((), energies, images, known, dioptres, size)

    def _position(self, slices: Sequence[SliceFeatures], scores: Sequence[Tensor]) -> Tensor:
        """Mean place in the sweep (B, h, w) by the scores alone."""
        dioptres = torch.stack([item.dioptre for item in slices], dim=1)
        at = normalised_dioptres(dioptres, dioptres)[:, :, None, None]
        curves = torch.cat(list(scores), dim=1).float()
        known = known_of(slices)
        if known is not None:
            seen = torch.cat(known, dim=1).float()
            seen = functional.interpolate(seen, size=curves.shape[-2:], mode="nearest") > 0.5
            curves = known_energies(curves[:, :, None], seen[:, :, None])[:, :, 0]
        return (torch.softmax(curves, dim=1) * at).sum(dim=1)

    def _guided(self, slices: Sequence[SliceFeatures], scores: Sequence[Tensor]) -> Prediction:
        height, width = (2 * side for side in scores[0].shape[-2:])
        rows = rows_of_a_band((height, width), len(slices) * (MEASURES + 1))
        whole = rows == height or torch.is_grad_enabled() or torch.compiler.is_compiling()
        if not whole and scores[0].device.type == "cpu":

            def guide_rows(begin: int, end: int) -> GuideInput:
                some = [rows_of(item, begin, end) for item in slices]
                return guide_input(
                    some, [enlarged_rows(score.float(), begin, end) for score in scores]
                )

            found = refined_in_bands(
                self.guide, list(self.fusion), self.refine, guide_rows, (height, width), rows
            )
            return Prediction(found.position, found.confidence_logits)
        guide = self.guide(guide_input(slices, [enlarged(score.float()) for score in scores]))
        refined = self.refine(fused_levels(self.fusion, guide.laterals), guide)
        coarse = refined.coarse_positions
        if self.training:  # the recurrent units learn to answer for themselves, too
            coarse = (enlarged(enlarged(self._position(slices, scores)[:, None]))[:, 0], *coarse)
        return Prediction(refined.position, refined.confidence_logits, None, coarse)
