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


def write_results(
    folder: Path,
    scores: Sequence[SceneScore],
    evaluated: Mapping[str, Evaluated],
    left_out: Mapping[str, str],
    *,
    backends: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
) -> Path:
    """Write all of it.

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

    Returns
    -------
    Path
        Of the report.
    """
    about = {"scenes": sum(len(item.scenes) for item in evaluated.values()), **about}
    write_csv(folder / SCENES_CSV, scores)
    write_json(
        folder / SUMMARY_JSON,
        overview(scores),
        {**about, "settings": dict(backends)},
        {label: item.plain() for label, item in evaluated.items()}
        | {label: {"error": why} for label, why in left_out.items()},
    )
    titles = [item.dataset.title for item in evaluated.values()]
    what = titles[0] if len(titles) == 1 else f"{len(titles)} datasets"
    return write_report(
        folder,
        f"{what}: depth against the truth",
        {"backends": ", ".join(backends), **about},
        scores,
        datasets={label: item.shown() for label, item in evaluated.items()},
        left_out=left_out,
    )
