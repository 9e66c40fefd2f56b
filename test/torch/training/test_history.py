"""The numbers of a run are kept in a file, and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_runs import from_pool, held_out, silent, small_config

from focdepth_ros.errors import TrainingError
from focdepth_ros.files.image_io import read_image
from focdepth_ros.pictures.chart import COLOURS
from focdepth_ros.training.history import CURVES, HISTORY, History, curves
from focdepth_ros.training.loop import train

_CHART = 340  # rows of the picture


def steps_of(folder: Path, name: str) -> list[int]:
    rows = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    return [row["step"] for row in rows if name in row]


def test_a_resumed_run_has_every_step_once_and_one_picture_of_all(
    tmp_path: Path, pool: Path
) -> None:
    for steps in (2, 6):
        config = small_config(
            tmp_path / "run",
            data=from_pool(pool),
            validation={**held_out(pool), "every": 2},
            schedule={"steps": steps},
            run={"debug_batch_shape": []},
        )
        # The picture of the first two steps is drawn over.
        train(config, resume=steps > 2, say=silent)
        picture = read_image(tmp_path / "run" / CURVES)
        assert picture.shape == (4 * _CHART, 900, 3)
    assert steps_of(tmp_path / "run", "loss/total") == [1, 2, 3, 4, 5, 6]
    assert steps_of(tmp_path / "run", "lr") == [1, 2, 3, 4, 5, 6]
    assert steps_of(tmp_path / "run", "validation/abs_rel") == [2, 4, 6]


def test_what_was_written_after_the_checkpoint_is_dropped(tmp_path: Path) -> None:
    first = History(tmp_path, 0)
    for step in (1, 2, 3):
        first.add(step, {"lr": 0.1 * step, "loss/total": float("nan")})
    again = History(tmp_path, 2)
    again.add(3, {"lr": 0.9})
    rows = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert rows == [{"step": 1, "lr": 0.1}, {"step": 2, "lr": 0.2}, {"step": 3, "lr": 0.9}]


def test_a_line_that_was_cut_off_is_dropped_any_other_named(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_text('{"step": 1, "lr": 0.5}\n{"step": 2, "l')
    History(tmp_path, 9).add(2, {"lr": 0.4})
    assert steps_of(tmp_path, "lr") == [1, 2]
    (tmp_path / HISTORY).write_text('[]\n{"step": 1, "lr": 0.5}\n')
    with pytest.raises(TrainingError, match="history.jsonl, line 1 is no line of a history"):
        History(tmp_path, 9)


def test_a_curve_falls_where_the_loss_does() -> None:
    rows = [{"step": step, "loss/total": 10.0**-step, "loss/depth": 1.0} for step in range(4)]
    picture = curves(rows)
    assert picture is not None
    assert picture.shape == (_CHART, 900, 3)
    row, column = np.nonzero((picture[:, :720] == COLOURS[0]).all(axis=2))
    left, right = row[column < 150].mean(), row[column > 600].mean()
    assert right - left > 150
    flat = np.nonzero((picture[:, :720] == COLOURS[1]).all(axis=2))[0]
    assert np.ptp(flat) <= 2


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    History(tmp_path, 0).draw()
    assert not (tmp_path / CURVES).exists()
