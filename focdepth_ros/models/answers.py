"""From the prediction of a network to an answer: slices, metres, confidence, all-in-focus image.

All of it is work of the network's device, and nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from focdepth_ros.classical.torch_all_in_focus import (
    blend_all_in_focus,
    enlarge,
    median_of_labels,
    picked,
)
from focdepth_ros.models.depth_confidence import logit_of_depth
from focdepth_ros.models.focus_guide import known_energies, largest_slice, slice_coordinates
from focdepth_ros.models.sweeps import Prediction, SliceFeatures, known_of, normalised_dioptres

_MEDIAN = 5  # cells


@dataclass(frozen=True)
class Wanted:
    """What an answer is to have beside positions and confidence.

    Parameters
    ----------
    metres : bool
    sharpest : bool
        Where the finest detail is strongest.
    picture : bool
        An all-in-focus image, where `picture_of` makes one: of the slices in `sharpest`, if that
        is wanted and known, and otherwise of those of the depth.
    blend : bool
        Whether that is mixed from neighbouring slices.
    """

    metres: bool = True
    sharpest: bool = True
    picture: bool = False
    blend: bool = True


@dataclass(frozen=True, eq=False)
class DeviceAnswer:
    """An `Answer` that is still on the device, and whether all of it is finite."""

    slice_index: Tensor
    depth: Tensor | None
    confidence: Tensor | None
    sharpest: Tensor | None
    picture: Tensor | None
    is_finite: Tensor


def answer_of(
    prediction: Prediction, slices: Sequence[SliceFeatures], order: Tensor, wanted: Wanted
) -> DeviceAnswer:
    """What a prediction says of one sweep.

    Parameters
    ----------
    prediction : Prediction
        Of a batch of one.
    slices : sequence of N SliceFeatures
        In the order of exposure.
    order : (N,) int64
        Of the slices from near to far.
    wanted : Wanted
    """
    dioptres = torch.cat([item.dioptre for item in slices])[order]
    slice_index = _slice_index(prediction.position.float(), dioptres)
    depth = _metres(slice_index, dioptres) if wanted.metres else None
    is_finite = slice_index.isfinite().all()
    logits = prediction.confidence_logits
    confidence = None
    if logits is not None:
        of_place = logits[0].float()
        of_answer = of_place if depth is None else logit_of_depth(of_place, 1.0 / depth, dioptres)
        confidence = torch.sigmoid(of_answer)
        is_finite = is_finite & confidence.isfinite().all()
    sharpest = sharpest_slices(slices, order) if wanted.sharpest else None
    picture = None
    if wanted.picture:
        where = slice_index if sharpest is None else sharpest
        picture = picture_of(slices, order, where, blend=wanted.blend)
    return DeviceAnswer(slice_index, depth, confidence, sharpest, picture, is_finite)


def sharpest_slices(slices: Sequence[SliceFeatures], order: Tensor) -> Tensor | None:
    """Slice, near to far, in which the finest detail is strongest, for every cell of 2x2 pixels.

    Returns
    -------
    (ceil(H / 2), ceil(W / 2)) uint8 or uint16, or None
        None where the network does not measure it.
    """
    finest = [item.energies[:, :1] for item in slices if item.energies is not None]
    if not finest:
        return None
    energies = torch.stack(finest, dim=1).index_select(1, order)
    known = known_of(slices)
    if known is not None:
        energies = known_energies(energies, torch.stack(known, dim=1).index_select(1, order))
    height, width = ((side + 1) // 2 for side in slices[0].size)
    labels = largest_slice(energies)[1][0, 0, 0, :height, :width]
    return labels.to(torch.uint8 if len(order) <= 256 else torch.uint16)


def picture_of(
    slices: Sequence[SliceFeatures], order: Tensor, where: Tensor, *, blend: bool
) -> Tensor | None:
    """All-in-focus image, to the rounding as the functions of `all_in_focus` give it.

    Parameters
    ----------
    slices : sequence of SliceFeatures
    order : (N,) int64
    where : (H, W) float32, or as from `sharpest_slices`
    blend : bool
        Whether it is mixed from neighbouring slices.

    Returns
    -------
    (H, W, 3) uint8, or None
        None where slices do not show all of the scene, or their pictures were not kept.
    """
    pictures = [item.picture for item in slices if item.picture is not None]
    if not pictures or known_of(slices) is not None:
        return None
    stacked = torch.cat(pictures).permute(0, 2, 3, 1)
    if not where.is_floating_point():
        smooth = median_of_labels(where, len(slices), _MEDIAN)
        where = enlarge(smooth, (stacked.shape[1], stacked.shape[2]))
    if blend:
        return blend_all_in_focus(stacked, where, order)
    return picked(stacked, order[where.round().long()])


def _slice_index(position: Tensor, dioptres: Tensor) -> Tensor:
    """Positions (1, H, W), kept within the sweep, as slices (H, W) near to far."""
    # Beyond its ends a sweep has seen nothing: there is no telling how far beyond.
    # What is not finite stays so, for whoever asks to see.
    inside = torch.where(position.isfinite(), position.clamp(0.0, 1.0), torch.nan)
    rows = dioptres[None]
    return slice_coordinates(inside, normalised_dioptres(rows, rows))[0]


def _metres(slice_index: Tensor, dioptres: Tensor) -> Tensor:
    """Depth (H, W), as `estimate.depth_from_slice_index` gives it."""
    # NaN as an index would be anything.
    below = slice_index.long().clamp_(0, len(dioptres) - 2)
    near = dioptres[below]
    inverse = near + (slice_index - below) * (dioptres[below + 1] - near)
    return 1.0 / inverse
