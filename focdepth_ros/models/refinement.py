"""Refinement guided by the focus measure: from tokens' coarse depth to that of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from focdepth_ros.models.evidence import READINGS, Evidence
from focdepth_ros.models.focus_guide import (
    MEASURES,
    STATISTICS,
    Curves,
    focus_statistics,
    sampled_curves,
    slice_coordinates,
    step_of,
)
from focdepth_ros.models.pointwise import mixed, planes_of
from focdepth_ros.models.residual_units import ResidualUnit, enlarged

PICTURE_CHANNELS = 12  # RGB of the 2x2 pixels of a cell
_OFFSETS = (-1.5, -0.75, 0.0, 0.75, 1.5)  # steps
_NEIGHBOURS = 9
_FARTHEST = 2.0  # steps; a candidate farther away counts as that far


@dataclass(frozen=True, eq=False)
class GuideInput:
    """A whole sweep in cells of 2x2 pixels.

    Parameters
    ----------
    energies : (B, N, K, h, w) float32
        Log focus measure and what else speaks for a slice, near to far.
    positions : (B, N) float32
        Normalised dioptres, near to far: falling.
    pictures : tuple of N (B, 3, H, W) uint8
        In the order of exposure, not padded.
    order : (B, N) int64
        Numbers of the pictures, near to far.
    """

    energies: Tensor
    positions: Tensor
    pictures: tuple[Tensor, ...]
    order: Tensor


@dataclass(frozen=True, eq=False)
class Guide:
    """The focus measure of a sweep and what it says of every cell of 2x2 pixels.

    Parameters
    ----------
    curves : Curves
        Log focus measure, near to far.
    positions : (B, N)
        Normalised dioptres, falling.
    candidates : (B, 2 K, h, w)
        Positions at which the measures have their peaks.
    features : (B, G, h, w)
    laterals : tuple of 4 (B, C, ., .)
        At 1/4, 1/8, 1/16 and 1/32 of the image.
    """

    curves: Curves
    positions: Tensor
    candidates: Tensor
    features: Tensor
    laterals: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Refined:
    """Answers at the resolution of the image; all (B, H, W), labels (B, classes, H, W)."""

    position: Tensor
    confidence_logits: Tensor | None
    labels: Tensor | None
    coarse_positions: tuple[Tensor, ...]


class GuideEncoder(nn.Module):
    """From focus statistics and the sharpest picture to features at 1/2 to 1/32.

    Parameters
    ----------
    guide_channels, decoder_channels : int
    measures : int
        Curves at every place.
    """

    def __init__(
        self, guide_channels: int, decoder_channels: int, *, measures: int = MEASURES
    ) -> None:
        super().__init__()
        given = STATISTICS * measures + PICTURE_CHANNELS + 1
        self.mix = nn.Conv2d(given, guide_channels, 1)
        self.first = ResidualUnit(guide_channels)
        widths = (guide_channels, *(decoder_channels,) * 3)
        self.reduce = nn.ModuleList(
            nn.Conv2d(width, decoder_channels, 3, stride=2, padding=1) for width in widths
        )
        # Two at every scale: what is plain is told by what lies around it, and that is far away.
        self.units = nn.ModuleList(
            nn.Sequential(ResidualUnit(decoder_channels), ResidualUnit(decoder_channels))
            for _ in widths
        )

    def forward(self, given: GuideInput) -> Guide:
        """Look at a whole sweep."""
        features, candidates, peak = self.looked_at(given)
        laterals = self.laterals_of(self.reduce[0](nn.functional.relu(features)))
        curves = Curves(given.energies, peak)
        return Guide(curves, given.positions, candidates, features, laterals)

    def looked_at(self, given: GuideInput) -> tuple[Tensor, Tensor, Tensor]:
        """Features, candidates and peaks of the curves, as in a `Guide`.

        Of some rows of a sweep they are those of the whole, but for the features of the outermost
        two rows.
        """
        energies, order = given.energies, given.order
        statistics, candidates, sharpest, peak = focus_statistics(energies, given.positions)
        sharpest = order.gather(1, sharpest.flatten(1)).reshape(sharpest.shape)
        picture = chosen_cells(given.pictures, sharpest).div_(127.5).sub_(1.0)
        spacing = torch.full_like(picture[:, :1], step_of(energies.shape[1]))
        features = self.first(mixed(self.mix, [statistics, picture, spacing]))
        return features, candidates, peak

    def laterals_of(self, reduced: Tensor) -> tuple[Tensor, ...]:
        """The laterals of a `Guide` from the features at 1/4, which `reduce` begins with."""
        found: Tensor = self.units[0](reduced)
        laterals = [found]
        for reduce, unit in zip(self.reduce[1:], self.units[1:], strict=True):
            found = unit(reduce(nn.functional.relu(found)))
            laterals.append(found)
        return tuple(laterals)


class RefinementHead(nn.Module):
    """Chooses between the positions that the focus measures and the decoder propose.

    A first choice is a mean of the proposals, weighted by the features. Then the curves of the
    focus measure around it are looked at once more, and it is corrected by parts of a step.
    Pixels are interpolated between the 3x3 cells around them by learned weights, so that edges
    stay sharp (the convex upsampling of RAFT, arXiv 2003.12039, section 3.3).

    Parameters
    ----------
    decoder_channels, guide_channels : int
    confidence : bool
    classes : int
        Of the segmentation; 0: none.
    measures : int
        Curves at every place.
    """

    def __init__(
        self,
        decoder_channels: int,
        guide_channels: int,
        *,
        confidence: bool,
        classes: int,
        measures: int = MEASURES,
    ) -> None:
        super().__init__()
        candidates = 2 * measures + 1 + READINGS
        self.mix = nn.Conv2d(decoder_channels + guide_channels, guide_channels, 1)
        self.first = ResidualUnit(guide_channels)
        self.propose = nn.Conv2d(guide_channels, 1, 1)
        self.evidence = Evidence(guide_channels, measures)
        self.choose = nn.Conv2d(guide_channels, candidates, 1)
        looked_at = len(_OFFSETS) * (measures + 1) + candidates
        self.look = nn.Conv2d(guide_channels + looked_at, guide_channels, 1)
        self.second = ResidualUnit(guide_channels)
        self.third = ResidualUnit(guide_channels)
        self.correct = nn.Conv2d(guide_channels, 1, 1)
        self.upsample = nn.Conv2d(guide_channels, 4 * _NEIGHBOURS, 1)
        self.confidence = nn.Conv2d(guide_channels, 1, 1) if confidence else None
        self.labels = nn.Conv2d(guide_channels, classes, 1) if classes else None
        for layer in (self.propose, self.choose, self.correct, self.upsample):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.propose.bias, 0.5)
        nn.init.constant_(self.choose.bias[-READINGS:], 2.0)

    def forward(self, fused: Tensor, guide: Guide) -> Refined:
        """Features (B, C, h, w) of the decoder at half the resolution to the answer."""
        features = self.first(mixed(self.mix, [fused, guide.features]))
        proposed, chosen, found = self._looked_at(features, guide)
        step = step_of(guide.positions.shape[1])
        position = chosen + step * planes_of(self.correct, found).float()[:, 0]
        logits = None
        if self.confidence is not None:
            logits = enlarged(planes_of(self.confidence, found))[:, 0]
        labels = None if self.labels is None else enlarged(self.labels(found))
        coarse = (enlarged(proposed)[:, 0], enlarged(chosen[:, None])[:, 0])
        full = convex_upsampled(position, planes_of(self.upsample, found).float())
        return Refined(full, logits, labels, coarse)

    def _looked_at(self, features: Tensor, guide: Guide) -> tuple[Tensor, Tensor, Tensor]:
        """Proposal (B, 1, h, w), first choice (B, h, w), and features that know both."""
        active = nn.functional.relu(features)
        proposed = planes_of(self.propose, active).float()
        evidence, readings = self.evidence(active, guide.curves, guide.positions, proposed)
        candidates = torch.cat([guide.candidates, proposed, readings], dim=1)
        weight = torch.softmax(planes_of(self.choose, active).float(), dim=1)
        chosen = (weight * candidates).sum(dim=1)

        at = chosen.detach()
        places = slice_coordinates(at, guide.positions)
        curves = sampled_curves((guide.curves, evidence), places, _OFFSETS)
        step = step_of(guide.positions.shape[1])
        apart = (candidates.detach() - at[:, None]).div_(step).clamp_(-_FARTHEST, _FARTHEST)
        found = mixed(self.look, [features, curves, apart])
        return proposed, chosen, nn.functional.relu(self.third(self.second(found)))


def chosen_cells(pictures: Sequence[Tensor], number: Tensor) -> Tensor:
    """Cells of 2x2 pixels, each of the picture whose number is given for it.

    Parameters
    ----------
    pictures : sequence of N (B, 3, H, W) uint8
    number : (B, 1, h, w) int64
        In [0, N - 1]. The last rows and columns are repeated up to 2 h and 2 w.

    Returns
    -------
    (B, 12, h, w) float32
    """
    batch, _, height, width = pictures[0].shape
    cells_high, cells_wide = number.shape[2:]
    device = number.device
    # Places of the pixels of the cells in a picture: (2, 2, h, w).
    rows = torch.arange(2 * cells_high, device=device).clamp_(max=height - 1)
    columns = torch.arange(2 * cells_wide, device=device).clamp_(max=width - 1)
    rows, columns = rows.reshape(-1, 2).t() * width, columns.reshape(-1, 2).t()
    place = rows[:, None, :, None] + columns[None, :, None, :]
    # Cells beyond the picture repeat the last pixel that is shown, from the slice it is from.
    number = number.index_select(2, rows[0] // (2 * width)).index_select(3, columns[0] // 2)
    first = number * batch + torch.arange(batch, device=device)[:, None, None, None]
    place = place + (first * (height * width))[:, :, None]
    # Images lie in memory pixel by pixel: three bytes are copied at once.
    pixels = torch.cat([picture.permute(0, 2, 3, 1) for picture in pictures]).flatten(0, 2)
    chosen = pixels.index_select(0, place.flatten()).reshape(*place.shape, 3)
    return chosen.permute(0, 5, 1, 2, 3, 4).flatten(1, 3).float()


def convex_upsampled(values: Tensor, logits: Tensor) -> Tensor:
    """Twice as large, each pixel a weighted mean of the 3x3 cells around its own.

    Parameters
    ----------
    values : (B, h, w)
    logits : (B, 36, h, w)
        Of the weights: neighbour by neighbour those of the 4 pixels of a cell.

    Returns
    -------
    (B, 2 h, 2 w)
    """
    height, width = values.shape[1:]
    weight = torch.softmax(logits.unflatten(1, (_NEIGHBOURS, 4)), dim=1)
    padded = nn.functional.pad(values[:, None], (1, 1, 1, 1), mode="replicate")
    cells = torch.zeros_like(weight[:, 0])
    for number in range(_NEIGHBOURS):
        top, left = divmod(number, 3)
        window = padded[..., top : top + height, left : left + width]
        cells.addcmul_(weight[:, number], window)
    return nn.functional.pixel_shuffle(cells, 2)[:, 0]
