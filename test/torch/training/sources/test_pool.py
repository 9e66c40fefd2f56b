"""Crops of rendered stacks: pictures, truth and labels stay together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import save_stack

from focdepth_ros.errors import OptionError, StackFileError
from focdepth_ros.training.rendering.sensor import PERFECT_SENSOR
from focdepth_ros.training.sources.pool import PoolConfig, RenderedPoolSource, choose_slices
from focdepth_ros.training.sources.pool_files import find_pool

SIZE = (32, 40)
PLAIN = PoolConfig(
    zoomed=0.0,
    contiguous=0.0,
    keep_ends=1.0,
    far_to_near=0.0,
    dioptre_factor=(1.0, 1.0),
    brightness=(1.0, 1.0),
    tint=(1.0, 1.0),
    contrast=(1.0, 1.0),
)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    save_stack(tmp_path / "a.npz")
    save_stack(tmp_path / "b.npz", slices=8)
    return tmp_path


def source(pool: Path, config: PoolConfig = PLAIN, batch_size: int = 6) -> RenderedPoolSource:
    return RenderedPoolSource(pool, SIZE, batch_size, config=config, sensor=PERFECT_SENSOR)


def test_truth_and_labels_are_those_of_the_pixels(pool: Path) -> None:
    found = source(pool, batch_size=12).batch(torch.Generator().manual_seed(0), 4)
    assert found.images.shape == (12, 4, 3, *SIZE)
    place = found.images[:, 0].long()
    torch.testing.assert_close(found.inverse_depth, (100.0 * place[:, 0] + place[:, 1]).float())
    assert found.labels is not None
    assert torch.equal(found.labels, place[:, 1] % 5)
    turned = {bool(item[0, 0, 0] != item[0, 0, 1]) for item in place}
    mirrored = {bool(item[1, 0, 0] < item[1, -1, -1]) for item in place}
    assert turned == mirrored == {True, False}


def test_slices_come_with_their_focus(pool: Path) -> None:
    found = source(pool).batch(torch.Generator().manual_seed(0), 4)
    numbers = found.images[:, :, 2, 0, 0].long() // 10
    for number, dioptres in zip(numbers, found.dioptres, strict=True):
        last = int(number[-1])
        assert last in (4, 7)
        expected = torch.linspace(2.0, 0.5, last + 1)[number]
        torch.testing.assert_close(dioptres, expected)


def test_stacks_that_are_too_short_are_left_out(pool: Path) -> None:
    made = source(pool)
    assert (len(made), made.most_slices) == (2, 8)
    numbers = made.batch(torch.Generator(), 6).images[:, -1, 2, 0, 0] // 10
    assert set(numbers.tolist()) == {7}
    assert made.batch(torch.Generator(), 20).images.shape[1] == 8


def test_distances_are_scaled_together(pool: Path) -> None:
    config = replace(PLAIN, dioptre_factor=(2.0, 2.0))
    plain = source(pool).batch(torch.Generator().manual_seed(1), 3)
    scaled = source(pool, config).batch(torch.Generator().manual_seed(1), 3)
    assert torch.equal(plain.images, scaled.images)
    torch.testing.assert_close(scaled.dioptres, 2.0 * plain.dioptres)
    torch.testing.assert_close(scaled.inverse_depth, 2.0 * plain.inverse_depth)


@pytest.mark.parametrize("zoom", [0.7, 1.2])
def test_zoomed_crops_keep_truth_and_pictures_together(pool: Path, zoom: float) -> None:
    config = replace(PLAIN, zoomed=1.0, zoom=(zoom, zoom))
    found = source(pool, config).batch(torch.Generator().manual_seed(0), 3)
    rows = (found.inverse_depth / 100.0).floor()
    assert float((rows - found.images[:, 0, 0]).abs().max()) <= 1.5
    spread = found.images[:, 0, :2].flatten(2).float()
    extent = (spread.amax(dim=2) - spread.amin(dim=2)).amax(dim=1)
    assert float((extent - zoom * (SIZE[1] - 1)).abs().max()) <= 3.0


def test_brightness_changes_pictures_only(pool: Path) -> None:
    bright = replace(PLAIN, brightness=(3.0, 3.0))
    plain, found = (
        source(pool, config).batch(torch.Generator().manual_seed(1), 3)
        for config in (PLAIN, bright)
    )
    assert torch.equal(plain.inverse_depth, found.inverse_depth)
    assert float(found.images.float().mean()) > 1.3 * float(plain.images.float().mean())


def test_the_same_generator_gives_the_same_batch(pool: Path, device: str) -> None:
    made = RenderedPoolSource([pool], SIZE, 3, device=device)
    one, same, other = (made.batch(torch.Generator().manual_seed(s), 4) for s in (2, 2, 3))
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.inverse_depth, same.inverse_depth)
    assert one.images.device.type == one.dioptres.device.type == device
    assert not torch.equal(one.images, other.images)


def test_labels_are_given_only_where_some_are_known(pool: Path) -> None:
    save_stack(pool / "a.npz", labels=None)
    labels = source(pool).batch(torch.Generator().manual_seed(0), 3).labels
    assert labels is not None
    unknown = (labels == -1).flatten(1)
    assert bool((unknown.all(dim=1) | ~unknown.any(dim=1)).all())
    save_stack(pool / "b.npz", labels=None)
    assert source(pool).batch(torch.Generator().manual_seed(0), 3).labels is None


class TestChoiceOfSlices:
    def chosen(self, **options: Any) -> list[list[int]]:
        generator = torch.Generator().manual_seed(0)
        config = replace(PLAIN, **options)
        return [choose_slices(10, 4, config, generator) for _ in range(50)]

    def test_ends_are_kept(self) -> None:
        for item in self.chosen():
            assert (item[0], item[-1], len(set(item))) == (0, 9, 4)
            assert item == sorted(item)

    def test_neighbours_are_taken(self) -> None:
        found = self.chosen(contiguous=1.0)
        assert all(item == list(range(item[0], item[0] + 4)) for item in found)
        assert {item[0] for item in found} == set(range(7))

    def test_any_are_taken(self) -> None:
        firsts = {item[0] for item in self.chosen(keep_ends=0.0)}
        assert len(firsts) > 3

    def test_from_far_to_near(self) -> None:
        assert all(item == sorted(item, reverse=True) for item in self.chosen(far_to_near=1.0))


class TestRefusals:
    def test_missing_and_empty_folders(self, tmp_path: Path) -> None:
        with pytest.raises(StackFileError, match="does not exist"):
            source(tmp_path / "none")
        with pytest.raises(StackFileError, match="holds no .npz"):
            source(tmp_path)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"images": np.zeros((5, 50, 70, 3), np.float32)}, "images <f4"),
            ({"dioptre": np.zeros((5, 5), np.float32)}, "(5, 5)"),
            ({"focus": np.linspace(0.5, 2.0, 5)}, "falling"),
            ({"focus": np.array([2.0])}, "focus [2.0]"),
            ({"focus": None}, "focus"),
            ({"images": np.zeros((5, 50, 70, 3), np.uint8, order="F")}, "column order"),
        ],
    )
    def test_files_that_hold_something_else(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        save_stack(tmp_path / "bad.npz", **changes)
        with pytest.raises(StackFileError) as caught:
            find_pool(tmp_path)
        assert message in str(caught.value)
        assert "bad.npz" in str(caught.value)

    def test_compressed_and_damaged_files(self, tmp_path: Path) -> None:
        np.savez_compressed(tmp_path / "a.npz", images=np.zeros(3), dioptre=0, focus=0)
        with pytest.raises(StackFileError, match="images is compressed"):
            find_pool(tmp_path)
        (tmp_path / "a.npz").write_bytes(b"PK nothing")
        with pytest.raises(StackFileError, match="is no rendered stack"):
            find_pool(tmp_path)

    def test_crops_that_do_not_fit(self, pool: Path) -> None:
        with pytest.raises(OptionError, match="do not fit"):
            RenderedPoolSource(pool, (32, 60), 1)

    def test_a_single_slice(self, pool: Path) -> None:
        with pytest.raises(OptionError, match="1 slices"):
            source(pool).batch(torch.Generator(), 1)
