"""Mixtures of sources."""

from __future__ import annotations

import pytest
import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.sources.base import MixedSource, TrainingSource


class Constant(TrainingSource):
    """Batches that hold one number."""

    def __init__(self, value: int) -> None:
        self.value = value

    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        images = torch.full((1, slices, 3, 2, 2), self.value, dtype=torch.uint8)
        return TrainingBatch(images, torch.zeros(1, slices), torch.zeros(1, 2, 2))


def values(source: TrainingSource, count: int = 400, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return [int(source.batch(generator, 2).images[0, 0, 0, 0, 0]) for _ in range(count)]


def test_sources_are_chosen_as_often_as_they_weigh() -> None:
    found = values(MixedSource([Constant(1), Constant(2), Constant(3)], [3.0, 1.0, 0.0]))
    assert 260 < found.count(1) < 340
    assert found.count(1) + found.count(2) == 400


def test_without_weights_all_are_as_frequent() -> None:
    found = values(MixedSource([Constant(1), Constant(2)]))
    assert 160 < found.count(1) < 240


def test_the_same_generator_chooses_the_same() -> None:
    mixture = MixedSource([Constant(1), Constant(2)])
    assert values(mixture, 30, 5) == values(mixture, 30, 5)


@pytest.mark.parametrize(
    ("count", "weights", "message"),
    [
        (0, None, "mixture of no sources"),
        (2, [1.0], "1 weights for 2 sources"),
        (2, [0.0, 0.0], "not all of them 0"),
        (2, [1.0, -1.0], "0 or more"),
        (2, [1.0, float("nan")], "finite"),
    ],
)
def test_what_does_not_fit_is_refused(
    count: int, weights: list[float] | None, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        MixedSource([Constant(number) for number in range(count)], weights)
