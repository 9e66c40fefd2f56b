"""The kinds of sources that a training configuration can name, and how each is made.

| kind | options |
|---|---|
| pool | folders; variation: `PoolConfig`; sensor: `SensorConfig` |
| layers | photographs: folders; layers: `LayerConfig`; sweep: `SweepConfig`; sensor |
| rooms | photographs; sweep; sensor |
| reliefs | photographs; relief: `ReliefConfig`; sweep; sensor |
| rgbd | folders; maps: `RgbdConfig`; sweep; sensor |
| monocular | shows: layers, rooms, reliefs or rgbd; options: those of what it shows |

Folders are relative to where the run is started. Without photographs surfaces have patterns;
reliefs need some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from focdepth_ros.errors import TrainingConfigError
from focdepth_ros.stack import ImageArray
from focdepth_ros.training.config import SourceSettings
from focdepth_ros.training.rendering.focus_sweeps import SweepConfig
from focdepth_ros.training.rendering.photographs import Photographs, read_photographs
from focdepth_ros.training.rendering.random_layers import LayerConfig
from focdepth_ros.training.rendering.random_relief import ReliefConfig
from focdepth_ros.training.rendering.sensor import SensorConfig
from focdepth_ros.training.sources.base import MixedSource, TrainingSource
from focdepth_ros.training.sources.monocular import MonocularSource
from focdepth_ros.training.sources.pool import PoolConfig, RenderedPoolSource
from focdepth_ros.training.sources.ray_traced import RayTracedSource
from focdepth_ros.training.sources.relief import ReliefSource
from focdepth_ros.training.sources.rendered import RenderedSource, RenderSettings, SimulatedSource
from focdepth_ros.training.sources.rgbd import RgbdConfig, RgbdSource

_Config = TypeVar("_Config")
_RENDERING = ("sweep", "sensor")


@dataclass(frozen=True)
class BatchShape:
    """What every source of a mixture is asked for.

    Parameters
    ----------
    stacks : int
    size : (int, int)
        Height and width in pixels.
    device : str
        Where they are made.
    """

    stacks: int
    size: tuple[int, int]
    device: str = "cpu"


def create_source(settings: Sequence[SourceSettings], shape: BatchShape) -> TrainingSource:
    """The mixture of the sources that a configuration names.

    Raises
    ------
    TrainingConfigError
        If there is no such kind of source, or it has no such option.
    FocdepthError
        If a source cannot be made with these options.
    """
    used = [item for item in settings if item.weight > 0.0]
    made = [_create(item, shape) for item in used]
    return MixedSource(made, [item.weight for item in used])


def _create(settings: SourceSettings, shape: BatchShape) -> TrainingSource:
    if settings.kind not in _KINDS:
        raise TrainingConfigError(
            f"there is no source of training data '{settings.kind}'; choose one of "
            f"{', '.join(_KINDS)}"
        )
    return _KINDS[settings.kind](settings.options, shape)


def _pool(options: Mapping[str, Any], shape: BatchShape) -> RenderedPoolSource:
    """Crops of stacks that were rendered beforehand."""
    label = "source 'pool'"
    _check_keys(options, ("folders", "variation", "sensor"), label)
    return RenderedPoolSource(
        _folders(options, "folders", label),
        shape.size,
        shape.stacks,
        config=_config(PoolConfig, options, "variation", label),
        sensor=_config(SensorConfig, options, "sensor", label),
        device=shape.device,
    )


def _layers(options: Mapping[str, Any], shape: BatchShape) -> SimulatedSource:
    """Random layers covered with photographs or patterns."""
    label = "source 'layers'"
    _check_keys(options, ("photographs", "layers", *_RENDERING), label)
    return SimulatedSource(
        shape.size,
        shape.stacks,
        Photographs(_photographs(options, label), shape.device),
        layers=_config(LayerConfig, options, "layers", label),
        settings=_rendering(options, shape, label),
    )


def _rooms(options: Mapping[str, Any], shape: BatchShape) -> RayTracedSource:
    """Ray-traced rooms."""
    label = "source 'rooms'"
    _check_keys(options, ("photographs", *_RENDERING), label)
    return RayTracedSource(
        shape.size,
        shape.stacks,
        _photographs(options, label),
        settings=_rendering(options, shape, label),
    )


def _reliefs(options: Mapping[str, Any], shape: BatchShape) -> ReliefSource:
    """Photographs with a depth that is made up."""
    label = "source 'reliefs'"
    _check_keys(options, ("photographs", "relief", *_RENDERING), label)
    return ReliefSource(
        shape.size,
        shape.stacks,
        _photographs(options, label),
        relief=_config(ReliefConfig, options, "relief", label),
        settings=_rendering(options, shape, label),
    )


def _rgbd(options: Mapping[str, Any], shape: BatchShape) -> RgbdSource:
    """Photographs with depth maps."""
    label = "source 'rgbd'"
    _check_keys(options, ("folders", "maps", *_RENDERING), label)
    return RgbdSource(
        _folders(options, "folders", label),
        shape.size,
        shape.stacks,
        config=_config(RgbdConfig, options, "maps", label),
        settings=_rendering(options, shape, label),
    )


_RENDERED: dict[str, Callable[[Mapping[str, Any], BatchShape], RenderedSource]] = {
    "layers": _layers,
    "rooms": _rooms,
    "reliefs": _reliefs,
    "rgbd": _rgbd,
}


def _monocular(options: Mapping[str, Any], shape: BatchShape) -> MonocularSource:
    """Single sharp images of what another source shows."""
    label = "source 'monocular'"
    _check_keys(options, ("shows", "options"), label)
    shown, inner = options.get("shows"), options.get("options", {})
    if shown not in _RENDERED:
        raise TrainingConfigError(
            f"shows of {label} is {shown!r}; it must be one of {', '.join(_RENDERED)}"
        )
    if not isinstance(inner, Mapping):
        raise TrainingConfigError(f"options of {label} is {inner!r}; it must be a mapping")
    return MonocularSource(_RENDERED[shown](inner, shape))


_KINDS: dict[str, Callable[[Mapping[str, Any], BatchShape], TrainingSource]] = {
    "pool": _pool,
    **_RENDERED,
    "monocular": _monocular,
}


def _rendering(options: Mapping[str, Any], shape: BatchShape, label: str) -> RenderSettings:
    return RenderSettings(
        sweep=_config(SweepConfig, options, "sweep", label),
        sensor=_config(SensorConfig, options, "sensor", label),
        device=shape.device,
    )


def _photographs(options: Mapping[str, Any], label: str) -> tuple[ImageArray, ...]:
    """Those that are named, or none."""
    return read_photographs(
        _folders(options, "photographs", label) if "photographs" in options else ()
    )


def _folders(options: Mapping[str, Any], key: str, label: str) -> list[str]:
    """One folder or several."""
    folders = options.get(key)
    folders = [folders] if isinstance(folders, str) else folders
    if not isinstance(folders, list) or not all(isinstance(item, str) for item in folders):
        raise TrainingConfigError(
            f"{key} of {label} is {folders!r}; give a folder or a list of them"
        )
    return folders


def _config(kind: type[_Config], options: Mapping[str, Any], key: str, label: str) -> _Config:
    """A dataclass of ranges and numbers from the mapping `key`; its own checks come on top."""
    values, label = options.get(key, {}), f"{key} of {label}"
    if not isinstance(values, Mapping):
        raise TrainingConfigError(f"{label} is {values!r}; it must be a mapping")
    defaults = {item.name: item.default for item in fields(kind)}  # type: ignore[arg-type]
    _check_keys(values, tuple(defaults), label)
    return kind(
        **{
            name: _like(defaults[name], value, f"{name} in {label}")
            for name, value in values.items()
        }
    )


def _like(default: object, value: Any, label: str) -> Any:
    """A value in the type of a default, if it is of its kind."""
    if isinstance(default, tuple):
        if isinstance(value, list) and len(value) == len(default):
            return tuple(_like(one, item, label) for one, item in zip(default, value, strict=True))
        raise TrainingConfigError(f"{label} is {value!r}; give {len(default)} values in brackets")
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise TrainingConfigError(f"{label} is {value!r}; it must be like its default, {default!r}")
    return value


def _check_keys(options: Mapping[str, Any], known: Sequence[str], label: str) -> None:
    for key, value in options.items():
        if key not in known:
            raise TrainingConfigError(
                f"{label} has no option '{key}' (given as {value!r}); it has {', '.join(known)}"
            )
