"""What an evaluation leaves in its folder beside the scores: a table, means, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focdepth_ros.datasets.base import Dataset
from focdepth_ros.evaluation.report import write_report
from focdepth_ros.evaluation.scores import SceneScore
from focdepth_ros.evaluation.summary import (
    SCENES_CSV,
    SUMMARY_JSON,
    overview,
    write_csv,
    write_json,
)


@dataclass(frozen=True)
class Evaluated:
    """A dataset that was evaluated on.

    Parameters
    ----------
    dataset : Dataset
    scenes : tuple of str
        Those that were chosen of it.
    """

    dataset: Dataset
    scenes: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """What is to be known of it, for programs."""
        return {
            "title": self.dataset.title,
            "path": str(self.dataset.root),
            "split": self.dataset.split,
            "scenes": len(self.scenes),
        }

    def shown(self) -> dict[str, Any]:
        """What is to be known of it, for people."""
        return {
            **self.plain(),
            "scenes": f"{len(self.scenes)} of {len(self.dataset)}",
            "truth": self.dataset.measured,
        }


def write_evaluation(
    folder: Path,
    scores: Sequence[SceneScore],
    evaluated: Mapping[str, Evaluated],
    left_out: Mapping[str, str],
    *,
    backends: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
    machine: str,
) -> Path:
    """Write all of an evaluation on datasets.

    Parameters
    ----------
    folder : Path
    scores : sequence of SceneScore
    evaluated : mapping of str to Evaluated
        By what the scores call the dataset.
    left_out : mapping of str to str
        Datasets that could not be opened, and why.
    backends : mapping of str to mapping
        Settings of each.
    about : mapping of str to plain values
        Further settings.
    machine : str
        What the times are of.

    Returns
    -------
    Path
        Of the report.
    """
    titles = [item.dataset.title for item in evaluated.values()]
    what = titles[0] if len(titles) == 1 else f"{len(titles)} datasets"
    about = {"scenes": sum(len(item.scenes) for item in evaluated.values()), **about}
    measured = "depth and all-in-focus images" if about.get("aif") else "depth"
    return write_results(
        folder,
        f"{what}: {measured} against the truth",
        {**about, "settings": dict(backends), "machine": machine},
        scores,
        shown={"backends": ", ".join(backends), **about, "machine": machine},
        evaluated=evaluated,
        left_out=left_out,
    )


def write_results(
    folder: Path,
    title: str,
    about: Mapping[str, Any],
    scores: Sequence[SceneScore],
    *,
    shown: Mapping[str, Any] | None = None,
    evaluated: Mapping[str, Evaluated] | None = None,
    left_out: Mapping[str, str] | None = None,
) -> Path:
    """Write the table, the means and the report.

    Parameters
    ----------
    folder : Path
        With the pictures of the scenes, as far as there are any.
    title : str
        Of the report.
    about : mapping of str to plain values
        What was evaluated.
    scores : sequence of SceneScore
    shown : mapping of str to anything, optional
        What the report says of it; `about` by default.
    evaluated, left_out
        As of `write_evaluation`, where there are datasets.

    Returns
    -------
    Path
        Of the report.
    """
    evaluated, left_out = evaluated or {}, left_out or {}
    write_csv(folder / SCENES_CSV, scores)
    write_json(
        folder / SUMMARY_JSON,
        overview(scores),
        about,
        {label: item.plain() for label, item in evaluated.items()}
        | {label: {"error": why} for label, why in left_out.items()},
    )
    return write_report(
        folder,
        title,
        about if shown is None else shown,
        scores,
        datasets={label: item.shown() for label, item in evaluated.items()},
        left_out=left_out,
    )
