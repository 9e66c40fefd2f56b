"""Optimiser, learning rate and the running average of the weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from focdepth_ros.training.config import OptimiserSettings, ScheduleSettings


def create_optimiser(network: Any, settings: OptimiserSettings) -> Any:
    """The optimiser of a network, whose transformer, if it has one, learns at its own rate.

    Biases and norms, which are vectors, are not decayed.
    """
    backbone_parameters = getattr(network, "backbone_parameters", tuple)
    backbone = {id(parameter) for parameter in backbone_parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        key = (id(parameter) in backbone, parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    described = [
        {
            "params": parameters,
            "lr": settings.backbone_lr if is_backbone else settings.lr,
            "weight_decay": settings.weight_decay if is_decayed else 0.0,
        }
        for (is_backbone, is_decayed), parameters in groups.items()
    ]
    for group in described:
        group["highest_lr"] = group["lr"]
    if settings.kind == "sgd":
        return torch.optim.SGD(described, momentum=settings.momentum)
    return torch.optim.AdamW(described)


def lr_factor(step: int, share: float, settings: ScheduleSettings) -> float:
    """Learning rate over the highest, up in a line and down along half a cosine.

    Parameters
    ----------
    step : int
        Steps that were made.
    share : float
        Of the run that is over, in [0, 1].
    settings : ScheduleSettings
    """
    warmup = min(1.0, (step + 1) / (settings.warmup_steps + 1))
    cosine = 0.5 + 0.5 * math.cos(math.pi * min(share, 1.0))
    return warmup * (settings.final_factor + (1.0 - settings.final_factor) * cosine)


def set_learning_rate(optimiser: Any, factor: float) -> None:
    """Let every group learn at `factor` times its highest rate."""
    for group in optimiser.param_groups:
        group["lr"] = factor * group["highest_lr"]


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards those of the network, in place.

    The average of the first steps is shorter, ``(1 + step) / (10 + step)``, lest it consist of
    the weights that were drawn at random.
    """
    share = 1.0 - min(decay, (1.0 + step) / (10.0 + step))
    for mine, latest in zip(average.parameters(), network.parameters(), strict=True):
        mine.lerp_(latest, share)
    for mine, latest in zip(average.buffers(), network.buffers(), strict=True):
        if mine.is_floating_point():  # statistics of normalisation go with the weights
            mine.lerp_(latest, share)
        else:
            mine.copy_(latest)
