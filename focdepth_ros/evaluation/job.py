"""What is to be evaluated, as plain values: it can go to other processes and be made there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from focdepth_ros.alignment import AlignmentConfig
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.datasets.base import Dataset
from focdepth_ros.datasets.registry import open_dataset
from focdepth_ros.pipeline import DepthPipeline


@dataclass(frozen=True)
class EvaluationJob:
    """Backends and the dataset that they are evaluated on.

    Parameters
    ----------
    dataset : str
        Name in the registry.
    root : str
        Where it lies.
    split : str or None
        None: its first one.
    backends : dict of str to dict
        Settings by the name of the backend.
    align : str
        Method of the alignment.
    min_confidence : float
        Pixels of lower confidence count as not answered.
    dataset_options : dict
        Further ones that the class of the dataset takes.
    """

    dataset: str
    root: str
    split: str | None
    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    align: str = "auto"
    min_confidence: float = 0.0
    dataset_options: dict[str, Any] = field(default_factory=dict)

    def open_dataset(self) -> Dataset:
        """The dataset.

        Raises
        ------
        DatasetError
        """
        return open_dataset(self.dataset, self.root, self.split, **self.dataset_options)

    def make_pipelines(self) -> dict[str, DepthPipeline]:
        """A pipeline for every backend, by its name.

        Raises
        ------
        BackendUnavailableError, OptionError
        """
        return {
            name: make_pipeline(name, options, align=self.align, min_confidence=self.min_confidence)
            for name, options in self.backends.items()
        }


def make_pipeline(
    backend: str, options: Mapping[str, Any], *, align: str, min_confidence: float = 0.0
) -> DepthPipeline:
    """The pipeline of a backend.

    Parameters
    ----------
    backend : str
    options : mapping of str to anything
        Its settings.
    align : str
        Method of the alignment.
    min_confidence : float
        Pixels of lower confidence count as not answered.

    Raises
    ------
    BackendUnavailableError, OptionError
    """
    return DepthPipeline(
        create_backend(backend, **options),
        alignment=AlignmentConfig(method=align),
        min_confidence=min_confidence,
    )


def evenly_spread(scenes: Sequence[str], count: int | None) -> list[str]:
    """So many of the scenes, from the first to the last at even distances; None: all."""
    if count is None or count >= len(scenes):
        return list(scenes)
    if count == 1:
        return [scenes[0]]
    return [scenes[round(i * (len(scenes) - 1) / (count - 1))] for i in range(count)]
