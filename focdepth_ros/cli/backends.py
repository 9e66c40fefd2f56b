"""``focdepth backends``: what is usable here."""

from __future__ import annotations

import typer


def backends() -> None:
    """List the backends, best first, and why one cannot be used here."""
    from focdepth_ros.backends.registry import list_backends

    infos = list(list_backends())
    width = max(len(info.name) for info in infos)
    for info in infos:
        state = "usable" if info.unusable_because is None else "not usable"
        typer.echo(f"{info.name:<{width}}  {state:<10}  {info.summary}")
        if info.unusable_because is not None:
            typer.echo(f"{'':<{width}}  {'':<10}  {info.unusable_because}")
