"""What is measured of a network, on answers for which it is known."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from focdepth_ros.models.sweeps import Prediction
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.config import LossSettings, ValidationSettings
from focdepth_ros.training.losses import target_of
from focdepth_ros.training.sources.base import TrainingSource
from focdepth_ros.training.validation import ValidationResult, validate

SIZE = (24, 32)


class Planes(TrainingSource):
    """Two stacks, whose left half lies at 2 and right half at 1 dioptre; a row is not known."""

    def __init__(self, dioptres: tuple[float, ...] = (3.0, 2.0, 1.0)) -> None:
        truth = torch.full((2, *SIZE), 2.0)
        truth[:, :, SIZE[1] // 2 :] = 1.0
        truth[:, 0] = torch.nan
        images = torch.zeros((2, len(dioptres), 3, *SIZE), dtype=torch.uint8)
        self.only = TrainingBatch(images, torch.tensor(dioptres).repeat(2, 1), truth)

    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        return self.only


def measured(
    source: Planes, answer: Callable[[Tensor], Prediction], **settings: Any
) -> ValidationResult:
    """Validate a network that answers what `answer` makes of the true position."""

    def network(images: Tensor, dioptres: Tensor) -> Prediction:
        return answer(target_of(source.only).position)

    return validate(
        network,
        source,
        ValidationSettings(batches=2, **settings),
        LossSettings(kind="l1", gradient=0.0, sharpness=0.0, confidence=0.0),
        device="cpu",
        autocast=nullcontext,
    )


def test_the_truth_has_no_error() -> None:
    found = measured(Planes(), lambda truth: Prediction(truth, torch.full_like(truth, 5.0)))
    assert found.metrics == {
        "abs_rel": pytest.approx(0.0, abs=1e-6),
        "rmse": pytest.approx(0.0, abs=1e-6),
        "delta1": 1.0,
        "position_mae": pytest.approx(0.0, abs=1e-6),
        "abs_rel_sure": pytest.approx(0.0, abs=1e-6),
        "sure": 1.0,
        "loss": pytest.approx(0.0, abs=1e-6),
    }
    assert found.pictures.keys() == {"stack_0", "stack_1"}


def test_errors_are_in_metres_and_those_of_the_sure_pixels_their_own() -> None:
    # 0.5 of the range is 1 dioptre: 0.5 m are taken for 1 m, and 1 m is sure and right.
    def answer(truth: Tensor) -> Prediction:
        wrong = truth > 0.25
        return Prediction(truth - 0.5 * wrong, torch.where(wrong, -5.0, 5.0))

    metrics = measured(Planes(), answer).metrics
    assert metrics["abs_rel"] == pytest.approx(0.5)
    assert metrics["rmse"] == pytest.approx(0.125**0.5)
    assert metrics["delta1"] == pytest.approx(0.5)
    assert metrics["position_mae"] == pytest.approx(0.25)
    assert metrics["abs_rel_sure"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["sure"] == pytest.approx(0.5)
    assert metrics["loss"] == pytest.approx(0.25)


def test_single_slices_are_measured_after_scale_and_shift_and_have_no_picture() -> None:
    source = Planes((0.0,))
    found = measured(source, lambda truth: Prediction(7.0 - 0.1 * truth, torch.zeros_like(truth)))
    assert found.pictures == {}
    assert found.metrics == {
        "aligned_abs_rel": pytest.approx(0.0, abs=1e-2),
        "aligned_delta1": 1.0,
        "loss": pytest.approx(0.0, abs=1e-2),
    }
    # Of a single value only the mean is right: 1.5 dioptres.
    flat = measured(source, lambda truth: Prediction(torch.ones_like(truth))).metrics
    assert flat["aligned_abs_rel"] == pytest.approx((0.5 / 1.5 + 1.0 / 3.0) / 2.0, rel=1e-3)
    assert flat["aligned_delta1"] == 0.0


def test_nothing_is_farther_than_the_truth_after_scale_and_shift() -> None:
    source = Planes((0.0,))

    def answer(truth: Tensor) -> Prediction:
        far = truth.clone()
        far[:, -1, -1] = -50.0
        return Prediction(far)

    assert measured(source, answer).metrics["aligned_abs_rel"] < 1.0
