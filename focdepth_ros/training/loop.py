"""The training loop."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from focdepth_ros.errors import TrainingError
from focdepth_ros.training.augmentation import AugmentedSource
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.batch_stream import BatchStream, NoiseSource, derived_seed
from focdepth_ros.training.config import ScheduleSettings, TrainingConfig
from focdepth_ros.training.engine import create_fabric
from focdepth_ros.training.optimisation import lr_factor, set_learning_rate
from focdepth_ros.training.progress_bar import ProgressBar, no_bar
from focdepth_ros.training.run_log import Meter, RunLog, Say
from focdepth_ros.training.run_state import Progress, open_run
from focdepth_ros.training.sources.base import TrainingSource
from focdepth_ros.training.sources.kinds import BatchShape, create_source
from focdepth_ros.training.stop_signals import stop_signals
from focdepth_ros.training.trainee import Trainee
from focdepth_ros.training.validation import validate

_BAR_LENGTH = 1000
_OF_CHANCE = 1  # what a seed is for, where it is not the data


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended: where its files are, how far it came, and whether that is its end."""

    folder: Path
    step: int
    finished: bool


def train(
    config: TrainingConfig, *, resume: bool = False, bar: ProgressBar = no_bar, say: Say = print
) -> TrainingResult:
    """Train a network, to the end of the schedule or until a signal asks it to stop.

    A run that is stopped and resumed gives the same weights, bit by bit, as one that is not: on a
    CPU always, on a GPU with `run.deterministic` unless PyTorch warns of an operation. That is on
    the same machine, with the same number of threads, and unless the run ends by the clock, which
    is never twice the same.

    Parameters
    ----------
    config : TrainingConfig
    resume : bool
        Go on from the checkpoint in the output folder, to which `config` must fit.
    bar : ProgressBar
    say : callable
        Takes lines for the console.

    Raises
    ------
    TrainingError
        If there is a checkpoint that is not to be resumed, or none that is, the first batch has
        labels that the network does not have, or the loss is no number any more.
    FocdepthError
        If something that the configuration names cannot be had.
    """
    run, schedule = config.run, config.schedule
    fabric = create_fabric(run)
    fabric.launch()
    rank = fabric.global_rank
    is_chief = rank == 0
    say = say if is_chief else _silent
    device = str(fabric.device)
    folder = Path(run.output)
    saved = open_run(folder, config, resume, say)
    in_processes = config.data.worker_kind == "processes"
    source = _training_source(config, "cpu" if in_processes else device)
    held_out = _held_out_source(config, device)
    trainee = Trainee(config, fabric, saved)
    progress = trainee.progress
    say(
        f"{config.model.architecture} {config.model.preset}: {trainee.size} parameters, on {device}"
    )
    if is_chief:
        _write_config(folder, config)

    meter = Meter()
    clock = time.perf_counter()
    elapsed_before = progress.elapsed_s
    share = share_before = _share(progress, schedule)
    with (
        BatchStream(
            source,
            slices=(config.data.min_slices, config.data.max_slices),
            seed=(run.seed, rank),
            first=progress.step * run.accumulate,
            workers=config.data.workers,
            prefetch=config.data.prefetch,
            processes=in_processes,
        ) as batches,
        RunLog(config, folder, say, first_step=progress.step, writes=is_chief) as log,
        stop_signals() as stop,
        (bar if is_chief else no_bar)("Training", _BAR_LENGTH) as advance,
    ):
        shown = 0
        stopped = False
        is_checked = False
        while share < 1.0 and not stopped:
            started = time.perf_counter()
            lr = lr_factor(progress.step, share, schedule)
            set_learning_rate(trainee.optimiser, lr)
            torch.manual_seed(derived_seed(run.seed, rank, progress.step, _OF_CHANCE))
            totals = []
            for part in range(run.accumulate):
                asked = time.perf_counter()
                batch = next(batches).to(device)
                meter.waiting_s += time.perf_counter() - asked
                if not is_checked:  # once: a GPU would have to be waited for every time
                    _check_labels(batch, config)
                    is_checked = True
                is_last = part == run.accumulate - 1
                with fabric.no_backward_sync(trainee.objective, enabled=not is_last):
                    losses = trainee.objective(
                        batch.images,
                        batch.dioptres,
                        batch.inverse_depth,
                        batch.labels,
                        transformer=share >= schedule.guide_share,
                    )
                    fabric.backward(losses["total"] / run.accumulate)
                values = {name: float(loss.detach()) for name, loss in losses.items()}
                totals.append(values["total"])
                meter.add(values, len(batch.images) * fabric.world_size)
            norm = fabric.clip_gradients(
                trainee.objective,
                trainee.optimiser,
                max_norm=config.optimiser.clip_norm or math.inf,
                error_if_nonfinite=False,
            )
            # Over all batches and processes: one that ended alone would leave the others waiting.
            mean = fabric.all_reduce(torch.tensor(totals, device=device).mean())
            values["total"] = float(mean)
            if run.precision != "fp16":  # its scaling finds the way past a gradient too large
                values["gradient norm"] = float(norm)
            _check_finite(values, progress.step, config)
            trainee.optimiser.step()
            trainee.optimiser.zero_grad()
            trainee.update_average()

            progress.step += 1
            now = time.perf_counter()
            meter.seconds += now - started
            # All processes must end with the same step: what the first one says, counts.
            elapsed_s, stopped = fabric.broadcast((elapsed_before + now - clock, stop.is_set()))
            progress.elapsed_s = elapsed_s
            share = _share(progress, schedule)
            ended = share >= 1.0
            if ended or _is_due(progress, run.log_every):
                left_s = (1.0 - share) / (share - share_before) * (now - clock)
                log.training(progress.step, meter.read(), lr * config.optimiser.lr, left_s)
            is_validated = ended or _is_due(progress, config.validation.every)
            if is_chief and held_out is not None and is_validated:
                found = validate(
                    trainee.average,
                    held_out,
                    config.validation,
                    config.loss,
                    device=device,
                    autocast=fabric.autocast,
                )
                log.validation(progress.step, found)
            if is_chief and _is_due(progress, run.checkpoint_every):
                trainee.save(folder)
            while shown < share * _BAR_LENGTH:
                advance()
                shown += 1
        if is_chief:
            trainee.save(folder)
    finished = share >= 1.0
    state = "finished" if finished else "stopped, go on with --resume"
    say(f"step {progress.step}: {state}; written to {folder}")
    return TrainingResult(folder, progress.step, finished)


def _write_config(folder: Path, config: TrainingConfig) -> None:
    """The configuration with all its defaults, beside the checkpoint that also holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(config.to_dict(), sort_keys=False)
    (folder / "config.yaml").write_text(text, encoding="utf-8")


def _training_source(config: TrainingConfig, device: str) -> TrainingSource:
    if config.run.debug_batch_shape:
        return NoiseSource(config.run.debug_batch_shape)
    data = config.data
    source = create_source(data.sources, BatchShape(data.batch, (data.height, data.width), device))
    varied = config.augmentation
    if max(varied.flip, varied.crop, varied.rotation) > 0.0:
        source = AugmentedSource(source, varied)
    return source


def _held_out_source(config: TrainingConfig, device: str) -> TrainingSource | None:
    held_out = config.validation
    if not held_out.sources:
        return None
    shape = BatchShape(held_out.batch, (held_out.height, held_out.width), device)
    return create_source(held_out.sources, shape)


def _check_labels(batch: TrainingBatch, config: TrainingConfig) -> None:
    """A label beyond the classes of the network would end in an error that tells nothing.

    Raises
    ------
    TrainingError
        If the network has classes, and the batch one more.
    """
    classes = config.model.network().segmentation_classes
    if batch.labels is None or classes == 0 or config.loss.segmentation == 0.0:
        return
    highest = int(batch.labels.max())
    if highest >= classes:
        raise TrainingError(
            f"labels of the training data go up to {highest}, but the network has {classes} "
            f"classes; set model.options.segmentation_classes to {highest + 1} or more"
        )


def _is_due(progress: Progress, every: int) -> bool:
    return progress.step % every == 0


def _check_finite(values: dict[str, float], step: int, config: TrainingConfig) -> None:
    """A network with NaN in it does not recover, and would be saved over a good checkpoint.

    Raises
    ------
    TrainingError
        If a value is no number.
    """
    if not all(map(math.isfinite, values.values())):
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise TrainingError(
            f"the loss is no number at step {step} ({told}); resume from the last checkpoint "
            f"with a smaller optimiser.lr than {config.optimiser.lr}"
        )


def _share(progress: Progress, schedule: ScheduleSettings) -> float:
    """How much of the run is over, in [0, 1]: by steps, or by the clock where that is further."""
    share = progress.step / schedule.steps
    if schedule.max_hours > 0.0:
        share = max(share, progress.elapsed_s / (3600.0 * schedule.max_hours))
    return min(share, 1.0)


def _silent(line: str) -> None:
    """What the other processes say."""
