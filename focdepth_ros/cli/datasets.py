"""``focdepth datasets``: which datasets can be read, and what of them is on disk."""

# ruff: noqa: B008, UP045

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

if TYPE_CHECKING:
    from focdepth_ros.datasets.base import Dataset

_WIDTH = 96


def datasets(
    name: Optional[str] = typer.Argument(None, metavar="[NAME]", help="Dataset to show in full."),
    path: Optional[Path] = typer.Option(
        None,
        "--path",
        metavar="DIR",
        help="Where NAME lies; without a NAME a folder that holds each under its name.",
    ),
) -> None:
    """List the datasets, what was measured, where to get them, and their licences.

    With a NAME: also the files that are looked for. With --path: how many
    scenes of each split are there, or why there are none.
    """
    from focdepth_ros.datasets.registry import dataset_class, dataset_names
    from focdepth_ros.errors import DatasetError

    if path is not None and not path.exists():
        raise DatasetError(f"{path}: no such folder; give the one that the datasets lie in")
    if name is None:
        for known in dataset_names():
            if path is None:
                _print_facts(dataset_class(known))
            else:
                _print_scenes(dataset_class(known), path / known)
    else:
        _print_facts(dataset_class(name), with_layout=True)
        if path is not None:
            _print_scenes(dataset_class(name), path)


def _print_facts(dataset: type[Dataset], *, with_layout: bool = False) -> None:
    typer.echo(f"{dataset.name}: {dataset.title}")
    facts = [
        ("measured", dataset.measured),
        ("splits", ", ".join(dataset.splits)),
        ("licence", dataset.licence),
        ("from", dataset.homepage),
    ]
    if with_layout:
        first, *others = dataset.layout.split("\n")
        facts += [("files", first), *(("", line) for line in others)]
    _print_table(facts)


def _print_scenes(dataset: type[Dataset], folder: Path) -> None:
    from focdepth_ros.errors import DatasetError

    if not folder.exists():
        typer.echo(f"{dataset.name}: no folder {folder}")
        return
    typer.echo(f"{dataset.name}: {folder}")
    found = []
    for split in dataset.splits:
        try:
            count = len(dataset(folder, split))
            found.append((split, f"{count} scene{'' if count == 1 else 's'}"))
        except DatasetError as error:
            found.append((split, f"none: {error}"))
    _print_table(found)


def _print_table(rows: list[tuple[str, str]]) -> None:
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        first, rest = f"    {label:<{width}}  ", " " * (width + 6)
        typer.echo(
            textwrap.fill(
                text,
                _WIDTH,
                initial_indent=first,
                subsequent_indent=rest,
                break_long_words=False,  # of a path or an address nothing may be cut
                break_on_hyphens=False,
            )
        )
