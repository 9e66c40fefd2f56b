"""Pictures of a stack read in turn: in order, and never many at once."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.errors import StackFileError
from focdepth_ros.files.image_io import read_image, write_image
from focdepth_ros.stack_folder import images as stack_images
from focdepth_ros.stack_folder.images import images_in_turn


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Of 20 pictures whose value is their number."""
    found = [tmp_path / f"{i}.png" for i in range(20)]
    for number, path in enumerate(found):
        write_image(path, np.full((6, 8), number, np.uint8))
    return found


def test_come_in_the_order_given(paths: list[Path]) -> None:
    for order in (paths, paths[::-1]):
        values = [int(image[0, 0]) for image, _ in images_in_turn(order)]
        assert values == [int(path.stem) for path in order]


def test_only_a_few_are_read_ahead(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> np.ndarray:
        read.append(path)
        return read_image(path)

    monkeypatch.setattr(stack_images, "read_image", counted)
    ahead = [len(read) - number for number, _ in enumerate(images_in_turn(paths), start=1)]
    assert len(read) == len(paths)
    assert max(ahead) <= stack_images._MAX_READERS


def test_readers_end_with_who_asked(paths: list[Path]) -> None:
    before = threading.active_count()
    images = images_in_turn(paths)
    next(images)
    images.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(timeout=5.0)
    assert threading.active_count() <= before


def test_are_scaled_and_tell_their_full_size(paths: list[Path]) -> None:
    image, full_size = next(images_in_turn(paths, max_size=4))
    assert image.shape == (3, 4)
    assert full_size == (6, 8)


def test_one_that_does_not_fit_is_named_after_those_before_it(paths: list[Path]) -> None:
    write_image(paths[3], np.zeros((6, 9), np.uint8))
    images = images_in_turn(paths)
    assert [int(next(images)[0][0, 0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StackFileError, match=r"3\.png: 9x6 px grey, but 0\.png is 8x6 px grey"):
        next(images)
