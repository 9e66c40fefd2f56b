"""What a prediction is punished for, as free functions on tensors.

All depths are positions in the sweep: dioptres from which that of the farthest focus distance
is taken, over the range of the sweep, so that 0 is the farthest and 1 the nearest. Blur is
linear in them, and a sweep of any camera becomes the same task.

A stack of one slice, as of monocular data, has no sweep: its answer is compared after the best
scale and shift, and the terms that need a sweep are left out.

`mask` is (B, H, W) bool, where the truth is known; the mean over an empty mask is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from focdepth_ros.models.sweeps import Prediction, normalised_dioptres
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.config import LossSettings

_GRADIENT_SCALES = 4
_SHARPNESS_WINDOW = 7
# Denser sweeps are not asked for finer answers: their slices differ by less than the noise.
_FINEST_STEP = 1.0 / 9.0
_RELATIVE_FLOOR = 0.1
_RATIO_FLOOR = 0.05
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Target:
    """The truth of a batch as positions in its sweeps.

    Parameters
    ----------
    position : (B, H, W) float32
        0 where it is not known, and at most a quarter of a step outside [0, 1].
    known : (B, H, W) bool
    inside : (B, H, W) bool
        Known, and at most a quarter of a step outside the sweep: what can be answered rightly.
    tolerance : (B, 1, 1) float32
        A quarter of a step, where a step is the mean distance of two slices, or a ninth of the
        sweep if that is more.
    relative : (B, H, W) float32
        How much an error counts for the relative error of the depth in metres, mean 1 over what
        is known.
    """

    position: Tensor
    known: Tensor
    inside: Tensor
    tolerance: Tensor
    relative: Tensor


def target_of(batch: TrainingBatch) -> Target:
    """The truth of a batch as positions.

    The relative weight is ``r / (d + 0.1 r)`` for the inverse depth d and the range r of the
    sweep: as ``|Δz| / z = |Δd| / d``, nearly that of abs_rel, but finite at infinity.

    A stack of one slice, as of monocular data, has no range: 0.5 lies at its distance, a dioptre
    is a dioptre, and nothing is outside.
    """
    truth = batch.inverse_depth
    known = torch.isfinite(truth)
    truth = torch.where(known, truth, torch.zeros_like(truth))
    position = normalised_dioptres(truth, batch.dioptres)
    lowest = batch.dioptres.amin(dim=1)[:, None, None]
    slices = batch.dioptres.shape[1]
    if slices == 1:
        span = torch.ones_like(lowest)
        tolerance = torch.full_like(lowest, 0.25)
        clamped, inside = position, known
    else:
        span = batch.dioptres.amax(dim=1)[:, None, None] - lowest
        tolerance = torch.full_like(lowest, max(_FINEST_STEP, 1.0 / (slices - 1)) / 4.0)
        clamped = torch.minimum(torch.maximum(position, -tolerance), 1.0 + tolerance)
        inside = known & (clamped == position)
    relative = span / (truth.clamp_min(0.0) + _RELATIVE_FLOOR * span)
    relative = relative / masked_mean(relative, known).clamp_min(_TINY)
    return Target(clamped * known, known, inside, tolerance, relative)


def training_losses(
    prediction: Prediction,
    batch: TrainingBatch,
    settings: LossSettings,
) -> dict[str, Tensor]:
    """Every term that `settings` give a weight, unweighted, and their weighted sum ``total``.

    Stacks of one slice have the kind ``ssi``, whatever the settings say, and no terms for the
    depth in metres and for the confidence.

    Parameters
    ----------
    prediction : Prediction
    batch : TrainingBatch
    settings : LossSettings

    Returns
    -------
    dict of str to scalar tensor
    """
    target = target_of(batch)
    mask = target.known
    is_sweep = batch.dioptres.shape[1] > 1
    kind = settings.kind if is_sweep else "ssi"
    weight = 1.0 + settings.relative_weight * (target.relative - 1.0)

    def depth_error(answer: Tensor) -> Tensor:
        power = 1 if kind == "l1" else 2
        return masked_mean(weight * (answer - truth).abs() ** power, mask)

    def compared(answer: Tensor) -> Tensor:
        return aligned(answer, truth, mask) if kind == "ssi" else answer

    # Monocular depth is known up to a scale and a shift only.
    truth = standardised(target.position, mask) if kind == "ssi" else target.position
    answer = compared(prediction.position.float())
    terms = {"depth": depth_error(answer)}
    weights = {"depth": 1.0}
    if settings.gradient > 0.0:
        terms["gradient"] = gradient_loss(answer, truth, mask)
        weights["gradient"] = settings.gradient
    if settings.sharpness > 0.0:
        terms["sharpness"] = sharpness_loss(answer, truth, mask)
        weights["sharpness"] = settings.sharpness
    if is_sweep and settings.depth_ratio > 0.0:
        terms["depth_ratio"] = depth_ratio_loss(answer, batch.inverse_depth, batch.dioptres)
        weights["depth_ratio"] = settings.depth_ratio
    if settings.coarse > 0.0 and prediction.coarse_positions:
        errors = [depth_error(compared(coarse.float())) for coarse in prediction.coarse_positions]
        terms["coarse"] = torch.stack(errors).mean()
        weights["coarse"] = settings.coarse
    logits = prediction.confidence_logits
    if is_sweep and settings.confidence > 0.0 and logits is not None:
        terms["confidence"] = confidence_loss(logits.float(), prediction.position, target)
        weights["confidence"] = settings.confidence
    logits, labels = prediction.labels, batch.labels
    if settings.segmentation > 0.0 and logits is not None and labels is not None:
        terms["segmentation"] = segmentation_loss(logits.float(), labels)
        weights["segmentation"] = settings.segmentation
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return {"total": total, **terms}


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over a mask of the same shape; 0, with a gradient of 0, where it is empty."""
    kept = torch.where(mask, values, torch.zeros_like(values))
    mean: Tensor = kept.sum() / mask.sum().clamp_min(1)
    return mean


def aligned(position: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Each image of `position` with the scale and shift that bring it closest to `truth`.

    Least squares over the mask, as in Ranftl et al., "Towards Robust Monocular Depth
    Estimation", arXiv 1907.01341, equation 4. Gradients go through scale and shift.
    All (B, H, W).
    """
    centred, mean_truth = position - _image_mean(position, mask), _image_mean(truth, mask)
    variance = _image_mean(centred**2, mask)
    covariance = _image_mean(centred * (truth - mean_truth), mask)
    # An image of one value has no scale; then only the shift counts.
    answer: Tensor = covariance / (variance + _TINY) * centred + mean_truth
    return answer


def standardised(truth: Tensor, mask: Tensor) -> Tensor:
    """Each image of (B, H, W) with mean 0 and variance 1 over the mask, whatever its unit."""
    centred = truth - _image_mean(truth, mask)
    answer: Tensor = centred / (_image_mean(centred**2, mask) + _TINY).sqrt()
    return answer


def depth_ratio_loss(position: Tensor, inverse_depth: Tensor, dioptres: Tensor) -> Tensor:
    """Mean relative error of the depth in metres, ``|Z_p - Z| / Z``, as abs_rel has it.

    In inverse depths it is ``|d - d_p| / d_p``: to take something near for far costs several
    times its distance, the reverse less than once. Of what it does not see a network that is
    trained on it says the more cautious. 0.05 of the range are added below the line, since the
    sweep may end at infinity.

    Parameters
    ----------
    position : (B, H, W)
    inverse_depth : (B, H, W)
        Truth in 1/m, NaN where it is not known.
    dioptres : (B, N)
        Of the sweep.
    """
    low, high = (edge[:, None, None] for edge in (dioptres.amin(dim=1), dioptres.amax(dim=1)))
    span = high - low
    known = torch.isfinite(inverse_depth)
    truth = torch.where(known, inverse_depth, torch.zeros_like(inverse_depth))
    truth = torch.minimum(torch.maximum(truth, low), high)  # farther is not to be told
    answer = low + span * position.clamp_min(0.0)
    ratio = (truth - answer).abs() / (answer + _RATIO_FLOOR * span)
    return masked_mean(ratio, known)


def gradient_loss(position: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute gradient of the error at four scales, all (B, H, W).

    The multi-scale gradient matching term of Ranftl et al., arXiv 1907.01341, equation 11:
    edges where the truth has them, and smooth in between. A difference counts where both of
    its pixels are known; a scale is every second pixel of the one before.
    """
    error = position - truth
    total = error.new_zeros(())
    for scale in range(_GRADIENT_SCALES):
        step = 2**scale
        coarse, known = error[:, ::step, ::step], mask[:, ::step, ::step]
        if min(coarse.shape[1:]) < 2:
            break
        across = (coarse[:, :, 1:] - coarse[:, :, :-1]).abs()
        down = (coarse[:, 1:] - coarse[:, :-1]).abs()
        total = total + masked_mean(across, known[:, :, 1:] & known[:, :, :-1])
        total = total + masked_mean(down, known[:, 1:] & known[:, :-1])
    return total


def sharpness_loss(position: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference in how sharp prediction and truth are, all (B, H, W).

    Sharp is what a focus measure says it is, the modified Laplacian
    ``|2 p - left - right| + |2 p - up - down|`` averaged over a window of 7 pixels. In contrast
    to the gradient term an edge that is off by a pixel or two costs little, but one that is
    smeared, or noise on a surface that is smooth, costs all of its height. The paper's term
    also asks for edges as sharp as the truth's; its exact form is not known to us, this is ours.
    """
    padding = _SHARPNESS_WINDOW // 2

    def averaged(values: Tensor) -> Tensor:
        mean: Tensor = functional.avg_pool2d(values[:, None], _SHARPNESS_WINDOW, 1, padding)[:, 0]
        return mean

    curved = _curvable(mask)
    share = averaged(curved.to(position.dtype))
    difference = averaged(_modified_laplacian(position) * curved) - averaged(
        _modified_laplacian(truth) * curved
    )
    return masked_mean(difference.abs() / share.clamp_min(_TINY), curved)


def confidence_loss(logits: Tensor, position: Tensor, target: Target) -> Tensor:
    """Cross entropy of "the answer is within a quarter of a step"; what is not inside is wrong.

    The position is taken as it is: to be less certain must not pay by being less exact.
    `logits` and `position` are (B, H, W).
    """
    with torch.no_grad():
        right = (position - target.position).abs() <= target.tolerance
        right &= target.inside
    entropy = functional.binary_cross_entropy_with_logits(
        logits, right.to(logits.dtype), reduction="none"
    )
    return masked_mean(entropy, target.known)


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the classes, (B, C, H, W) and (B, H, W); -1 does not count."""
    known = labels >= 0
    entropy = functional.cross_entropy(logits, labels.clamp_min(0), reduction="none")
    return masked_mean(entropy, known)


def _image_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each image of (B, H, W) over the mask, (B, 1, 1)."""
    kept = torch.where(mask, values, torch.zeros_like(values))
    mean: Tensor = kept.sum(dim=(1, 2), keepdim=True) / mask.sum(
        dim=(1, 2), keepdim=True
    ).clamp_min(1)
    return mean


def _modified_laplacian(values: Tensor) -> Tensor:
    """Sum of the absolute second differences along both axes, (B, H, W); 0 at the border."""
    middle = 2.0 * values[:, 1:-1, 1:-1]
    across = (middle - values[:, 1:-1, :-2] - values[:, 1:-1, 2:]).abs()
    down = (middle - values[:, :-2, 1:-1] - values[:, 2:, 1:-1]).abs()
    padded: Tensor = functional.pad(across + down, (1, 1, 1, 1))
    return padded


def _curvable(mask: Tensor) -> Tensor:
    """Pixels that are known together with their four neighbours, (B, H, W) bool."""
    inner = mask[:, 1:-1, 1:-1] & mask[:, 1:-1, :-2] & mask[:, 1:-1, 2:]
    inner = inner & mask[:, :-2, 1:-1] & mask[:, 2:, 1:-1]
    padded: Tensor = functional.pad(inner, (1, 1, 1, 1), value=False)
    return padded
