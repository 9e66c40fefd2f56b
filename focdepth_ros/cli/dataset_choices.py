"""Which datasets are meant by ``--dataset``, ``--path`` and ``--split``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from focdepth_ros.evaluation.job import DatasetChoice

_SEPARATOR = ":"


def dataset_choices(
    names: Sequence[str], paths: Sequence[Path], split: str | None
) -> tuple[DatasetChoice, ...]:
    """The datasets of a command line.

    Parameters
    ----------
    names : sequence of str
        ``NAME`` or ``NAME:SPLIT``.
    paths : sequence of Path
        Where each of them lies.
    split : str or None
        That of the only dataset.

    Raises
    ------
    typer.BadParameter
        If they do not go together.
    DatasetError
        If there is no such dataset.
    """
    from focdepth_ros.evaluation.job import DatasetChoice

    if len(names) != len(paths):
        raise typer.BadParameter(
            f"there are {len(names)} --dataset and {len(paths)} --path; give every dataset its own "
            "path, in the same order",
            param_hint="--path",
        )
    parts = [_checked(name, split, single=len(names) == 1) for name in names]
    labels = [_SEPARATOR.join(filter(None, part)) for part in parts]
    count = Counter(labels)
    choices = tuple(
        # From wherever a worker looks at it.
        DatasetChoice(
            name,
            str(path.absolute()),
            part,
            label=label if count[label] == 1 else f"{label} {path}",
        )
        for (name, part), path, label in zip(parts, paths, labels, strict=True)
    )
    for label, times in Counter(choice.label for choice in choices).items():
        if times > 1:
            raise typer.BadParameter(f"'{label}' is given {times} times", param_hint="--dataset")
    return choices


def _checked(text: str, split: str | None, *, single: bool) -> tuple[str, str | None]:
    """Name and split of a dataset."""
    from focdepth_ros.datasets.registry import dataset_class

    name, _, part = text.partition(_SEPARATOR)
    known = dataset_class(name).splits
    if split is not None and (part or not single):
        raise typer.BadParameter(
            f"'{split}' could be of several datasets; write it behind its name, like --dataset "
            f"{name}{_SEPARATOR}{split}"
            if not single
            else f"'{split}' and '{text}' name two splits; give one",
            param_hint="--split",
        )
    part = part or split or ""
    if part and part not in known:
        raise typer.BadParameter(
            f"dataset '{name}' has no split '{part}'; choose one of {', '.join(known)}",
            param_hint="--dataset",
        )
    return name, part or None
