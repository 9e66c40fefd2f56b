"""What a training run is told, as frozen dataclasses read from YAML; imports no torch.

A file has one mapping per section (`TrainingConfig`); what is left out has its default. Every
key is checked: a misspelt one is an error that lists those that exist, not a setting lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from focdepth_ros.errors import OptionError, TrainingConfigError
from focdepth_ros.models.focdepthformer.config import FocDepthFormerConfig, preset
from focdepth_ros.options import option, option_infos

_BATCH_AXES = 4


@dataclass(frozen=True)
class ModelSettings:
    """Which network, and what it starts from; `options` are fields of `FocDepthFormerConfig`."""

    preset: str = option("tiny", "Size of the network.", choices=("tiny", "small", "base"))
    weights: str = option("", "File of weights to start from; empty: those drawn at random.")
    options: Mapping[str, Any] = field(default_factory=dict)

    def network(self) -> FocDepthFormerConfig:
        """The configuration of the network itself."""
        return preset(self.preset, **self.options)


@dataclass(frozen=True)
class SourceSettings:
    """One source of focal stacks; `options` are those of its kind."""

    kind: str = option("pool", "What makes the stacks.")
    weight: float = option(1.0, "How often it is asked, relative to the others.", minimum=0.0)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSettings:
    """What the network learns from. Every batch comes from one source, drawn by weight."""

    sources: tuple[SourceSettings, ...] = ()
    batch: int = option(4, "Stacks per batch.", minimum=1)
    height: int = option(224, "Of the crops, in pixels.", minimum=32)
    width: int = option(224, "Of the crops, in pixels.", minimum=32)
    min_slices: int = option(5, "Fewest slices of a stack.", minimum=1)
    max_slices: int = option(10, "Most slices of a stack.", minimum=1)
    workers: int = option(1, "Threads that make batches ahead.", minimum=1, maximum=256)
    prefetch: int = option(2, "Batches that are ready ahead.", minimum=1, maximum=256)


@dataclass(frozen=True)
class AugmentationSettings:
    """Variation of whole stacks, for sources that have none of their own."""

    flip: float = option(0.0, "Probability of a mirror image.", minimum=0.0, maximum=1.0)
    crop: float = option(0.0, "Probability of an enlarged part.", minimum=0.0, maximum=1.0)
    smallest_crop: float = option(
        0.7, "Side of the smallest part, as a share of the image.", minimum=0.1, maximum=1.0
    )
    rotation: float = option(0.0, "Probability of a rotation.", minimum=0.0, maximum=1.0)
    degrees: float = option(10.0, "Largest rotation either way.", minimum=0.0, maximum=180.0)


@dataclass(frozen=True)
class ValidationSettings:
    """What the averaged network is measured on; without sources there is no validation."""

    sources: tuple[SourceSettings, ...] = ()
    every: int = option(500, "Steps from one validation to the next.", minimum=1)
    batches: int = option(8, "Batches, the same ones every time.", minimum=1)
    batch: int = option(4, "Stacks per batch.", minimum=1)
    height: int = option(224, "Of the crops, in pixels.", minimum=32)
    width: int = option(224, "Of the crops, in pixels.", minimum=32)
    slices: int = option(8, "Slices of a stack.", minimum=1)
    pictures: int = option(2, "Stacks of which a picture is written.", minimum=0)


@dataclass(frozen=True)
class LossSettings:
    """Weights of the terms; see `focdepth_ros.training.losses`."""

    kind: str = option(
        "mse",
        "Of the position error: squared, absolute, or squared after the best scale and shift.",
        choices=("mse", "l1", "ssi"),
    )
    relative_weight: float = option(
        0.0,
        "How far pixels count by how much they matter for the relative error in metres.",
        minimum=0.0,
        maximum=1.0,
    )
    depth_ratio: float = option(
        0.0, "Of the relative error of the depth in metres, as abs_rel has it.", minimum=0.0
    )
    gradient: float = option(0.5, "Of the multi-scale gradient term.", minimum=0.0)
    sharpness: float = option(0.1, "Of the sharpness term.", minimum=0.0)
    confidence: float = option(0.1, "Of the confidence's cross entropy.", minimum=0.0)
    segmentation: float = option(0.1, "Of the classes' cross entropy.", minimum=0.0)
    coarse: float = option(0.3, "Of the error of the coarse answers.", minimum=0.0)


@dataclass(frozen=True)
class OptimiserSettings:
    """The optimiser; the vision transformer, trained before, has a learning rate of its own."""

    kind: str = option("adamw", "Its rule.", choices=("sgd", "adamw"))
    lr: float = option(1e-3, "Highest learning rate.", minimum=0.0)
    backbone_lr: float = option(1e-3, "Highest of the vision transformer.", minimum=0.0)
    momentum: float = option(0.9, "Of sgd.", minimum=0.0, maximum=1.0)
    weight_decay: float = option(0.01, "Not of biases and norms.", minimum=0.0)
    clip_norm: float = option(1.0, "Largest norm of the gradient; 0: any.", minimum=0.0)


@dataclass(frozen=True)
class ScheduleSettings:
    """How long, and how the learning rate goes: up in a line, down along a cosine."""

    steps: int = option(10_000, "Steps of the optimiser.", minimum=1)
    max_hours: float = option(
        0.0, "End by the clock where this is earlier; 0: by steps only.", minimum=0.0
    )
    warmup_steps: int = option(100, "Steps until the highest learning rate.", minimum=0)
    guide_share: float = option(
        0.0,
        "Share of the run, from its beginning, that trains what follows the focus measure alone: "
        "without the transformer a step is several times as fast. Only with refinement.",
        minimum=0.0,
        maximum=1.0,
    )
    final_factor: float = option(
        0.01, "Last learning rate over the highest.", minimum=0.0, maximum=1.0
    )


@dataclass(frozen=True)
class RunSettings:
    """How it is computed and what is written down."""

    output: str = option("training", "Folder for checkpoints, logs and pictures.")
    seed: int = option(0, "Of the weights, the data and all chance.", minimum=0)
    accumulate: int = option(1, "Batches per step of the optimiser.", minimum=1)
    accelerator: str = option("auto", "Where.", choices=("auto", "cpu", "cuda"))
    devices: int = option(1, "How many; each makes batches of its own.", minimum=1)
    precision: str = option("fp32", "Of the arithmetic.", choices=("fp32", "bf16", "fp16"))
    ema_decay: float = option(
        0.999, "Of the running average of the weights.", minimum=0.0, maximum=1.0
    )
    log_every: int = option(20, "Steps from one line to the next.", minimum=1)
    checkpoint_every: int = option(500, "Steps from one checkpoint to the next.", minimum=1)
    tensorboard: bool = option(True, "Write event files for TensorBoard.")
    wandb: str = option(
        "off", "Write a run of Weights & Biases.", choices=("off", "offline", "online")
    )
    wandb_project: str = option("focdepth", "Its project.")
    debug_batch_shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        shape = self.debug_batch_shape
        if shape and (len(shape) != _BATCH_AXES or min(shape) < 1):
            raise TrainingConfigError(
                f"run.debug_batch_shape is {list(shape)}; give stacks, slices, height and width, "
                "like [2, 5, 64, 64]"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """The whole configuration of a training run.

    Parameters
    ----------
    model, data, augmentation, validation, loss, optimiser, schedule, run
        The sections.

    Raises
    ------
    TrainingConfigError
        If the sections contradict each other.
    """

    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    validation: ValidationSettings = ValidationSettings()
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    run: RunSettings = RunSettings()

    def __post_init__(self) -> None:
        if not (self.run.debug_batch_shape or any(s.weight for s in self.data.sources)):
            raise TrainingConfigError(
                "data.sources has no source with a weight; name one, or give "
                "run.debug_batch_shape to train on noise"
            )
        if self.schedule.guide_share > 0.0 and not self.model.network().refinement:
            raise TrainingConfigError(
                f"schedule.guide_share is {self.schedule.guide_share}, but the network has no "
                "guide; set it to 0, or model.options.refinement to true"
            )
        if self.loss.depth_ratio > 0.0 and (self.loss.kind == "ssi" or self.data.min_slices < 2):
            raise TrainingConfigError(
                f"loss.depth_ratio is {self.loss.depth_ratio}, but depth up to scale and shift, or "
                "that of a stack of one slice, has no metres; set it to 0"
            )
        if self.data.min_slices > self.data.max_slices:
            raise TrainingConfigError(
                f"data.min_slices is {self.data.min_slices}, above data.max_slices "
                f"{self.data.max_slices}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as YAML knows them; `from_dict` is the reverse."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """From nested mappings, as in a file.

        Raises
        ------
        TrainingConfigError
            If there is no such key, or its value is of another type or out of range.
        """
        config: TrainingConfig = _section(cls, values, "")
        try:
            config.model.network()
        except OptionError as error:
            raise TrainingConfigError(f"model.options: {error}") from error
        return config


def load_training_config(path: Path, changes: Sequence[str] = ()) -> TrainingConfig:
    """Read a YAML file.

    Parameters
    ----------
    path : Path
    changes : sequence of str
        Like ``schedule.steps=200``: keys, joined by dots, and values as YAML writes them.

    Raises
    ------
    TrainingConfigError
        If the file is no YAML mapping, or a key or value in it cannot be.
    OSError
        If it cannot be read.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise TrainingConfigError(
            f"{path} holds {values!r}; it must be a mapping of: {_known(TrainingConfig)}"
        )
    for change in changes:
        _change(values, change)
    try:
        return TrainingConfig.from_dict(values)
    except TrainingConfigError as error:
        raise TrainingConfigError(f"{path}: {error}") from error


def _section(kind: type, values: object, label: str) -> Any:
    """A dataclass of settings from a mapping; `label` is what the file calls it."""
    if not isinstance(values, Mapping):
        raise TrainingConfigError(
            f"{label or 'the configuration'} is {values!r}; it must be a mapping of: {_known(kind)}"
        )
    hints = get_type_hints(kind)
    infos = {info.name: info for info in option_infos(kind)}
    made: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{label}.{key}" if label else str(key)
        if key not in hints:
            raise TrainingConfigError(
                f"there is no {name} (given as {value!r}); known in "
                f"{label or 'the configuration'} are: {_known(kind)}"
            )
        try:
            if key in infos:
                made[key] = infos[key].checked(_number(hints[key], value), name)
            else:
                made[key] = _nested(hints[key], value, name)
        except TrainingConfigError:
            raise
        except OptionError as error:
            raise TrainingConfigError(str(error)) from error
    return kind(**made)


def _number(hint: Any, value: object) -> object:
    """1e-3 is a text to PyYAML, which wants 1.0e-3: a number where there must be one."""
    if hint is not float or not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _nested(hint: Any, value: object, name: str) -> Any:
    """The value of a field that is no plain setting: a section, a list or free options."""
    if is_dataclass(hint):
        return _section(hint, value, name)  # type: ignore[arg-type]
    if get_origin(hint) is not tuple:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise TrainingConfigError(
                f"{name} is {value!r}; it must be a mapping of names to values"
            )
        return dict(value)
    if not isinstance(value, (list, tuple)):
        raise TrainingConfigError(f"{name} is {value!r}; it must be a list")
    element = get_args(hint)[0]
    if element is int:
        if any(type(item) is not int for item in value):
            raise TrainingConfigError(f"{name} is {value!r}; it must be a list of whole numbers")
        return tuple(value)
    return tuple(_section(element, item, f"{name}[{index}]") for index, item in enumerate(value))


def _change(values: dict[str, Any], change: str) -> None:
    """Put a value from the command line into what a file says, in place."""
    key, _, text = change.partition("=")
    if not (key and text):
        raise TrainingConfigError(f"'{change}' is no change; write it like schedule.steps=200")
    *path, last = key.split(".")
    inner: Any = values
    for part in path:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        raise TrainingConfigError(
            f"'{change}' goes into something that is no mapping; lists are given whole, like "
            "data.sources=[{kind: pool, options: {folder: pool}}]"
        )
    try:
        inner[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TrainingConfigError(f"the value in '{change}' is no YAML: {error}") from error


def _known(kind: type) -> str:
    return ", ".join(item.name for item in fields(kind))


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
