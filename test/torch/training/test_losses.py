"""The terms of the loss, each on truths for which its value is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from focdepth_ros.models.sweeps import Prediction
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.config import LossSettings
from focdepth_ros.training.losses import (
    aligned,
    confidence_loss,
    depth_ratio_loss,
    gradient_loss,
    masked_mean,
    segmentation_loss,
    sharpness_loss,
    standardised,
    target_of,
    training_losses,
)

SIZE = (24, 32)
ONLY_DEPTH = LossSettings(gradient=0.0, sharpness=0.0, confidence=0.0, segmentation=0.0, coarse=0.0)


def batch_of(inverse_depth: Tensor, dioptres: tuple[float, ...] = (3.0, 2.0, 1.0)) -> TrainingBatch:
    stacks, height, width = inverse_depth.shape
    images = torch.zeros((stacks, len(dioptres), 3, height, width), dtype=torch.uint8)
    return TrainingBatch(images, torch.tensor(dioptres).repeat(stacks, 1), inverse_depth)


def random_truth(stacks: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 1.0 + 2.0 * torch.rand((stacks, *SIZE), generator=generator)


def everywhere(truth: Tensor) -> Tensor:
    return torch.ones_like(truth, dtype=torch.bool)


def test_position_is_0_at_the_far_and_1_at_the_near_end() -> None:
    truth = torch.tensor([[[1.0, 2.0, 3.0]]])
    target = target_of(batch_of(truth))
    torch.testing.assert_close(target.position, torch.tensor([[[0.0, 0.5, 1.0]]]))
    assert target.known.all()
    assert target.inside.all()


def test_order_of_exposure_does_not_matter() -> None:
    truth = random_truth()
    there, back = (
        target_of(batch_of(truth, order)) for order in ((3.0, 2.0, 1.0), (1.0, 2.0, 3.0))
    )
    torch.testing.assert_close(there.position, back.position)


def test_what_is_far_outside_is_clamped_and_not_inside() -> None:
    # A step is 0.5 of the range of 2 dioptres, and a quarter of it 0.25 dioptres.
    truth = torch.tensor([[[0.0, 0.8, 3.2, 9.0]]])
    target = target_of(batch_of(truth))
    torch.testing.assert_close(target.position, torch.tensor([[[-0.125, -0.1, 1.1, 1.125]]]))
    assert target.inside.tolist() == [[[False, True, True, False]]]
    assert target.tolerance.flatten().tolist() == [0.125]


def test_a_step_of_a_dense_sweep_is_a_ninth_of_it() -> None:
    dioptres = tuple(torch.linspace(3.0, 1.0, 41).tolist())
    target = target_of(batch_of(random_truth(), dioptres))
    torch.testing.assert_close(target.tolerance, torch.full((2, 1, 1), 1.0 / 36.0))


def test_unknown_truth_does_not_count() -> None:
    truth = random_truth()
    position = target_of(batch_of(truth)).position.clone()
    truth[:, :10] = torch.nan
    position[:, :10] = 7.0
    losses = training_losses(
        Prediction(position, torch.zeros_like(position)),
        batch_of(truth),
        LossSettings(confidence=0.0),
    )
    assert {name: float(value) for name, value in losses.items()} == {
        "total": 0.0, "depth": 0.0, "gradient": 0.0, "sharpness": 0.0
    }  # fmt: skip


def test_without_any_truth_losses_and_gradients_are_0() -> None:
    position = torch.rand((2, *SIZE), requires_grad=True)
    logits = torch.rand((2, *SIZE), requires_grad=True)
    batch = batch_of(torch.full((2, *SIZE), torch.nan))
    for kind in ("mse", "l1", "ssi"):
        settings = LossSettings(kind=kind, relative_weight=1.0)
        total = training_losses(Prediction(position, logits), batch, settings)["total"]
        assert float(total.detach()) == 0.0
        total.backward()
    assert position.grad is not None
    assert not position.grad.any()


@pytest.mark.parametrize(("kind", "expected"), [("mse", 0.01), ("l1", 0.1)])
def test_depth_term_of_a_constant_error(kind: str, expected: float) -> None:
    batch = batch_of(random_truth())
    position = target_of(batch).position + 0.1
    losses = training_losses(Prediction(position), batch, replace(ONLY_DEPTH, kind=kind))
    assert float(losses["depth"]) == pytest.approx(expected, rel=1e-4)
    assert losses.keys() == {"total", "depth"}


def test_relative_weight_has_mean_1_and_is_that_of_the_relative_error() -> None:
    truth = random_truth()
    relative = target_of(batch_of(truth)).relative
    assert float(relative.mean()) == pytest.approx(1.0, rel=1e-4)
    ratio = relative / (1.0 / (truth + 0.2))
    torch.testing.assert_close(ratio, ratio.flatten()[0].expand_as(ratio))


def test_relative_weight_counts_far_errors_more() -> None:
    truth = torch.tensor([[[1.0, 3.0]]])
    batch, settings = batch_of(truth), replace(ONLY_DEPTH, relative_weight=1.0)
    far, near = (
        float(training_losses(Prediction(position), batch, settings)["depth"])
        for position in (torch.tensor([[[0.1, 1.0]]]), torch.tensor([[[0.0, 0.9]]]))
    )
    assert far / near == pytest.approx(3.2 / 1.2, rel=1e-4)


def test_ssi_knows_no_scale_and_no_shift() -> None:
    batch = batch_of(random_truth(), (1.7,))
    answer = 3.0 - 0.2 * batch.inverse_depth
    losses = training_losses(Prediction(answer), batch, LossSettings(kind="ssi"))
    assert float(losses["depth"]) == pytest.approx(0.0, abs=1e-3)
    other = training_losses(
        Prediction(torch.rand_like(answer)), batch, replace(ONLY_DEPTH, kind="ssi")
    )
    assert float(other["depth"]) == pytest.approx(1.0, abs=0.05)


def test_ssi_does_not_depend_on_the_unit_of_the_truth() -> None:
    truth, answer = random_truth(), torch.rand((2, *SIZE))
    metres, millimetres = (
        float(
            training_losses(Prediction(answer), batch_of(t, (1.7,)), LossSettings(kind="ssi"))[
                "total"
            ]
        )
        for t in (truth, 1000.0 * truth)
    )
    assert metres == pytest.approx(millimetres, rel=1e-3)


def test_aligned_is_the_least_squares_fit_of_each_image() -> None:
    truth, position = random_truth(), torch.rand((2, *SIZE))
    mask = torch.rand((2, *SIZE)) < 0.7
    found = aligned(position, truth, mask)
    for index in range(2):
        inside = mask[index]
        columns = torch.stack([position[index][inside], torch.ones(int(inside.sum()))], dim=1)
        scale, shift = torch.linalg.lstsq(columns, truth[index][inside][:, None]).solution.flatten()
        torch.testing.assert_close(
            found[index], scale * position[index] + shift, rtol=1e-2, atol=1e-3
        )


def test_standardised_has_mean_0_and_variance_1() -> None:
    truth = random_truth()
    found = standardised(truth, everywhere(truth))
    torch.testing.assert_close(found.mean(dim=(1, 2)), torch.zeros(2), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(found.var(dim=(1, 2), correction=0), torch.ones(2))


def test_gradient_term_of_a_ramp_of_errors() -> None:
    truth = random_truth()
    ramp = 0.1 * torch.arange(SIZE[1]).expand_as(truth)
    # Differences across are 0.1 at the first scale, and twice as large at every next one.
    loss = gradient_loss(truth + ramp, truth, everywhere(truth))
    assert float(loss) == pytest.approx(0.1 * (1 + 2 + 4 + 8), rel=1e-3)


def test_gradient_term_does_not_see_a_constant_error() -> None:
    truth = random_truth()
    assert float(gradient_loss(truth + 0.5, truth, everywhere(truth))) == pytest.approx(0, abs=1e-5)


def test_gradient_term_does_not_look_across_unknown_pixels() -> None:
    truth = torch.zeros((1, *SIZE))
    mask = everywhere(truth)
    mask[:, :, 16] = False
    answer = truth.clone()
    answer[:, :, 17:] = 1.0
    answer[:, :, 16] = 50.0
    # Only at scales that step over the column does an edge show.
    assert float(gradient_loss(answer, truth, mask)) < 0.1


def test_sharpness_term_is_0_for_the_truth_and_large_for_noise_and_for_smears() -> None:
    truth = torch.zeros((1, *SIZE))
    truth[:, :, 16:] = 1.0
    mask = everywhere(truth)
    noisy = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    smeared = torch.linspace(0.0, 1.0, SIZE[1]).expand_as(truth)
    moved = truth.roll(1, dims=2)
    moved[:, :, 0] = 0.0
    assert float(sharpness_loss(truth, truth, mask)) == 0.0
    off_by_one = float(sharpness_loss(moved, truth, mask))
    assert float(sharpness_loss(noisy, truth, mask)) > off_by_one
    assert float(sharpness_loss(smeared, truth, mask)) > 2.0 * off_by_one


def test_confidence_is_to_be_high_exactly_where_the_answer_is_right() -> None:
    truth = torch.tensor([[[2.0, 2.0, 0.0]]])
    batch = batch_of(truth)
    target = target_of(batch)
    position = torch.tensor([[[0.5, 0.9, -0.125]]], requires_grad=True)
    right = torch.tensor([[[9.0, -9.0, -9.0]]], requires_grad=True)
    loss = confidence_loss(right, position, target)
    assert float(loss.detach()) < 1e-3
    assert float(confidence_loss(-right, position, target).detach()) > 8.0
    loss.backward()
    assert right.grad is not None
    assert position.grad is None


def test_depth_ratio_is_the_relative_error_in_metres() -> None:
    nan, dioptres = torch.nan, torch.tensor([[3.0, 2.0, 1.0]])
    cases = {
        (2.0, 0.25): 0.5 / (1.5 + 0.1),  # 0.1 is 0.05 of the range
        (1.5, 0.5): 0.5 / (2.0 + 0.1),
        (2.0, 0.5): 0.0,
        (9.0, 1.0): 0.0,  # nearer and farther than the sweep is not to be told
        (0.0, 0.0): 0.0,
        (1.0, -0.5): 0.0,
    }
    for (truth, position), expected in cases.items():
        found = depth_ratio_loss(torch.tensor([[[position]]]), torch.tensor([[[truth]]]), dioptres)
        assert float(found) == pytest.approx(expected, abs=1e-6), (truth, position)
    two = depth_ratio_loss(
        torch.tensor([[[0.25, 0.5, 0.9]]]), torch.tensor([[[2.0, 1.5, nan]]]), dioptres
    )
    assert float(two) == pytest.approx((0.5 / 1.6 + 0.5 / 2.1) / 2.0)


@pytest.mark.parametrize("kind", ["mse", "l1"])
def test_a_single_slice_is_asked_for_nothing_that_needs_a_sweep(kind: str) -> None:
    batch = batch_of(random_truth(), (0.0,))
    settings = LossSettings(kind=kind, depth_ratio=0.7, relative_weight=0.1)
    position = (3.0 - 0.2 * batch.inverse_depth).requires_grad_(True)
    logits = torch.zeros_like(batch.inverse_depth, requires_grad=True)
    losses = training_losses(Prediction(position, logits), batch, settings)
    assert losses.keys() == {"total", "depth", "gradient", "sharpness"}
    assert float(losses["depth"].detach()) == pytest.approx(0.0, abs=1e-3)
    losses["total"].backward()
    assert position.grad is not None
    assert bool(torch.isfinite(position.grad).all())


def test_segmentation_does_not_count_unknown_labels() -> None:
    labels = torch.tensor([[[0, 1, -1]]])
    logits = torch.tensor([[[[9.0, -9.0, 0.0]], [[-9.0, 9.0, 50.0]]]])
    assert float(segmentation_loss(logits, labels)) < 1e-3
    assert float(segmentation_loss(logits, torch.full_like(labels, -1))) == 0.0


def test_total_is_the_weighted_sum_of_all_terms() -> None:
    truth = random_truth()
    batch = batch_of(truth)
    batch = replace(batch, labels=torch.zeros(truth.shape, dtype=torch.int64))
    position = torch.rand_like(truth)
    prediction = Prediction(
        position,
        torch.rand_like(truth),
        torch.rand((2, 3, *SIZE)),
        (torch.rand_like(truth), torch.rand_like(truth)),
    )
    settings = LossSettings(
        gradient=0.2, sharpness=0.3, confidence=0.4, segmentation=0.5, coarse=0.6
    )
    losses = training_losses(prediction, batch, settings)
    names = ("gradient", "sharpness", "confidence", "segmentation", "coarse")
    expected = losses["depth"] + sum(getattr(settings, name) * losses[name] for name in names)
    torch.testing.assert_close(losses["total"], expected)
    assert losses.keys() == {"total", "depth", *names}


def test_masked_mean_passes_no_nan_on_into_the_gradient() -> None:
    values = torch.tensor([1.0, torch.nan, 3.0], requires_grad=True)
    mean = masked_mean(values, torch.tensor([True, False, True]))
    mean.backward()
    assert float(mean.detach()) == 2.0
    assert values.grad is not None
    assert values.grad.tolist() == [0.5, 0.0, 0.5]
