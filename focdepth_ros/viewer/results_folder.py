"""The results of `focdepth estimate` or `focdepth fuse` in a viewer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from focdepth_ros.errors import StackFileError
from focdepth_ros.files.image_io import read_image
from focdepth_ros.files.ply import read_ply
from focdepth_ros.files.results import RESULT_JSON
from focdepth_ros.stack import FloatImage
from focdepth_ros.viewer.recording import ViewerRecording

_MOST_FACTS = ("backend", "slices", "coverage", "nearest", "farthest", "warnings")


def is_results_folder(path: Path) -> bool:
    """Whether results were written there."""
    return (path / RESULT_JSON).is_file()


def show_results(folder: Path, recording: ViewerRecording) -> None:
    """Show what is in a folder of results.

    Raises
    ------
    StackFileError
        If a file in it is damaged.
    """
    facts = _facts(folder)
    told = {name: _shown(facts[name]) for name in _MOST_FACTS if facts.get(name)}
    recording.show_facts(folder.resolve().name, told)
    if (folder / "depth.npy").is_file():
        recording.show_depth(_array(folder / "depth.npy"), metric=bool(facts.get("metric")))
    if (folder / "confidence.npy").is_file():
        recording.show_confidence(_array(folder / "confidence.npy"))
    if (folder / "all_in_focus.png").is_file():
        recording.show_all_in_focus(read_image(folder / "all_in_focus.png"))
    if (folder / "cloud.ply").is_file():
        recording.show_cloud(*read_ply(folder / "cloud.ply"))


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / RESULT_JSON).read_text(encoding="utf-8"))
    except ValueError as error:
        raise StackFileError(
            f"{folder / RESULT_JSON} is damaged: {error}; write it again"
        ) from error
    return facts if isinstance(facts, dict) else {}


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _array(path: Path) -> FloatImage:
    try:
        values = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise StackFileError(f"{path} is damaged: {error}; write it again") from error
    if values.ndim != 2 or values.dtype.kind != "f":
        raise StackFileError(
            f"{path} is of shape {values.shape} and type {values.dtype}; it must be an image of "
            "floats as `focdepth estimate` writes it"
        )
    return np.asarray(values, np.float32)
