from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from focdepth_ros.classical.energy_terms import sweep_density
from focdepth_ros.defocus import initialisation
from focdepth_ros.defocus.initialisation import start_from_slices
from focdepth_ros.errors import OptionError, StackError
from focdepth_ros.stack import Slice

SIZE = 60, 80
LEFT, RIGHT = np.s_[:, :34], np.s_[:, 46:]  # away from the edge, by the window of sharpness


def two_surfaces(*, colour: bool) -> tuple[NDArray[np.uint8], list[Slice]]:
    """Texture, sharp in the first slice to the left and in the last to the right of three."""
    shape = (*SIZE, 3) if colour else SIZE
    sharp = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    blurred = [sharp, *(cv2.GaussianBlur(sharp, (0, 0), sigma) for sigma in (1.5, 3.0))]
    slices: list[Slice] = []
    for number in range(3):
        image = np.asarray(blurred[number], np.uint8).copy()
        image[:, 40:] = blurred[2 - number][:, 40:]
        slices.append(Slice(image, 1.0 + number))
    return sharp, slices


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("start", ["graph_cut", "sharpest"])
def test_every_pixel_comes_from_the_slice_in_which_it_is_sharp(colour: bool, start: str) -> None:
    sharp, slices = two_surfaces(colour=colour)
    image, slice_index = start_from_slices(slices, start)
    assert image.shape == (*SIZE, 3 if colour else 1)
    assert image.dtype == slice_index.dtype == np.float32
    expected = sharp.reshape(image.shape) / np.float32(255.0)
    for part, label in ((LEFT, 0), (RIGHT, 2)):
        np.testing.assert_array_equal(slice_index[part], label)
        np.testing.assert_allclose(image[part], expected[part], atol=1e-6)


def test_without_texture_a_pixel_follows_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (100, 140)).astype(np.float32)
    sharp[42:66, 20:120] = 128.0
    slices: list[Slice] = []
    for sigma in (3.0, 0.1, 3.0):
        noisy = cv2.GaussianBlur(sharp, (0, 0), sigma) + rng.normal(0.0, 1.5, sharp.shape)
        slices.append(Slice(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), 1.0 + len(slices)))
    alone, stitched = (start_from_slices(slices, start)[1] for start in ("sharpest", "graph_cut"))
    assert np.mean(alone != 1) > 0.01
    np.testing.assert_array_equal(stitched, 1)


def test_what_was_out_of_view_is_taken_from_another_slice() -> None:
    sharp, slices = two_surfaces(colour=True)
    mask = np.ones(SIZE, np.bool_)
    mask[:12] = False
    hidden = slices[0].image.copy()
    hidden[~mask] = 0
    slices[0] = Slice(hidden, 1.0, valid_mask=mask)
    image, slice_index = start_from_slices(slices)
    assert np.isfinite(slice_index).all()
    np.testing.assert_array_equal(slice_index[20:, :34], 0)
    np.testing.assert_array_equal(slice_index[RIGHT], 2)
    hole = np.s_[:12, :26]
    second = slices[1].image[hole] / 255.0
    np.testing.assert_allclose(image[hole], second, atol=1e-6)
    np.testing.assert_allclose(image[20:, :34], sharp[20:, :34] / 255.0, atol=1e-6)


def test_the_order_of_slices_does_not_matter_but_for_their_numbers() -> None:
    _, slices = two_surfaces(colour=True)
    image, slice_index = start_from_slices(slices)
    turned, turned_index = start_from_slices(slices[::-1])
    np.testing.assert_array_equal(turned_index[LEFT], 2 - slice_index[LEFT])
    np.testing.assert_array_equal(turned[LEFT], image[LEFT])


def test_where_the_compiled_library_is_missing_the_sharpest_slice_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, slices = two_surfaces(colour=False)
    expected = start_from_slices(slices, "sharpest")
    monkeypatch.setattr(initialisation, "library_missing_because", lambda: "it is not built")
    for one, other in zip(start_from_slices(slices), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_slices_that_do_not_fit_are_refused() -> None:
    _, slices = two_surfaces(colour=False)
    with pytest.raises(StackError, match="1 slice; depth from defocus compares at least 2"):
        start_from_slices(slices[:1])
    with pytest.raises(StackError, match=r"shapes \[\(5, 6\), \(60, 80\)\]"):
        start_from_slices([slices[0], Slice(np.zeros((5, 6), np.uint8), 2.0)])


def test_a_start_that_does_not_exist_is_refused() -> None:
    _, slices = two_surfaces(colour=False)
    with pytest.raises(OptionError, match="start 'shapest' is not known; use graph_cut or sh"):
        start_from_slices(slices, "shapest")


def test_sweep_density_is_one_for_ten_slices_and_grows_with_the_root() -> None:
    assert sweep_density(10) == 1.0
    assert sweep_density(37) == 2.0
