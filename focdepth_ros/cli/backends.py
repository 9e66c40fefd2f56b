"""``focdepth backends``: what is usable here, and which settings each has."""

# ruff: noqa: UP045

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Optional

import typer

if TYPE_CHECKING:
    from focdepth_ros.backends.registry import BackendInfo
    from focdepth_ros.options import OptionInfo

_WIDTH = 96


def backends(
    name: Optional[str] = typer.Argument(
        None, metavar="[NAME]", help="Backend whose settings to list."
    ),
) -> None:
    """List the backends, best first, and why one cannot be used here.

    With a NAME: the settings of that backend, for `focdepth estimate --option
    KEY=VALUE` and as parameters NAME.KEY of depth_node.
    """
    from focdepth_ros.backends.registry import backend_config, list_backends
    from focdepth_ros.options import option_infos

    if name is None:
        infos = list(list_backends())
        width = max(len(info.name) for info in infos)
        for info in infos:
            _print_backend(info, width)
        return
    for setting in option_infos(backend_config(name)):
        _print_setting(setting)


def _print_backend(info: BackendInfo, width: int) -> None:
    state = "usable" if info.unusable_because is None else "not usable"
    typer.echo(f"{info.name:<{width}}  {state:<10}  {info.summary}")
    if info.unusable_because is not None:
        typer.echo(f"{'':<{width}}  {'':<10}  {info.unusable_because}")
    if info.passed_over_because is not None:
        typer.echo(f"{'':<{width}}  {'':<10}  not by 'auto': {info.passed_over_because}")


def _print_setting(info: OptionInfo) -> None:
    default = str(info.default).lower() if isinstance(info.default, bool) else info.default
    typer.echo(f"{info.name}={default}")
    text = info.description
    if info.choices:
        text += f" One of {', '.join(info.choices)}."
    elif not isinstance(info.default, (bool, str)):
        text += f" In [{info.minimum:g}, {info.maximum:g}]."
    typer.echo(textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    "))
