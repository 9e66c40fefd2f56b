#!/usr/bin/env python3
r"""Put trained weights among those that come with the package, and write them into the index.

    python3 scripts/ship_weights.py training/tiny/weights.safetensors focdepthformer_tiny \
        --summary "trained on rendered scenes; for computers without a GPU"

Weights of the same name are replaced where they stand in the index; new ones go to its end. The
model card, NAME.md, is written by hand.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from focdepth_ros.errors import FocdepthError, WeightsError  # noqa: E402
from focdepth_ros.models.architectures import ARCHITECTURES  # noqa: E402
from focdepth_ros.models.checkpoint import StoredWeights, read_weights  # noqa: E402
from focdepth_ros.models.weights_index import (  # noqa: E402
    INDEX_NAME,
    SUFFIX,
    WEIGHTS_DIR,
    ShippedWeights,
    shipped_weights,
)


def ship(source: Path, name: str, summary: str, folder: Path = WEIGHTS_DIR) -> ShippedWeights:
    """Copy weights into a folder and write its index.

    Parameters
    ----------
    source : Path
        Written by ``focdepth train``.
    name : str
        That they are to have.
    summary : str
        One line.
    folder : Path

    Raises
    ------
    WeightsError
        If they cannot be used, or the name is not one.
    """
    if not name.isidentifier():
        raise WeightsError(f"'{name}' is not a name; use letters, digits and underscores")
    stored = read_weights(source)
    stored.network()
    target = folder / f"{name}{SUFFIX}"
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)
    content = target.read_bytes()
    entry = ShippedWeights(
        name=name,
        file=target.name,
        architecture=stored.architecture,
        preset=preset_of(stored),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        summary=summary,
        folder=folder,
    )
    entries = list(shipped_weights(folder))
    names = [old.name for old in entries]
    at = names.index(name) if name in names else len(entries)
    entries[at : at + 1] = [entry]
    write_index(entries, folder)
    return entry


def preset_of(stored: StoredWeights) -> str:
    """Name of the preset that the configuration is, or ``custom``."""
    kind = ARCHITECTURES[stored.architecture].config_class()
    for name in kind.presets:
        values = kind.preset(name).to_dict()
        if values == {**values, **stored.config}:
            return name
    return "custom"


def write_index(entries: list[ShippedWeights], folder: Path) -> None:
    """Write all entries, below the comment that the index begins with."""
    path = folder / INDEX_NAME
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = [line for line in lines if line.startswith("#")]
    rows = [
        {key: value for key, value in asdict(entry).items() if key != "folder"} for entry in entries
    ]
    text = yaml.safe_dump(rows, sort_keys=False, allow_unicode=True, width=100)
    path.write_text("\n".join([*comment, text]), encoding="utf-8")


def main() -> int:
    """Do what the command line says; the exit status is returned."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path, help="trained weights (.safetensors)")
    parser.add_argument("name", help="that they are to have, such as focdepthformer_tiny")
    parser.add_argument("--summary", required=True, help="one line for the list")
    asked = parser.parse_args()
    try:
        entry = ship(asked.source, asked.name, asked.summary)
    except FocdepthError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{entry.path}: {entry.size / 1e6:.1f} MB, sha256 {entry.sha256}")
    if not entry.card_path.exists():
        print(f"its model card is missing; write {entry.card_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
