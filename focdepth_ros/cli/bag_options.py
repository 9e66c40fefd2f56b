"""What the commands of ``focdepth bag`` share: which topics, and how frames become sweeps."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_type_hints

import typer
from rich.markup import escape

from focdepth_ros.options import OptionInfo, option_infos
from focdepth_ros.sweep_parts.config import Reference, SweepConfig

if TYPE_CHECKING:
    from focdepth_ros.bags.rigid_transform import RigidTransform
    from focdepth_ros.bags.topics import BagSettings

_SWEEP = "sweep_"  # before the fields of SweepConfig, as ``sweep.`` in the parameters of the nodes


@dataclass(frozen=True)
class _Option:
    """An option: type and declaration for Typer."""

    kind: type
    declaration: Any


def _text(text: str, default: str, metavar: str = "TOPIC") -> _Option:
    return _Option(str, typer.Option("", metavar=metavar, help=text, show_default=default))


def _of_sweep(info: OptionInfo) -> _Option:
    limits: dict[str, Any] = {"min": info.minimum, "max": info.maximum}
    if isinstance(info.default, str):
        limits = {}
    # Typer would take a unit in brackets for markup.
    declaration = typer.Option(info.default, help=escape(info.description), **limits)
    return _Option(type(info.default), declaration)


_OPTIONS: dict[str, _Option] = {
    "image_topic": _text("Images, raw or compressed.", "found by type"),
    "focus_topic": _text("Focus states.", "found by type"),
    "info_topic": _text("Calibration.", "that beside the focus states"),
    "depth_topic": _text("Ground truth.", "found by type and name"),
    "depth_info_topic": _text("Calibration of the camera of the truth.", "that beside it"),
    "extrinsic": _text(
        "How the camera of the truth lies in the optical frame of the images: x,y,z,qx,qy,qz,qw, "
        "or a YAML file of translation and rotation; same: the truth is on the grid of the images.",
        "as /tf_static tells where their frames differ",
        "POSE",
    ),
    "depth_tolerance": _Option(
        float, typer.Option(0.5, min=0.0, help="Maximum seconds between a sweep and its truth.")
    ),
    "reference": _Option(
        str, typer.Option("last", help="Slice whose grid the depth has: first, middle or last.")
    ),
    "image_bit_depth": _Option(
        int, typer.Option(16, min=8, max=16, help="Used bits of 16-bit images.")
    ),
    "max_image_pixels": _Option(
        int, typer.Option(20_000_000, min=1, help="Larger images are left out.")
    ),
    **{_SWEEP + info.name: _of_sweep(info) for info in option_infos(SweepConfig)},
}


def takes_bag_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command for Typer these options; it gets them as its argument `settings`."""

    def with_options(**values: Any) -> None:
        shared = {name: values.pop(name) for name in _OPTIONS}
        command(**values, settings=bag_settings(**shared))

    kinds = get_type_hints(command, localns={"BagSettings": Any})
    own = [
        parameter.replace(annotation=kinds[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "settings"
    ]
    more = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=option.declaration,
            annotation=option.kind,
        )
        for name, option in _OPTIONS.items()
    ]
    shown = cast(Any, with_options)
    shown.__name__, shown.__doc__ = command.__name__, command.__doc__
    shown.__signature__ = inspect.Signature([*own, *more])
    shown.__annotations__ = {item.name: item.annotation for item in (*own, *more)}
    return with_options


def bag_settings(
    *,
    image_topic: str,
    focus_topic: str,
    info_topic: str,
    depth_topic: str,
    depth_info_topic: str,
    extrinsic: str,
    depth_tolerance: float,
    reference: str,
    image_bit_depth: int,
    max_image_pixels: int,
    **sweep: Any,
) -> BagSettings:
    """The settings that the options tell.

    Raises
    ------
    typer.BadParameter
        If the reference is none that there is.
    OptionError, CalibrationError
        If values do not go together, or the extrinsic is none.
    """
    from focdepth_ros.bags.topics import BagSettings
    from focdepth_ros.messages.image_decoding import ImageLimits

    if reference not in get_args(Reference):
        raise typer.BadParameter(
            f"'{reference}' is none of {', '.join(get_args(Reference))}", param_hint="--reference"
        )
    return BagSettings(
        image_topic=image_topic,
        focus_topic=focus_topic,
        info_topic=info_topic,
        depth_topic=depth_topic,
        depth_info_topic=depth_info_topic,
        sweep=_sweep_config({name.removeprefix(_SWEEP): value for name, value in sweep.items()}),
        reference=cast(Reference, reference),
        limits=ImageLimits(max_image_pixels, image_bit_depth),
        depth_tolerance=depth_tolerance,
        extrinsic=_extrinsic(extrinsic),
    )


def _sweep_config(values: dict[str, Any]) -> SweepConfig:
    from focdepth_ros.errors import OptionError

    try:
        return SweepConfig(**values)
    except OptionError as error:
        name, _, rest = str(error).partition(" ")
        raise OptionError(f"--sweep-{name.replace('_', '-')} {rest}") from error


def _extrinsic(text: str) -> RigidTransform | Literal["same"] | None:
    from focdepth_ros.bags.rigid_transform import read_transform

    if text == "same":
        return "same"
    return read_transform(text) if text else None
