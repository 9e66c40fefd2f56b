"""How good the averaged network is on focal stacks that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.metrics import abs_rel, delta1, rmse, valid_mask
from focdepth_ros.models.sweeps import Prediction
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray, Slice
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.batch_stream import derived_seed
from focdepth_ros.training.config import LossSettings, ValidationSettings
from focdepth_ros.training.losses import aligned, target_of, training_losses
from focdepth_ros.training.sources.base import TrainingSource

# Not the seeds of the training data, and the same for every run: runs can be compared.
_SEED = 0x5EED
_SURE = 0.5
_FARTHEST = 1000.0
_METRICS = {"abs_rel": abs_rel, "rmse": rmse, "delta1": delta1}
_RELATIVE_METRICS = {"aligned_abs_rel": abs_rel, "aligned_delta1": delta1}


@dataclass(frozen=True)
class ValidationResult:
    """Means over the stacks, and a picture of some of them by name."""

    metrics: dict[str, float]
    pictures: dict[str, ImageArray]


@torch.no_grad()
def validate(
    network: nn.Module,
    source: TrainingSource,
    settings: ValidationSettings,
    loss: LossSettings,
    *,
    device: str,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> ValidationResult:
    """Measure a network on the same batches every time.

    Depth is measured where the truth is in the sweep, or at most a quarter of a step outside:
    elsewhere no focus tells it. ``abs_rel_sure`` is that of the pixels that the network gives a
    confidence of at least a half, ``sure`` their share; ``position_mae`` is the error of the
    position in the sweep. All are means over the stacks.

    Stacks of one slice tell depth up to a scale and a shift of the inverse. They have no picture,
    and ``aligned_abs_rel`` and ``aligned_delta1``, after the best of both, instead.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, on `device`.
    source : TrainingSource
    settings : ValidationSettings
    loss : LossSettings
        Of the training, for the value ``loss``.
    device : str
    autocast : callable
        Makes the context for the arithmetic of the network.
    """
    rows: list[dict[str, float]] = []
    pictures: dict[str, ImageArray] = {}
    for index in range(settings.batches):
        generator = torch.Generator().manual_seed(derived_seed(_SEED, index))
        batch = source.batch(generator, settings.slices).to(device)
        with autocast():
            prediction = network(batch.images, batch.dioptres)
        total = float(training_losses(prediction, batch, loss)["total"])
        for stack in _stacks(batch, prediction):
            rows.append({**stack.metrics(), "loss": total})
            if stack.is_sweep and len(pictures) < settings.pictures:
                pictures[f"stack_{len(pictures)}"] = stack.picture()
    return ValidationResult(_means(rows), pictures)


@dataclass(frozen=True, eq=False)
class _Stack:
    """One stack of a batch and the answer to it, in metres, on the CPU."""

    images: NDArray[np.uint8]
    dioptres: NDArray[np.float64]
    depth: FloatImage
    truth: FloatImage
    position: FloatImage
    true_position: FloatImage
    inside: NDArray[np.bool_]
    confidence: FloatImage | None

    @property
    def is_sweep(self) -> bool:
        """Whether there is more than one slice."""
        return len(self.dioptres) > 1

    def metrics(self) -> dict[str, float]:
        """The measures of this stack."""
        mask = self.inside & valid_mask(self.truth, self.depth)
        if not self.is_sweep:
            return {
                name: metric(self.depth, self.truth, mask)
                for name, metric in _RELATIVE_METRICS.items()
            }
        found = {name: metric(self.depth, self.truth, mask) for name, metric in _METRICS.items()}
        error = np.abs(self.position - self.true_position)[self.inside]
        found["position_mae"] = float(error.mean()) if error.size else float("nan")
        if self.confidence is not None:
            sure = mask & (self.confidence >= _SURE)
            found["abs_rel_sure"] = abs_rel(self.depth, self.truth, sure)
            found["sure"] = float(sure.sum() / max(mask.sum(), 1))
        return found

    def picture(self) -> ImageArray:
        """What went in, what came out and what is true."""
        order = np.argsort(-self.dioptres, kind="stable")
        with np.errstate(divide="ignore"):
            distances = 1.0 / self.dioptres
        slices = tuple(
            Slice(self.images[index], float(distances[index]), stamp=int(index)) for index in order
        )
        confidence = np.ones_like(self.depth) if self.confidence is None else self.confidence
        estimate = DepthEstimate(
            depth=self.depth,
            confidence=confidence,
            slice_index=(1.0 - self.position) * (len(slices) - 1),
            backend="the network in training",
            metric=True,
        )
        title = ", ".join(f"{name} {value:.3g}" for name, value in self.metrics().items())
        return picture_sheet(FocalStack(slices), estimate, truth=self.truth, title=title)


def _stacks(batch: TrainingBatch, prediction: Prediction) -> Iterator[_Stack]:
    target = target_of(batch)
    dioptres = batch.dioptres
    lowest, highest = (
        extreme[:, None, None] for extreme in (dioptres.amin(dim=1), dioptres.amax(dim=1))
    )
    position = prediction.position.float()
    if dioptres.shape[1] > 1:
        inverse = lowest + position * (highest - lowest)
    else:
        known = target.known
        inverse = lowest + aligned(position, target.position, known) - 0.5
        # The best scale and shift may lead beyond infinity; nothing is farther than the truth.
        truths = torch.where(known, batch.inverse_depth, torch.full_like(inverse, torch.inf))
        inverse = torch.maximum(inverse, truths.amin(dim=(1, 2), keepdim=True))
    logits = prediction.confidence_logits
    confidence = None if logits is None else _numpy(logits.float().sigmoid())
    depth = _numpy(1.0 / inverse.clamp_min(1.0 / _FARTHEST))
    truth = _numpy(1.0 / batch.inverse_depth)
    images = _numpy(batch.images.permute(0, 1, 3, 4, 2))
    for index in range(len(images)):
        yield _Stack(
            np.ascontiguousarray(images[index]),
            _numpy(dioptres[index].double()),
            depth[index],
            truth[index],
            _numpy(position[index]),
            _numpy(target.position[index]),
            _numpy(target.inside[index]),
            None if confidence is None else confidence[index],
        )


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each value over the rows that have one."""
    names = dict.fromkeys(name for row in rows for name in row)
    answer: dict[str, float] = {}
    for name in names:
        seen = [row[name] for row in rows if np.isfinite(row.get(name, np.nan))]
        answer[name] = float(np.mean(seen)) if seen else float("nan")
    return answer


def _numpy(values: Tensor) -> Any:
    return values.cpu().numpy()
