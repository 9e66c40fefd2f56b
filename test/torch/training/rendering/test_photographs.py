"""Crops of photographs: of the size asked for, without aliasing, different every time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pattern_photographs import patterns

from focdepth_ros.errors import OptionError
from focdepth_ros.training.rendering.photographs import Photographs, read_photographs


def crop(photographs: Photographs, seed: int, size=(40, 60), scale=(1.0, 1.0)) -> torch.Tensor:
    return photographs.random_crop(torch.Generator().manual_seed(seed), size, scale)


@pytest.mark.parametrize("size", [(30, 50), (300, 20), (1, 1)])
def test_crops_have_their_size_and_are_light(size: tuple[int, int], device: str) -> None:
    found = crop(patterns(device), 1, size, (0.5, 4.0))
    assert found.shape == (3, *size)
    assert found.device.type == device
    assert 0.0 <= float(found.min()) <= float(found.max()) <= 1.0


def test_the_same_generator_gives_the_same_crop_and_another_does_not() -> None:
    assert torch.equal(crop(patterns(), 1), crop(patterns(), 1))
    assert not torch.equal(crop(patterns(), 1), crop(patterns(), 2))


def test_seen_from_afar_a_photograph_is_averaged() -> None:
    board = np.indices((512, 512)).sum(axis=0) % 2 * 255
    photographs = Photographs([np.repeat(board[..., None], 3, axis=2).astype(np.uint8)])
    light = crop(photographs, 0, scale=(4.0, 4.0))
    assert float(light.flatten(1).std(dim=1).max()) < 0.01


def test_folders_are_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), np.full((80, 90, 3), 99, np.uint8))
    assert len(read_photographs([tmp_path, tmp_path])) == 2
    with pytest.raises(OptionError, match="does not exist"):
        read_photographs([tmp_path / "none"])


def test_without_folders_there_are_none() -> None:
    assert read_photographs(()) == ()


def test_folders_of_the_evaluation_are_refused(tmp_path: Path) -> None:
    (tmp_path / "7-scenes").mkdir()
    cv2.imwrite(str(tmp_path / "7-scenes" / "one.png"), np.full((80, 90, 3), 99, np.uint8))
    with pytest.raises(OptionError, match="kept for evaluation"):
        read_photographs([tmp_path / "7-scenes"])
