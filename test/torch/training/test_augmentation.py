"""Flips, crops and rotations keep images and truth together."""

from __future__ import annotations

import pytest
import torch

from focdepth_ros.training.augmentation import AugmentedSource, warped
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.config import AugmentationSettings
from focdepth_ros.training.sources.base import TrainingSource

SIZE = (24, 36)


class Ramp(TrainingSource):
    """Truth, labels and all slices show the column, in a part of the rows."""

    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        ramp = torch.arange(SIZE[1]).repeat(2, SIZE[0], 1)
        images = ramp[:, None, None].repeat(1, slices, 3, 1, 1).to(torch.uint8)
        truth = ramp.float()
        truth[:, :4] = torch.nan
        return TrainingBatch(images, torch.tensor([[2.0, 1.0]] * 2), truth, ramp)


def made(**settings: float) -> TrainingBatch:
    source = AugmentedSource(Ramp(), AugmentationSettings(**settings))
    return source.batch(torch.Generator().manual_seed(0), 2)


def test_without_probabilities_nothing_changes() -> None:
    expected, found = Ramp().batch(torch.Generator(), 2), made()
    assert torch.equal(found.images, expected.images)
    torch.testing.assert_close(found.inverse_depth, expected.inverse_depth, equal_nan=True)
    assert found.labels is not None
    assert torch.equal(found.labels, Ramp().batch(torch.Generator(), 2).labels)


def test_a_flip_is_exact() -> None:
    expected, found = Ramp().batch(torch.Generator(), 2), made(flip=1.0)
    assert torch.equal(found.images, expected.images.flip(-1))
    torch.testing.assert_close(found.inverse_depth, expected.inverse_depth.flip(-1), equal_nan=True)


@pytest.mark.parametrize("settings", [{"crop": 1.0}, {"rotation": 1.0}, {"flip": 1.0, "crop": 1.0}])
def test_images_truth_and_labels_stay_together(settings: dict[str, float]) -> None:
    found = made(**settings)
    known = torch.isfinite(found.inverse_depth)
    assert 0.5 < float(known.float().mean()) < 1.0
    for number in range(2):
        error = found.images[:, number, 0].float() - found.inverse_depth
        assert float(error[known].abs().max()) <= 1.0
    assert found.labels is not None
    seen = found.labels >= 0
    error = found.images[:, 0, 0].long() - found.labels
    assert int(error[seen].abs().max()) <= 1
    assert not torch.equal(found.images, Ramp().batch(torch.Generator(), 2).images)


def test_a_rotation_by_90_degrees_turns_rows_into_columns() -> None:
    height, width = SIZE
    batch = Ramp().batch(torch.Generator(), 2)
    quarter = torch.tensor([[[0.0, -height / width, 0.0], [width / height, 0.0, 0.0]]] * 2)
    found = warped(batch, quarter)
    # The middle column now shows the middle row, and beyond the image nothing is known.
    column = found.images[0, 0, 0, :, width // 2].float()
    assert float((column[1:] - column[:-1]).abs().min()) == 1.0
    assert found.labels is not None
    assert (found.labels[:, :, :5] == -1).all()
    assert torch.isnan(found.inverse_depth[:, :, :5]).all()


def test_the_same_generator_gives_the_same_batch() -> None:
    settings = {"flip": 0.5, "crop": 0.5, "rotation": 0.5}
    assert torch.equal(made(**settings).images, made(**settings).images)
