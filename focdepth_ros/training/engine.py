"""What Lightning Fabric is told, so that the loop is the same on one CPU and on several GPUs."""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from torch import Tensor, nn

from focdepth_ros.errors import TrainingConfigError
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.config import LossSettings, RunSettings
from focdepth_ros.training.losses import training_losses


class Objective(nn.Module):
    """Network and loss as one module.

    What goes through Fabric and the module that shares gradients are then plain tensors: it
    knows nothing to do with the frozen dataclasses around them.
    """

    def __init__(self, network: nn.Module, settings: LossSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings

    def forward(
        self,
        images: Tensor,
        dioptres: Tensor,
        inverse_depth: Tensor,
        labels: Tensor | None,
        *,
        transformer: bool = True,
    ) -> dict[str, Tensor]:
        """The losses of a batch.

        Arguments are the fields of `TrainingBatch`, and whether the transformer, of a network
        that has one, takes part.
        """
        told = {} if transformer else {"transformer": False}
        prediction = self.network(images, dioptres, **told)
        batch = TrainingBatch(images, dioptres, inverse_depth, labels)
        with torch.autocast(images.device.type, enabled=False):
            return training_losses(prediction, batch, self.settings)


class _ExactInputs(MixedPrecision):
    """Mixed precision that leaves what goes in alone: three digits are too few for dioptres."""

    def convert_input(self, data: Any) -> Any:
        return data


def create_fabric(settings: RunSettings) -> Fabric:
    """The engine for a run.

    With `deterministic` operations of this process are from now on those that always give the
    same, where PyTorch has them; where not, it warns.

    Raises
    ------
    TrainingConfigError
        If this machine does not have what the run needs.
    """
    devices = torch.cuda.device_count()
    accelerator = settings.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if devices else "cpu"
    if accelerator == "cuda" and devices < settings.devices:
        raise TrainingConfigError(
            f"run.devices is {settings.devices}, but PyTorch finds {devices} CUDA devices here"
        )
    if accelerator == "cpu" and settings.precision == "fp16":
        raise TrainingConfigError("run.precision fp16 needs a CUDA device; use bf16 or fp32")
    # Ten bits would do for the network, but not for the focus measure.
    torch.backends.cudnn.allow_tf32 = False
    if settings.deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
        # cuBLAS reads it when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Without labels or with one slice only, parts of the network do not take part in a batch.
    strategy = "ddp_find_unused_parameters_true" if settings.devices > 1 else "auto"
    return Fabric(
        accelerator=accelerator,
        devices=settings.devices,
        strategy=strategy,
        plugins=[_precision(settings.precision, accelerator)],
    )


def _precision(name: str, device: str) -> Precision:
    if name == "fp32":
        return Precision()
    return _ExactInputs("bf16-mixed" if name == "bf16" else "16-mixed", device)
