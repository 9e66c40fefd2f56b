"""What a run says about itself: lines, curves, event files for TensorBoard, Weights & Biases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from focdepth_ros.errors import TrainingConfigError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.training.config import TrainingConfig
from focdepth_ros.training.history import History
from focdepth_ros.training.validation import ValidationResult

Say = Callable[[str], None]


class Meter:
    """Means of the losses, and speed, since it was last read.

    `seconds` and `waiting_s` are for the loop to add to: the time that its steps took, and what
    of it was spent without a batch to work on.
    """

    def __init__(self) -> None:
        self._reset()

    def add(self, losses: Mapping[str, float], stacks: int) -> None:
        """Count one batch of so many stacks."""
        for name, value in losses.items():
            self._sums.setdefault(name, []).append(value)
        self._stacks += stacks

    def read(self) -> dict[str, float]:
        """Means since the last time, ``stacks_per_s``, and ``waiting``, the share of the time."""
        answer = {f"loss/{name}": sum(seen) / len(seen) for name, seen in self._sums.items()}
        answer["speed/stacks_per_s"] = self._stacks / self.seconds
        answer["speed/waiting"] = self.waiting_s / self.seconds
        self._reset()
        return answer

    def _reset(self) -> None:
        self._sums: dict[str, list[float]] = {}
        self._stacks = 0
        self.seconds = 0.0
        self.waiting_s = 0.0


class RunLog:
    """Where numbers and pictures of a run go, to be used as a context.

    Parameters
    ----------
    config : TrainingConfig
    folder : Path
        Of the run.
    say : callable
        Takes a line for the console.
    first_step : int
        After which is written; what an earlier run wrote beyond is dropped.
    writes : bool
        Whether there is to be anything but lines; of several processes one writes.

    Raises
    ------
    TrainingConfigError
        If what the configuration asks for is not installed.
    """

    def __init__(
        self, config: TrainingConfig, folder: Path, say: Say, *, first_step: int, writes: bool
    ) -> None:
        self._say = say
        self._steps = config.schedule.steps
        self._pictures = folder / "pictures"
        self._writers = ExitStack()
        self._history = History(folder, first_step) if writes else None
        self._tensorboard = self._wandb = None
        if writes and config.run.tensorboard:
            self._tensorboard = _open_tensorboard(folder / "tensorboard", first_step)
            self._writers.callback(self._tensorboard.close)
        if writes and config.run.wandb != "off":
            self._wandb = _open_wandb(config, folder)
            self._writers.callback(self._wandb.finish)

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        if self._history is not None:
            self._history.add(step, values)
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def training(self, step: int, values: Mapping[str, float], lr: float, left_s: float) -> None:
        """Write the means of a `Meter` down, with a line that says how long it will take yet."""
        self._write(step, {**values, "lr": lr})
        losses = {name[5:]: value for name, value in values.items() if name.startswith("loss/")}
        parts = " ".join(f"{name} {value:.4g}" for name, value in losses.items())
        self._say(
            f"step {step}/{self._steps}  {parts}  lr {lr:.2e}  "
            f"{values['speed/stacks_per_s']:.3g} stacks/s ({values['speed/waiting']:.0%} waiting)  "
            f"{_duration(left_s)} left"
        )

    def validation(self, step: int, found: ValidationResult) -> None:
        """Write the state of a validation down, with a line, and its pictures."""
        self._write(step, {f"validation/{name}": value for name, value in found.metrics.items()})
        values = ", ".join(f"{name} {value:.4g}" for name, value in found.metrics.items())
        self._say(f"step {step}/{self._steps}  validation: {values}")
        self._draw()
        for name, picture in found.pictures.items():
            self._pictures.mkdir(exist_ok=True)
            write_image(self._pictures / f"{name}_{step:07}.png", picture)
            if self._tensorboard is not None:
                self._tensorboard.add_image(f"validation/{name}", picture, step, dataformats="HWC")
            if self._wandb is not None:
                import wandb

                self._wandb.log({f"validation/{name}": wandb.Image(picture)}, step=step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._draw()
        self._writers.close()

    def _draw(self) -> None:
        if self._history is not None:
            self._history.draw()


def _open_tensorboard(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingConfigError(
            "run.tensorboard needs the package tensorboard, which is not installed; "
            "pip install tensorboard, or set run.tensorboard to false"
        ) from error
    return SummaryWriter(str(folder), purge_step=first_step + 1)


def _open_wandb(config: TrainingConfig, folder: Path) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise TrainingConfigError(
            f"run.wandb '{config.run.wandb}' needs the package wandb, which is not installed; "
            "pip install wandb, or set run.wandb to off"
        ) from error
    return wandb.init(
        project=config.run.wandb_project,
        name=folder.name,
        dir=str(folder),
        mode=config.run.wandb,
        config=config.to_dict(),
    )


def _duration(seconds: float) -> str:
    """Like 1:02:03."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
