"""Optimiser, learning rate and the running average of the weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from focdepth_ros.training.config import OptimiserSettings, ScheduleSettings
from focdepth_ros.training.optimisation import create_optimiser, lr_factor, update_average


def test_learning_rate_goes_up_in_a_line_and_down_along_a_cosine() -> None:
    settings = ScheduleSettings(steps=100, warmup_steps=9, final_factor=0.1)
    rates = [lr_factor(step, step / 100, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[:9] == sorted(rates[:9])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert lr_factor(50, 0.5, settings) == pytest.approx(0.55)
    assert lr_factor(100, 1.0, settings) == pytest.approx(0.1)
    assert math.isclose(max(rates), rates[9])


def test_the_transformer_learns_at_its_own_rate_and_vectors_do_not_decay() -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vit, self.head = torch.nn.Linear(2, 2), torch.nn.Linear(2, 3)

        def backbone_parameters(self) -> Any:
            return self.vit.parameters()

    settings = OptimiserSettings(kind="sgd", lr=1e-4, backbone_lr=1e-6, weight_decay=0.1)
    groups = {
        tuple(group["params"][0].shape): (group["lr"], group["weight_decay"], group["momentum"])
        for group in create_optimiser(Network(), settings).param_groups
    }
    assert groups == {
        (2, 2): (1e-6, 0.1, 0.9),
        (2,): (1e-6, 0.0, 0.9),
        (3, 2): (1e-4, 0.1, 0.9),
        (3,): (1e-4, 0.0, 0.9),
    }


class Counter(torch.nn.Module):
    """A weight and a statistic of one value, and a count."""

    def __init__(self, value: float, count: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(value))
        self.register_buffer("mean", torch.tensor(10.0 * value))
        self.register_buffer("count", torch.tensor(count))


@pytest.mark.parametrize(
    ("step", "kept"), [(0, 0.1), (8, 0.5), (80, 0.9), (10_000, 0.99)], ids=lambda value: f"{value}"
)
def test_the_average_follows_at_first_quickly_and_then_as_it_is_told(
    step: int, kept: float
) -> None:
    average, network = Counter(1.0, 0), Counter(3.0, 7)
    update_average(average, network, 0.99, step)
    assert float(average.weight.detach()) == pytest.approx(kept * 1.0 + (1.0 - kept) * 3.0)
    assert float(average.mean) == pytest.approx(kept * 10.0 + (1.0 - kept) * 30.0)
    assert int(average.count) == 7
    assert float(network.weight.detach()) == 3.0
