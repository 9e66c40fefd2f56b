"""``focdepth train``: train a network as a file says."""

# ruff: noqa: B008, UP045

from __future__ import annotations

import json
from pathlib import Path
from typing import Optional

import typer

from focdepth_ros.cli.progress import progress


def train(
    config: Path = typer.Argument(..., metavar="CONFIG", help="YAML file, see config/train/."),
    resume: bool = typer.Option(
        False, "--resume", help="Go on from the checkpoint in the output folder."
    ),
    steps: Optional[int] = typer.Option(None, help="Instead of schedule.steps."),
    output: Optional[Path] = typer.Option(
        None, "--output", "-o", metavar="DIR", help="Instead of run.output."
    ),
    set_: list[str] = typer.Option(
        [],
        "--set",
        metavar="KEY=VALUE",
        help="Change what the file says, like run.seed=3; may be repeated.",
    ),
) -> None:
    """Train a network as described in the file CONFIG.

    Ctrl-C ends the current step, writes a checkpoint and stops; --resume
    goes on from there as if nothing had happened, on a GPU exactly so with
    run.deterministic.
    """
    from focdepth_ros.errors import BackendUnavailableError
    from focdepth_ros.libraries import NETWORK_LIBRARIES, missing_because
    from focdepth_ros.training.config import load_training_config

    changes = list(set_)
    if steps is not None:
        changes.append(f"schedule.steps={steps}")
    if output is not None:
        changes.append(f"run.output={json.dumps(str(output), ensure_ascii=False)}")
    settings = load_training_config(config, changes)
    missing = missing_because((*NETWORK_LIBRARIES, "lightning_fabric"), "training")
    if missing:
        raise BackendUnavailableError(missing)
    from focdepth_ros.training.loop import train as run_training

    run_training(settings, resume=resume, bar=progress, say=typer.echo)
