"""Stacks from photographs with depth maps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from focdepth_ros.errors import DatasetError, OptionError, StackFileError
from focdepth_ros.training.rendering.sensor import PERFECT_SENSOR
from focdepth_ros.training.sources.monocular import MonocularSource
from focdepth_ros.training.sources.rendered import RenderSettings
from focdepth_ros.training.sources.rgbd import RgbdConfig, RgbdSource

SIZE = (48, 64)
SETTINGS = RenderSettings(sensor=PERFECT_SENSOR)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two noisy pictures of a box before a wall; a corner of the depth is not known."""
    rng = np.random.default_rng(0)
    for name in ("rgb", "depth"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for number in range(2):
        image = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
        depth = np.full((90, 120), 2000, np.uint16)
        depth[30:70, 40:80] = 800
        depth[:30, :40] = 0
        cv2.imwrite(str(tmp_path / "set" / "rgb" / f"{number}.png"), image)
        cv2.imwrite(str(tmp_path / "set" / "depth" / f"{number}.png"), depth)
    return tmp_path / "set"


def test_truth_is_the_depth_map_and_nothing_where_it_is_not_known(folder: Path) -> None:
    source = RgbdSource([folder], SIZE, 2, settings=SETTINGS)
    assert len(source) == 2
    generator = torch.Generator().manual_seed(0)
    found = [source.batch(generator, 4) for _ in range(3)]
    truth = torch.cat([batch.inverse_depth for batch in found])
    assert found[0].images.shape == (2, 4, 3, *SIZE)
    assert found[0].labels is None
    assert bool(truth.isnan().any())
    values = truth[~truth.isnan()].unique()
    torch.testing.assert_close(values, torch.tensor([0.5, 1.25]))
    for batch in found:
        assert float(batch.dioptres.min()) < 0.6
        assert float(batch.dioptres.max()) > 1.1


def test_the_same_generator_gives_the_same_batch(folder: Path) -> None:
    source = RgbdSource([folder], SIZE, 1)
    one, same = (source.batch(torch.Generator().manual_seed(9), 3) for _ in range(2))
    assert torch.equal(one.images, same.images)


def test_depths_are_scaled(folder: Path) -> None:
    source = RgbdSource([folder], SIZE, 1, config=RgbdConfig(depth_factor=2.0), settings=SETTINGS)
    _, scene = source.draw(torch.Generator().manual_seed(0), 3)
    values = scene.inverse_depth[~scene.inverse_depth.isnan()].unique()
    torch.testing.assert_close(values, torch.tensor([0.25, 0.625]))


def test_what_is_too_far_is_not_known(folder: Path) -> None:
    near = RgbdSource([folder], (32, 32), 1, config=RgbdConfig(farthest=1.0), settings=SETTINGS)
    _, scene = near.draw(torch.Generator().manual_seed(0), 3)
    values = scene.inverse_depth[~scene.inverse_depth.isnan()].unique()
    torch.testing.assert_close(values, torch.tensor([1.25]))
    with pytest.raises(StackFileError, match="check the depth maps"):
        RgbdSource([folder], SIZE, 1, config=RgbdConfig(farthest=0.1)).draw(torch.Generator(), 3)


def test_serves_for_monocular_training_too(folder: Path) -> None:
    mono = MonocularSource(RgbdSource([folder], SIZE, 2, settings=SETTINGS))
    found = mono.batch(torch.Generator().manual_seed(0), 5)
    assert found.images.shape == (2, 1, 3, *SIZE)
    assert found.labels is None


def test_grey_levels_in_the_layout_of_stackmff(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("AiF", "depth_maps"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "AiF" / "1.jpg"), rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    grey = np.zeros((90, 120), np.uint8)
    grey[30:70, 40:80] = 127
    cv2.imwrite(str(tmp_path / "depth_maps" / "1.png"), grey)
    source = RgbdSource([tmp_path], SIZE, 1, config=RgbdConfig(values="grey"), settings=SETTINGS)
    _, scene = source.draw(torch.Generator().manual_seed(0), 4)
    values = scene.inverse_depth.unique()  # all of it is known, however far
    torch.testing.assert_close(values, torch.tensor([1.0 / 256.0, 0.5]))
    batch = source.batch(torch.Generator().manual_seed(0), 4)
    assert batch.images.shape == (1, 4, 3, *SIZE)
    assert bool(torch.isfinite(batch.inverse_depth).all())

    deep = grey.astype(np.uint16)
    cv2.imwrite(str(tmp_path / "depth_maps" / "1.png"), deep)
    with pytest.raises(DatasetError, match="uint16 values; expected 8-bit grey levels"):
        source.batch(torch.Generator(), 2)


class TestRefusals:
    def test_evaluation_sets(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="kept for evaluation"):
            RgbdSource([tmp_path / "Middlebury2014" / "x"], SIZE, 1)

    def test_folders_without_pairs(self, tmp_path: Path) -> None:
        with pytest.raises(StackFileError, match="holds no photograph"):
            RgbdSource([tmp_path], SIZE, 1)
        with pytest.raises(OptionError, match="at least one"):
            RgbdSource([], SIZE, 1)

    def test_pairs_of_different_sizes(self, folder: Path) -> None:
        cv2.imwrite(str(folder / "depth" / "0.png"), np.ones((5, 5), np.uint16))
        (folder / "rgb" / "1.png").unlink()
        with pytest.raises(StackFileError, match="give both in one size"):
            RgbdSource([folder], SIZE, 1).batch(torch.Generator(), 2)

    def test_bad_options(self) -> None:
        with pytest.raises(OptionError, match="'depth_factor' is 0.0"):
            RgbdConfig(depth_factor=0.0)
        with pytest.raises(OptionError, match="'values' is 'inverse'; use depth or grey"):
            RgbdConfig(values="inverse")
