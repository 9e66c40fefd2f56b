"""What is trained, with all that a checkpoint holds of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from focdepth_ros.errors import TrainingError
from focdepth_ros.models.architectures import ARCHITECTURES
from focdepth_ros.models.checkpoint import read_weights, save_weights
from focdepth_ros.models.weights_index import choose_weights
from focdepth_ros.training.batch_stream import derived_seed
from focdepth_ros.training.config import TrainingConfig
from focdepth_ros.training.engine import Objective
from focdepth_ros.training.optimisation import create_optimiser, update_average
from focdepth_ros.training.run_state import (
    CHECKPOINT_NAME,
    WEIGHTS_NAME,
    Progress,
    save_checkpoint,
)

# What the configuration tells the groups of an optimiser; a checkpoint holds it, too.
_ASKED = ("highest_lr", "weight_decay", "momentum")
_NEW_HEADS = ("refine.labels.", "label_head.")


class Trainee:
    """A network, the running average of its weights, and its optimiser.

    Parameters
    ----------
    config : TrainingConfig
    fabric : Fabric
    saved : mapping, optional
        A checkpoint to go on from, as `open_run` gives it.

    Attributes
    ----------
    network, average : nn.Module
    objective : Objective
        The network with its loss, as Fabric runs it.
    optimiser : torch.optim.Optimizer
    progress : Progress

    Raises
    ------
    TrainingError
        If the weights to start from are those of another network.
    WeightsError
        If there are none in the file.
    """

    def __init__(
        self, config: TrainingConfig, fabric: Fabric, saved: Mapping[str, Any] | None
    ) -> None:
        self._config = config
        self._precision = fabric.strategy.precision
        torch.manual_seed(derived_seed(config.run.seed))
        described = config.model.network()
        if saved is not None:
            described = described.without_download()
        network: nn.Module = ARCHITECTURES[config.model.architecture].network_class()(described)
        self.network = network
        if config.model.weights and saved is None:
            initial = choose_weights(config.model.weights, config.model.architecture)
            _load_initial(self.network, initial.path)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.objective, self.optimiser = fabric.setup(
            Objective(self.network, config.loss), create_optimiser(self.network, config.optimiser)
        )
        self.average.to(fabric.device)
        self.progress = Progress()
        if saved is not None:
            self._restore(saved)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def update_average(self) -> None:
        """Let the average follow the network, once a step."""
        update_average(self.average, self.network, self._config.run.ema_decay, self.progress.step)

    def save(self, folder: Path) -> None:
        """Write a checkpoint to a folder, and beside it the averaged weights, ready to be used.

        Raises
        ------
        WeightsError
            If a weight is not finite; then the checkpoint that is there is left as it is.
        """
        told = self._config.to_dict()
        # Not the folders: weights are given away.
        facts = {name: json.dumps(told[name]) for name in ("loss", "optimiser", "schedule")}
        facts["steps"] = str(self.progress.step)
        # Weights come first, since they are checked: a checkpoint with NaN cannot be resumed.
        save_weights(folder / WEIGHTS_NAME, self.average, facts)
        save_checkpoint(
            folder / CHECKPOINT_NAME,
            self.progress,
            self._config,
            network=self.network,
            average=self.average,
            optimiser=self.optimiser,
            precision=self._precision.state_dict(),
        )

    def _restore(self, saved: Mapping[str, Any]) -> None:
        self.progress = Progress(saved["step"], saved["elapsed_s"])
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        asked = [
            {key: group[key] for key in _ASKED if key in group}
            for group in self.optimiser.param_groups
        ]
        self.optimiser.load_state_dict(saved["optimiser"])
        for group, values in zip(self.optimiser.param_groups, asked, strict=True):
            group.update(values)
        if saved["precision"]:  # empty unless it was made with fp16
            self._precision.load_state_dict(saved["precision"])


def _load_initial(network: nn.Module, path: Path) -> None:
    stored = read_weights(path)
    # A segmentation may be learned on top of weights that have none.
    new = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.startswith(_NEW_HEADS) and name not in stored.tensors
    }
    try:
        network.load_state_dict({**stored.tensors, **new})
    except RuntimeError as error:
        raise TrainingError(
            f"model.weights {path} do not fit the network: {' '.join(str(error).split())}; give "
            "model.options as they were trained with"
        ) from error
