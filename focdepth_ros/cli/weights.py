"""``focdepth weights``: the weights of networks that come with the package."""

# ruff: noqa: UP045

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

if TYPE_CHECKING:
    from focdepth_ros.models.weights_index import ShippedWeights, WeightsFile

weights = typer.Typer(add_completion=False)


@weights.callback(invoke_without_command=True)
def _weights(context: typer.Context) -> None:
    """List the weights that come with the package, and whether they are intact."""
    if context.invoked_subcommand is not None:
        return
    from focdepth_ros.models.weights_index import shipped_weights

    entries = shipped_weights()
    if not entries:
        typer.echo("no weights come with this package; `focdepth train` makes some")
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        size = f"{entry.size / 1e6:.1f} MB"
        typer.echo(
            f"{entry.name:<{width}}  {entry.preset:<6}  {size:>9}  {entry.state():<8}  "
            f"{entry.summary}"
        )


@weights.command()
def verify(
    name: Optional[str] = typer.Argument(
        None, metavar="[NAME|FILE]", help="One of them, or a .safetensors file; else all."
    ),
) -> None:
    """Check the checksums, and that the weights fit their network."""
    from focdepth_ros.errors import WeightsError
    from focdepth_ros.models.weights_index import SUFFIX, WeightsFile, find_weights, shipped_weights

    if name is not None and name.endswith(SUFFIX):
        _verify(name, WeightsFile(Path(name)))
        return
    entries = shipped_weights() if name is None else (find_weights(name),)
    if not entries:
        typer.echo("no weights come with this package")
    faults = []
    for entry in entries:
        try:
            _verify(entry.name, WeightsFile(entry.path, entry.sha256), entry)
        except WeightsError as error:
            faults.append(str(error))
    if faults:
        raise WeightsError("; ".join(faults))


@weights.command()
def card(name: str = typer.Argument(..., metavar="NAME", help="Name of shipped weights.")) -> None:
    """Print the model card: training, accuracy, limits."""
    from focdepth_ros.models.weights_index import find_weights

    typer.echo(find_weights(name).card().rstrip())


def _verify(name: str, file: WeightsFile, entry: ShippedWeights | None = None) -> None:
    from focdepth_ros.errors import BackendUnavailableError
    from focdepth_ros.libraries import NETWORK_LIBRARIES, missing_because

    missing = missing_because(NETWORK_LIBRARIES, "torch")
    if missing is None:
        from focdepth_ros.models.checkpoint import read_weights

        stored = read_weights(file.path, sha256=file.sha256)
        count = sum(tensor.numel() for tensor in stored.tensors.values())
        stored.network()
        typer.echo(f"{name}: verified, {stored.architecture} with {count / 1e6:.1f} M weights")
        return
    if entry is None:
        raise BackendUnavailableError(f"{name} cannot be loaded here: {missing}")
    entry.check()
    typer.echo(f"{name}: verified by its checksum, not loaded: {missing}")
