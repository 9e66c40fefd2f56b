"""What a training run is told, as frozen dataclasses read from YAML; imports no torch.

A file has one mapping per section (`TrainingConfig`); what is left out has its default. Every
key is checked: a misspelt one is an error that lists those that exist, not a setting lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from focdepth_ros.errors import OptionError, TrainingConfigError
from focdepth_ros.files.yaml_files import parse_yaml
from focdepth_ros.models.architectures import ARCHITECTURES
from focdepth_ros.models.focdepthformer.config import FocDepthFormerConfig
from focdepth_ros.models.network_config import NetworkConfig
from focdepth_ros.options import option
from focdepth_ros.training.config_values import change_value, known_keys, make_section, plain

_BATCH_AXES = 4
_COARSEST = 32  # px per value of the coarsest features, whose statistics are taken over a batch
_OF_ONE_SLICE = "monocular"  # the source whose stacks need no second one


@dataclass(frozen=True)
class ModelSettings:
    """Which network, and what it starts from; `options` are fields of its configuration."""

    architecture: str = option("focdepthformer", "Kind of network.", choices=tuple(ARCHITECTURES))
    preset: str = option(
        "tiny",
        "Variant of the network: "
        + "; ".join(
            f"{name} {', '.join(kind.config_class().presets)}"
            for name, kind in ARCHITECTURES.items()
        )
        + ".",
    )
    weights: str = option(
        "",
        "What to start from: a file of weights, or the name of shipped ones; empty: weights drawn "
        "at random.",
    )
    options: Mapping[str, Any] = field(default_factory=dict)

    def network(self) -> NetworkConfig:
        """The configuration of the network itself.

        Raises
        ------
        OptionError
            If there is no such preset or option, or its value cannot be.
        """
        return ARCHITECTURES[self.architecture].config_class().preset(self.preset, **self.options)

    @property
    def has_transformer(self) -> bool:
        """Whether it has one beside a guide, and can be trained without it for a while."""
        network = self.network()
        return isinstance(network, FocDepthFormerConfig) and network.refinement


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
    workers: int = option(1, "How many make batches ahead.", minimum=1, maximum=256)
    worker_kind: str = option(
        "threads",
        "What they are. Processes make batches on the CPU, and do not wait for one another in "
        "Python: for a GPU that is fed from a pool.",
        choices=("threads", "processes"),
    )
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
    deterministic: bool = option(
        False, "The same weights every time on a GPU, too, more slowly; on a CPU they always are."
    )
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
        if self.schedule.guide_share > 0.0 and not self.model.has_transformer:
            raise TrainingConfigError(
                f"schedule.guide_share is {self.schedule.guide_share}, but the network has no "
                "transformer beside a guide; set it to 0, or model.options.refinement of a "
                "focdepthformer to true"
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
        if not self.run.debug_batch_shape:
            _check_slices(self.data.sources, self.data.min_slices, "data.min_slices")
        _check_slices(self.validation.sources, self.validation.slices, "validation.slices")
        _check_statistics(self)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as YAML knows them; `from_dict` is the reverse."""
        values: dict[str, Any] = plain(asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """From nested mappings, as in a file.

        Raises
        ------
        TrainingConfigError
            If there is no such key, or its value is of another type or out of range.
        """
        config: TrainingConfig = make_section(cls, values, "")
        try:
            config.model.network()
        except OptionError as error:
            raise TrainingConfigError(f"model: {error}") from error
        return config


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """What differs between two configurations, as ``section.key`` to ``old -> new``.

    Parameters
    ----------
    before, now : mapping
        From `TrainingConfig.to_dict`; what `before` does not know yet had its default.
    """
    changes: dict[str, str] = {}
    for section in fields(TrainingConfig):
        defaults: dict[str, Any] = plain(asdict(section.default))  # type: ignore[arg-type]
        old, new = ({**defaults, **values.get(section.name, {})} for values in (before, now))
        for key in sorted(old.keys() | new.keys()):
            if old[key] != new.get(key):
                changes[f"{section.name}.{key}"] = f"{old[key]!r} -> {new.get(key)!r}"
    return changes


def _check_slices(sources: Sequence[SourceSettings], slices: int, key: str) -> None:
    """A sweep has two slices; `key` is the setting that asks for them.

    Raises
    ------
    TrainingConfigError
        If a source of sweeps is asked for fewer.
    """
    kinds = [item.kind for item in sources if item.weight > 0.0 and item.kind != _OF_ONE_SLICE]
    if slices < 2 and kinds:
        raise TrainingConfigError(
            f"{key} is {slices}, but the stacks of the source '{kinds[0]}' have at least 2 slices; "
            f"set it to 2 (a source '{_OF_ONE_SLICE}' gives stacks of one slice all the same)"
        )


def _check_statistics(config: TrainingConfig) -> None:
    """Batch normalisation has no statistics of a single value per channel.

    Raises
    ------
    TrainingConfigError
        If stacks and crops are so few and so small.
    """
    key, shape = "data.batch, data.height and data.width are", config.run.debug_batch_shape
    if shape:
        key = "the stacks, height and width of run.debug_batch_shape are"
        stacks, _, height, width = shape
    else:
        stacks, height, width = config.data.batch, config.data.height, config.data.width
    if stacks == 1 and max(height, width) <= _COARSEST:
        raise TrainingConfigError(
            f"{key} {stacks}, {height} and {width}: of the coarsest features one value is left, "
            f"which cannot be normalised; give 2 stacks or more than {_COARSEST} px"
        )


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
        values = parse_yaml(path.read_bytes())
    except yaml.YAMLError as error:
        raise TrainingConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise TrainingConfigError(
            f"{path} holds {values!r}; it must be a mapping of: {known_keys(TrainingConfig)}"
        )
    for change in changes:
        change_value(values, change)
    try:
        return TrainingConfig.from_dict(values)
    except TrainingConfigError as error:
        raise TrainingConfigError(f"{path}: {error}") from error
