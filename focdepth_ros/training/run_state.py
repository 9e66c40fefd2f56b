"""Checkpoints of a training run: all that it takes to go on as if nothing had happened.

How exactly that holds `focdepth_ros.training.loop.train` tells.

There are no states of random generators in them, because none outlives a step: the data of a
step and the chance within it (dropout) are seeded from the seed of the run, the number of the
process and that of the step; see `focdepth_ros.training.batch_stream`. That holds for any number
of processes and threads, and for batches that were made ahead but not used.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from focdepth_ros.errors import TrainingError
from focdepth_ros.training.config import TrainingConfig, changed_settings

CHECKPOINT_NAME = "checkpoint.pt"
WEIGHTS_NAME = "weights.safetensors"
_FORMAT = 1
_KEYS = {"format", "config", "step", "elapsed_s", "network", "average", "optimiser", "precision"}


@dataclass
class Progress:
    """How far a run is.

    Parameters
    ----------
    step : int
        Steps of the optimiser that were made.
    elapsed_s : float
        Time that they took in all runs together, in seconds.
    """

    step: int = 0
    elapsed_s: float = 0.0


def save_checkpoint(
    path: Path,
    progress: Progress,
    config: TrainingConfig,
    *,
    network: nn.Module,
    average: nn.Module,
    optimiser: Any,
    precision: Mapping[str, Any],
) -> None:
    """Write a checkpoint; whoever reads the file sees the old one or the new one.

    Parameters
    ----------
    path : Path
    progress : Progress
    config : TrainingConfig
    network, average : nn.Module
        What is trained, and the running average of its weights.
    optimiser : torch.optim.Optimizer
    precision : mapping
        State of the loss scaling of fp16; empty for others.
    """
    content = {
        "format": _FORMAT,
        "config": config.to_dict(),
        "step": progress.step,
        "elapsed_s": progress.elapsed_s,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "precision": dict(precision),
    }
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, with nothing in it but tensors and plain values.

    Raises
    ------
    TrainingError
        If there is none, or the file is something else.
    """
    if not path.is_file():
        raise TrainingError(f"{path} does not exist; start without --resume")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise TrainingError(
            f"{path} cannot be read as a checkpoint ({reason}); start a new run in another folder"
        ) from error
    if not isinstance(content, dict) or content.keys() != _KEYS or content["format"] != _FORMAT:
        raise TrainingError(
            f"{path} is no checkpoint of this version of `focdepth train`; start a new run"
        )
    return content


def open_run(
    folder: Path, config: TrainingConfig, resume: bool, say: Callable[[str], None]
) -> dict[str, Any] | None:
    """Read the checkpoint to go on from.

    Parameters
    ----------
    folder : Path
    config : TrainingConfig
    resume : bool
    say : callable
        Is told what was changed since the checkpoint.

    Returns
    -------
    dict, optional
        What `save_checkpoint` wrote; None for a new run.

    Raises
    ------
    TrainingError
        If there is a checkpoint that is not to be resumed, or none to resume, or `config` is
        for another network or optimiser.
    """
    path = folder / CHECKPOINT_NAME
    if not resume:
        if path.exists():
            raise TrainingError(
                f"{path} is there from an earlier run; go on with --resume, or choose another "
                "folder with --output"
            )
        return None
    saved = _load_checkpoint(path)
    changes = changed_settings(saved["config"], config.to_dict())
    for key, change in changes.items():
        if key in ("model.architecture", "model.preset", "model.options", "optimiser.kind"):
            raise TrainingError(
                f"{path} was made with another {key} ({change}); resume with the same, or choose "
                "another folder with --output"
            )
        say(f"changed since the checkpoint: {key}: {change}")
    return saved
