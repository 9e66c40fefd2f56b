"""Where training data comes from: one small interface, and mixtures of what implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.training.batch import TrainingBatch


class TrainingSource(ABC):
    """Something that makes batches of training data without end.

    A source has no state that a batch depends on: the same state of the generator gives the
    same batch, so that a run can be resumed exactly.
    """

    @abstractmethod
    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        """The next batch.

        Parameters
        ----------
        generator : torch.Generator
            On the CPU; the only source of randomness.
        slices : int
            How many slices each stack is to have, at least 2. A source that never has so many
            gives as many as it has.
        """


class MixedSource(TrainingSource):
    """Every batch from one of several sources, chosen at random.

    Parameters
    ----------
    sources : sequence of TrainingSource
    weights : sequence of float, optional
        How often each is chosen, in any unit; equally often by default.

    Raises
    ------
    OptionError
        If there is no source, or the weights do not fit.
    """

    def __init__(
        self, sources: Sequence[TrainingSource], weights: Sequence[float] | None = None
    ) -> None:
        weights = [1.0] * len(sources) if weights is None else list(weights)
        if not sources:
            raise OptionError("a mixture of no sources of training data; give at least one")
        if len(weights) != len(sources):
            raise OptionError(
                f"{len(weights)} weights for {len(sources)} sources of training data; "
                "give one for each"
            )
        # NaN fails the comparison too.
        if not all(0.0 <= weight < float("inf") for weight in weights) or sum(weights) == 0.0:
            raise OptionError(
                f"weights of training data are {weights}; give finite ones of 0 or more, "
                "not all of them 0"
            )
        self._sources = tuple(sources)
        self._weights = torch.tensor(weights, dtype=torch.float64)

    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        """A batch of the source that is chosen for it."""
        chosen = int(torch.multinomial(self._weights, 1, generator=generator))
        return self._sources[chosen].batch(generator, slices)
