"""What is to be evaluated, as plain values: it can go to other processes and be made there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.datasets.base import Dataset
from focdepth_ros.datasets.registry import open_dataset
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.registration.config import AlignmentConfig


@dataclass(frozen=True)
class DatasetChoice:
    """A dataset to evaluate on.

    Parameters
    ----------
    name : str
        In the registry.
    root : str
        Where it lies.
    split : str or None
        None: its first one.
    options : dict
        Further ones that its class takes.
    label : str
        What the results call it, unlike any other of a job; `name` by default.
    """

    name: str
    root: str
    split: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name)

    def open(self) -> Dataset:
        """The dataset.

        Raises
        ------
        DatasetError
        """
        return open_dataset(self.name, self.root, self.split, **self.options)


@dataclass(frozen=True)
class EvaluationJob:
    """Backends and the datasets that they are evaluated on.

    Parameters
    ----------
    datasets : tuple of DatasetChoice
    backends : dict of str to dict
        Settings by the name of the backend.
    align : str
        Method of the alignment.
    min_confidence : float
        Pixels of lower confidence count as not answered.
    aif : bool
        Whether all-in-focus images are measured in full, too.
    """

    datasets: tuple[DatasetChoice, ...]
    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    align: str = "auto"
    min_confidence: float = 0.0
    aif: bool = False

    def open_dataset(self, label: str) -> Dataset:
        """The dataset that the results call so.

        Raises
        ------
        DatasetError
        """
        (choice,) = (choice for choice in self.datasets if choice.label == label)
        return choice.open()

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
