from __future__ import annotations

import cv2
import numpy as np
import pytest

from focdepth_ros.classical.guide_image import guide_image


@pytest.mark.parametrize("channels", [(), (3,)])
def test_takes_each_pixel_from_its_slice(channels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (6, 8, *channels), dtype=np.uint8) for _ in range(3)]
    labels = rng.integers(0, 3, (6, 8))
    guide = guide_image(images, labels)
    for label, image in enumerate(images):
        np.testing.assert_array_equal(guide[labels == label], image[labels == label])


def test_reduces_the_images_to_the_grid_of_the_labels() -> None:
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (9, 12, 3), dtype=np.uint8) for _ in range(2)]
    labels = np.zeros((5, 6), np.uint16)
    labels[:, 3:] = 1
    guide = guide_image(images, labels)
    reduced = [cv2.resize(image, (6, 5), interpolation=cv2.INTER_AREA) for image in images]
    np.testing.assert_array_equal(guide[:, :3], reduced[0][:, :3])
    np.testing.assert_array_equal(guide[:, 3:], reduced[1][:, 3:])
