"""Scores on disk as they come, one JSON object a line, so that an evaluation can go on later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.scores import SceneScore
from focdepth_ros.files.whole_files import whole_file

SCORES, SETTINGS = "scores.jsonl", "settings.json"


class ScoreFile:
    """The scores in a folder of results, with what they were made with.

    Parameters
    ----------
    folder : Path
        Made if need be.
    settings : mapping
        Plain values that scores in one file must share: dataset, split, backends and so on.
    resume : bool
        Whether to go on where an evaluation with the same settings ended. Otherwise the folder
        must have none.

    Raises
    ------
    EvaluationError
        If there are scores and `resume` is not set, or they were made with other settings.
    OSError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self._path = folder / SCORES
        self.scores: list[SceneScore] = []
        self._keys: set[tuple[str, str, str]] = set()
        self._is_behind = False
        settings = json.loads(json.dumps(settings))
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            if not resume:
                raise EvaluationError(
                    f"{folder} has the scores of an evaluation; go on with it by --resume, or "
                    "choose another folder"
                )
            self._check_settings(settings)
            for score in _read(self._path):
                if not score.error:  # what failed is tried again: its cause may have been mended
                    self._keep(score)
            self._write_all()  # without what a stopped run left half written
        (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def has(self, scene: str, backend: str, dataset: str = "") -> bool:
        """Whether the scene was scored with the backend, or failed in this run."""
        return (dataset, scene, backend) in self._keys

    def add(self, score: SceneScore) -> None:
        """Keep a score, on disk at once; one that is there already stays as it is.

        Raises
        ------
        OSError
            If it cannot be written. It is kept all the same, and written with the next one.
        """
        if not self._keep(score):
            return
        if self._is_behind:
            self.catch_up()
            return
        self._is_behind = True
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(score.to_dict()) + "\n")
        self._is_behind = False

    def catch_up(self) -> None:
        """Write what could not be written before; raises `OSError` if it still cannot be."""
        if self._is_behind:
            self._write_all()
            self._is_behind = False

    def _keep(self, score: SceneScore) -> bool:
        key = (score.dataset, score.scene, score.backend)
        if key in self._keys:
            return False
        self._keys.add(key)
        self.scores.append(score)
        return True

    def _write_all(self) -> None:
        lines = [json.dumps(score.to_dict()) + "\n" for score in self.scores]
        with whole_file(self._path) as file:
            file.writelines(lines)

    def _check_settings(self, settings: Mapping[str, Any]) -> None:
        path = self.folder / SETTINGS
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise EvaluationError(
                f"{path}: cannot be read, so it is not known what the scores beside it are of; "
                "choose another folder"
            ) from error
        for name in sorted({*before, *settings}):
            if before.get(name) != settings.get(name):
                raise EvaluationError(
                    f"{self.folder} has scores with {name} {before.get(name)!r}, now it is "
                    f"{settings.get(name)!r}; choose another folder"
                )


def _read(path: Path) -> list[SceneScore]:
    """Scores of a file; a last line that was not finished is left out, its scene done again."""
    lines = path.read_text(encoding="utf-8").splitlines()
    scores = []
    for number, line in enumerate(lines, start=1):
        try:
            scores.append(SceneScore.from_dict(json.loads(line)))
        except (json.JSONDecodeError, EvaluationError) as error:
            if number == len(lines):
                break
            raise EvaluationError(
                f"{path}, line {number}: is no score; choose another folder, or delete the line"
            ) from error
    return scores
