"""The weights that come with the package: which there are, and whether they are whole.

They lie in the folder ``weights`` with an ``index.yaml`` and one model card each. Nothing here
needs torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from focdepth_ros.errors import WeightsError
from focdepth_ros.files.yaml_files import parse_yaml

WEIGHTS_DIR = Path(__file__).parents[1] / "weights"
INDEX_NAME = "index.yaml"
SUFFIX = ".safetensors"

VERIFIED = "verified"
MISSING = "missing"
DAMAGED = "damaged"


@dataclass(frozen=True)
class ShippedWeights:
    """One entry of the index.

    Parameters
    ----------
    name : str
        By which they are asked for.
    file : str
        Name of the file beside the index.
    architecture : str
        Kind of network that they are of, which is the name of the backend, too.
    preset : str
        Its size.
    sha256 : str
        Checksum of the file, in hexadecimal.
    size : int
        Of the file, in bytes.
    summary : str
        One line.
    folder : Path
        Where the index lies.
    """

    name: str
    file: str
    architecture: str
    preset: str
    sha256: str
    size: int
    summary: str
    folder: Path = WEIGHTS_DIR

    @property
    def path(self) -> Path:
        """The file of the weights."""
        return self.folder / self.file

    @property
    def card_path(self) -> Path:
        """The model card: what they were trained on, how good they are, what they are not for."""
        return self.folder / f"{self.name}.md"

    def state(self) -> str:
        """``verified``, ``missing`` or ``damaged``, by the checksum."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return MISSING
        except OSError:
            return DAMAGED
        return VERIFIED if hashlib.sha256(content).hexdigest() == self.sha256 else DAMAGED

    def check(self) -> None:
        """Compare the checksum.

        Raises
        ------
        WeightsError
            If the file is missing or damaged.
        """
        state = self.state()
        if state != VERIFIED:
            raise WeightsError(
                f"weights '{self.name}' are {state}: {self.path}; install the package again"
            )

    def card(self) -> str:
        """The text of the model card.

        Raises
        ------
        WeightsError
            If it cannot be read.
        """
        try:
            return self.card_path.read_text(encoding="utf-8")
        except OSError as error:
            raise WeightsError(
                f"the card of weights '{self.name}' cannot be read: {self.card_path}: "
                f"{error.strerror or error}; install the package again"
            ) from error


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that was asked for, and its checksum where that is known."""

    path: Path
    sha256: str | None = None


_TYPES = {
    item.name: int if item.name == "size" else str
    for item in fields(ShippedWeights)
    if item.name != "folder"
}


def shipped_weights(folder: Path = WEIGHTS_DIR) -> tuple[ShippedWeights, ...]:
    """All entries of the index.

    Raises
    ------
    WeightsError
        If the index cannot be read or does not hold what it must.
    """
    path = folder / INDEX_NAME
    try:
        content = parse_yaml(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise WeightsError(f"{path} cannot be read: {error}; install the package again") from error
    if not isinstance(content, list):
        raise WeightsError(f"{path} is no list of weights; install the package again")
    entries = tuple(_entry(item, path) for item in content)
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WeightsError(f"{path} has {', '.join(twice)} more than once; install it again")
    return entries


def find_weights(name: str) -> ShippedWeights:
    """The shipped weights of a name.

    Raises
    ------
    WeightsError
        If there are none.
    """
    entries = shipped_weights()
    for entry in entries:
        if entry.name == name:
            return entry
    raise WeightsError(f"there are no weights '{name}'; {_what_is_shipped(entries)}")


def choose_weights(text: str, architecture: str) -> WeightsFile:
    """The file that a setting means.

    Parameters
    ----------
    text : str
        Name of shipped weights, or the path of a file that ends in ``.safetensors``; empty: the
        first that are shipped for the `architecture`.
    architecture : str

    Raises
    ------
    WeightsError
        If there are none.
    """
    if text.endswith(SUFFIX):
        return WeightsFile(Path(text).expanduser())
    entries = [entry for entry in shipped_weights() if entry.architecture == architecture]
    for entry in entries:
        if text in ("", entry.name):
            return WeightsFile(entry.path, entry.sha256)
    hint = f"{_what_is_shipped(entries)}, or give the path of a {SUFFIX} file"
    if not text:
        raise WeightsError(f"no weights of '{architecture}' are shipped; {hint}")
    if Path(text).expanduser().is_file():
        raise WeightsError(
            f"weights {text}: only {SUFFIX} files are loaded; scripts/convert_stackmff_v2.py makes "
            "one of the checkpoint of StackMFF-V2"
        )
    raise WeightsError(f"there are no weights '{text}' of '{architecture}'; {hint}")


def _what_is_shipped(entries: tuple[ShippedWeights, ...] | list[ShippedWeights]) -> str:
    if not entries:
        return "train some with `focdepth train`"
    return f"choose one of {', '.join(entry.name for entry in entries)}"


def _entry(item: object, path: Path) -> ShippedWeights:
    if not isinstance(item, Mapping) or set(item) != set(_TYPES):
        raise WeightsError(
            f"{path} has the entry {item!r}; it must have {', '.join(_TYPES)}, and no more"
        )
    values: dict[str, Any] = dict(item)
    for name, kind in _TYPES.items():
        if type(values[name]) is not kind:
            raise WeightsError(
                f"{path} has {name} {values[name]!r}; it must be of type {kind.__name__}"
            )
    if Path(values["file"]).name != values["file"] or not values["file"].endswith(SUFFIX):
        raise WeightsError(
            f"{path} has file '{values['file']}'; it must be the name of a {SUFFIX} file beside it"
        )
    return ShippedWeights(**values, folder=path.parent)
