"""The numbers of a run as a file, and the curves drawn of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from focdepth_ros.errors import TrainingError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.files.whole_files import whole_file
from focdepth_ros.pictures.chart import COLOURS, Colour, Series, chart
from focdepth_ros.stack import ImageArray

HISTORY, CURVES = "history.jsonl", "curves.png"

_STEP = "step"
_LOSS, _VALIDATION, _RATE = "loss/", "validation/", "lr"
# Of these measures 1 is the best; all others are errors.
_SHARES = ("delta1", "aligned_delta1", "sure")


class History:
    """All numbers of a run, one line of JSON for each time that some were written.

    Parameters
    ----------
    folder : Path
        Of the run. What is there already is gone on with.
    first_step : int
        What an earlier run wrote beyond this step is dropped.

    Raises
    ------
    TrainingError
        If the file that is there holds something else.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._folder = folder
        self._path = folder / HISTORY
        self._rows = [row for row in self._read() if row[_STEP] <= first_step]
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self._path) as file:
            file.writelines(_line(row) for row in self._rows)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers of a step down; what is no number is left out."""
        known = {name: value for name, value in values.items() if math.isfinite(value)}
        row = {_STEP: step, **known}
        self._rows.append(row)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(row))

    def draw(self) -> None:
        """Draw the curves anew, if there is anything to draw."""
        picture = curves(self._rows)
        if picture is not None:
            write_image(self._folder / CURVES, picture)

    def _read(self) -> list[dict[str, float]]:
        if not self._path.is_file():
            return []
        rows = []
        lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                rows.append({name: float(value) for name, value in json.loads(line).items()})
                rows[-1][_STEP] = int(rows[-1][_STEP])
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                if number == len(lines):  # it was cut off when the machine went down
                    break
                raise TrainingError(
                    f"{self._path}, line {number} is no line of a history ({error}); move the file "
                    "away to go on without"
                ) from error
        return rows


def curves(rows: Sequence[Mapping[str, float]]) -> ImageArray | None:
    """Losses, validation and learning rate over the steps.

    Parameters
    ----------
    rows : sequence of mapping of str to float
        Each with ``step``, and numbers as `RunLog` names them.

    Returns
    -------
    (H, W, 3) uint8 RGB, or None where there is nothing yet
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [name for name in names if name.startswith(_LOSS)]
    validation = [name for name in names if name.startswith(_VALIDATION)]
    shares = [name for name in validation if name.removeprefix(_VALIDATION) in _SHARES]
    errors = [name for name in validation if name not in shares]
    groups = [
        ("losses of the training", losses, True),
        ("validation: errors", errors, True),
        ("validation: shares", shares, False),
        ("learning rate", [_RATE] if _RATE in names else [], True),
    ]
    steps = [row[_STEP] for row in rows]
    charts = [
        chart(
            title,
            "step",
            "",
            [_series(rows, name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(group)],
            x_limits=(0.0, max(steps)),
            log_y=log_y,
        )
        for title, group, log_y in groups
        if group
    ]
    return np.vstack(charts) if charts else None


def _series(rows: Sequence[Mapping[str, float]], name: str, colour: Colour) -> Series:
    found = [(row[_STEP], row[name]) for row in rows if name in row]
    x, y = np.array(found, np.float64).T
    return Series(x, y, colour, label=name.rpartition("/")[2])


def _line(row: Mapping[str, float]) -> str:
    return json.dumps(row) + "\n"
