"""Depth is made up for photographs so that its edges are where theirs are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.stack import ImageArray
from focdepth_ros.training.rendering.random_relief import ReliefConfig, image_regions, random_relief
from focdepth_ros.training.rendering.sensor import PERFECT_SENSOR
from focdepth_ros.training.sources.relief import ReliefSource
from focdepth_ros.training.sources.rendered import RenderSettings

SIZE = (48, 64)


def patches() -> ImageArray:
    """Four areas of other colours, with texture, in (96, 128)."""
    image = np.empty((96, 128, 3), np.uint8)
    image[:48, :64], image[:48, 64:] = (200, 60, 60), (60, 200, 60)
    image[48:, :64], image[48:, 64:] = (60, 60, 200), (200, 200, 60)
    noise = np.random.default_rng(0).integers(-15, 16, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_regions_end_at_edges() -> None:
    crossed, possible = 0, 0
    for seed in range(8):
        regions = image_regions(patches(), 12, 1.5, generator(seed))
        assert regions.shape == (96, 128)
        assert 0 <= regions.min() < regions.max() < 12
        across = regions[:, 1:] != regions[:, :-1]
        at_edge = np.zeros(127, bool)
        at_edge[61:66] = True
        crossed += int(across[:, at_edge].sum())
        possible += int(across.sum())
    # 4 % of the columns: by chance so few of the changes would be there.
    assert crossed / possible > 0.15


@pytest.mark.parametrize("seed", range(6))
def test_a_relief_takes_all_of_its_range(seed: int) -> None:
    relief = random_relief(generator(seed), patches())
    assert (relief.shape, relief.dtype) == ((96, 128), np.float32)
    assert (relief.min(), relief.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(relief, random_relief(generator(seed), patches()))


def test_without_things_there_is_ground() -> None:
    ground_only = ReliefConfig(ground=1.0, tilt=(0.5, 0.5), level=1.0)
    relief = random_relief(generator(), patches(), ground_only)
    assert relief[-1].min() > relief[0].max()
    flat = ReliefConfig(ground=1.0, tilt=(0.0, 0.0))
    assert np.ptp(random_relief(generator(), patches(), flat)) == 1.0


class TestSource:
    @staticmethod
    def source(photographs: list[ImageArray]) -> ReliefSource:
        return ReliefSource(SIZE, 2, photographs, settings=RenderSettings(sensor=PERFECT_SENSOR))

    def test_truth_lies_within_the_sweep_and_the_nearest_slice_is_sharp(self) -> None:
        batch = self.source([patches()]).batch(generator(5), 5)
        assert batch.images.shape == (2, 5, 3, *SIZE)
        assert batch.labels is None
        for images, dioptres, truth in zip(
            batch.images, batch.dioptres, batch.inverse_depth, strict=True
        ):
            assert torch.isfinite(truth).all()
            sharpness = torch.stack(
                [
                    torch.from_numpy(cv2.Laplacian(i.float().mean(0).numpy(), cv2.CV_32F)).abs()
                    for i in images
                ]
            )
            nearest = (truth - dioptres[:, None, None]).abs()
            # Where a slice is in focus, it shows more detail than the one farthest from it.
            best = sharpness.gather(0, nearest.argmin(0)[None]).mean()
            worst = sharpness.gather(0, nearest.argmax(0)[None]).mean()
            assert float(best) > 1.3 * float(worst)

    def test_the_same_generator_gives_the_same(self) -> None:
        one, same = (self.source([patches()]).batch(generator(3), 3) for _ in range(2))
        assert torch.equal(one.images, same.images)

    def test_needs_photographs(self) -> None:
        with pytest.raises(OptionError, match="reliefs need photographs"):
            self.source([])


def test_what_cannot_be_is_refused() -> None:
    for bad in ({"regions": (1, 5)}, {"ground": 1.5}, {"tilt": (0.5, 0.1)}, {"level": -0.1}):
        with pytest.raises(OptionError, match="relief option"):
            ReliefConfig(**bad)
