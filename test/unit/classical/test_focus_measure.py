"""Focus measures: larger where sharper, of one unit, and blind to what is out of view."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from synthetic_sweeps import blurred, texture

from focdepth_ros.classical.focus_measure import FocusMeasure, grey_image
from focdepth_ros.classical.focus_operators import (
    LaplacianOfGaussian,
    create_focus_measure,
    focus_measure_names,
)
from focdepth_ros.stack import FloatImage, ImageArray

every_measure = pytest.mark.parametrize("name", focus_measure_names())


def measure(image: ImageArray, name: str = "log", reduction: int = 1) -> FloatImage:
    return create_focus_measure(name)(image, window_sigma=3.0, reduction=reduction)


def noisy(level: float, sigma: float, size: tuple[int, int] = (400, 600)) -> ImageArray:
    """White Gaussian noise, strong enough for its rounding not to count."""
    noise = np.random.default_rng(7).standard_normal(size)
    return np.clip(np.rint(level + sigma * noise), 0, 255).astype(np.uint8)


@every_measure
def test_falls_everywhere_with_every_step_of_blur(name: str) -> None:
    sharp = texture()
    steps = [measure(blurred(sharp, sigma), name) for sigma in (0.0, 1.0, 2.0, 4.0)]
    for sharper, softer in pairwise(steps):
        assert np.all(sharper > softer)


@every_measure
def test_tells_which_part_of_an_image_is_sharp(name: str) -> None:
    image = blurred(texture((96, 128)), 4.0)
    image[:, 64:] = texture((96, 128))[:, 64:]
    energy = measure(image, name)
    assert np.median(energy[:, 84:]) > 4.0 * np.median(energy[:, :44])


@every_measure
def test_grows_with_the_square_of_the_contrast(name: str) -> None:
    image = texture(mono=True) // 4
    np.testing.assert_allclose(measure(image * 3, name), 9.0 * measure(image, name), rtol=1e-3)


@every_measure
def test_does_not_depend_on_brightness(name: str) -> None:
    image = texture(mono=True) // 2
    np.testing.assert_allclose(measure(image + 100, name), measure(image, name), rtol=1e-3)


@every_measure
@pytest.mark.parametrize("level", [0, 100, 255])
def test_is_zero_without_texture(name: str, level: int) -> None:
    energy = measure(np.full((20, 30, 3), level, np.uint8), name)
    np.testing.assert_allclose(energy, 0.0, atol=1e-5)


@every_measure
@pytest.mark.parametrize("sigma", [5.0, 20.0])
@pytest.mark.parametrize("reduction", [1, 2])
def test_of_noise_is_the_variance_of_the_noise(name: str, sigma: float, reduction: int) -> None:
    energy = measure(noisy(128.0, sigma), name, reduction)
    assert energy.mean() == pytest.approx(sigma**2, rel=0.03)


OPTIONS: list[tuple[str, dict[str, float]]] = [
    ("log", {"sigma": 0.0}),
    ("log", {"sigma": 2.0, "laplacian_size": 3}),
    ("log", {"sigma": 0.0, "gaussian_size": 5, "laplacian_size": 5}),
    ("log", {"gaussian_size": 3, "laplacian_size": 7}),
    ("modified_laplacian", {"sigma": 0.0, "step": 1}),
    ("modified_laplacian", {"sigma": 0.0, "step": 3}),
    ("tenengrad", {"sigma": 0.0}),
    ("tenengrad", {"sigma": 2.0}),
    ("ring_difference", {"disc_radius": 0.0, "ring_inner": 0.0, "ring_outer": 1.0}),
    ("ring_difference", {"disc_radius": 3.0, "ring_inner": 4.0, "ring_outer": 6.5}),
    ("wavelet", {"finest": 1, "levels": 1}),
    ("wavelet", {"finest": 1, "levels": 3}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_of_noise_is_its_variance_with_any_options(name: str, options: dict[str, float]) -> None:
    energy = create_focus_measure(name, **options)(noisy(128.0, 10.0), window_sigma=3.0)
    assert energy.mean() == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_kernels_are_what_the_responses_are_made_with(name: str, options: dict[str, float]) -> None:
    operator = create_focus_measure(name, **options)
    grey = texture((60, 80), mono=True).astype(np.float32)
    responses = operator.responses(grey)
    assert len(operator.kernels) == len(responses)
    for kernel, response in zip(operator.kernels, responses, strict=True):
        direct = cv2.filter2D(grey, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(response, direct, atol=2e-3 * np.abs(response).max())


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_reach_is_the_kernels_and_no_more(name: str, options: dict[str, float]) -> None:
    kernels = create_focus_measure(name, **options).kernels
    assert np.abs(kernels[:, [0, -1]]).max() > 0.0 or np.abs(kernels[:, :, [0, -1]]).max() > 0.0
    # Nothing of the kernel is cut off: it answers to an even image with nothing.
    np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 0.0, atol=1e-5)


def test_a_kernel_is_what_opencv_says() -> None:
    """The classical settings: both kernel sizes, and the sigma that OpenCV makes of the first."""
    grey = texture(mono=True).astype(np.float32)
    expected = cv2.Laplacian(cv2.GaussianBlur(grey, (9, 9), 0), cv2.CV_32F, ksize=5)
    (response,) = LaplacianOfGaussian(sigma=0.0, gaussian_size=9, laplacian_size=5).responses(grey)
    np.testing.assert_array_equal(response, expected)


def test_sums_of_magnitudes_do_not_cancel() -> None:
    """On a saddle the second derivatives have opposite signs: the reason for the operator."""
    steps = np.linspace(-1.0, 1.0, 41)
    saddle = (128.0 + 100.0 * (steps**2 - steps[:, np.newaxis] ** 2)).astype(np.float32)
    (laplacian,) = create_focus_measure("log").responses(saddle)
    across, down = create_focus_measure("modified_laplacian").responses(saddle)
    middle = np.s_[15:26, 15:26]
    assert np.abs(laplacian[middle]).max() < 1e-3
    assert (np.abs(across) + np.abs(down))[middle].min() > 0.4


@every_measure
def test_mono_equals_grey_rgb(name: str) -> None:
    mono = texture(mono=True)
    grey = np.repeat(mono[..., np.newaxis], 3, axis=2)
    np.testing.assert_array_equal(measure(grey, name), measure(mono, name))


def test_grey_is_the_luma_of_rgb() -> None:
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_array_equal(grey_image(primaries), [[76, 150, 29]])


def test_grey_of_mono_is_not_copied() -> None:
    mono = texture(mono=True)
    assert grey_image(mono) is mono


@every_measure
def test_the_image_is_left_as_it_is(name: str) -> None:
    image = texture(mono=True)
    before = image.copy()
    measure(image, name)
    np.testing.assert_array_equal(image, before)


@every_measure
def test_a_coarser_grid_keeps_the_values(name: str) -> None:
    image = texture((120, 160))
    whole = cv2.resize(measure(image, name), (80, 60), interpolation=cv2.INTER_AREA)
    coarse = measure(image, name, reduction=2)
    np.testing.assert_allclose(coarse.mean(), whole.mean(), rtol=0.02)
    inside = np.s_[5:-5, 5:-5]  # at the border the windows see different reflections
    np.testing.assert_allclose(coarse[inside], whole[inside], rtol=0.1)


@every_measure
@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_strips_leave_no_seams(name: str, reduction: int) -> None:
    """A large image is measured in strips, a part of it in one piece."""
    image = texture((300, 1002))
    operator = create_focus_measure(name)
    whole = operator(image, window_sigma=3.0, reduction=reduction)
    for top in range(0, 300, 60):
        first = max(0, top - 60)
        part = operator(image[first : top + 120, :240], window_sigma=3.0, reduction=reduction)
        rows = slice(top // reduction, (top + 60) // reduction)
        columns = slice(0, 180 // reduction)
        inside = part[rows.start - first // reduction :][: 60 // reduction, columns]
        np.testing.assert_allclose(whole[rows, columns], inside, rtol=1e-4)


@every_measure
@pytest.mark.parametrize(
    ("size", "reduction", "expected"),
    [((7, 9), 2, (4, 5)), ((8, 10), 2, (4, 5)), ((7, 9), 4, (2, 3)), ((1, 1), 2, (1, 1))],
)
def test_a_coarser_grid_covers_the_whole_image(
    name: str, size: tuple[int, int], reduction: int, expected: tuple[int, int]
) -> None:
    energy = measure(texture(size), name, reduction)
    assert energy.shape == expected
    assert energy.dtype == np.float32
    assert np.isfinite(energy).all()


class TestValidMask:
    """Pixels that were out of view neither vote nor leave edges behind."""

    SIZE = (96, 128)
    VIEW = np.s_[:, 40:]

    def masked(self, operator: FocusMeasure, outside: int, reduction: int = 1) -> FloatImage:
        image = texture(self.SIZE, mono=True)
        valid = np.zeros(self.SIZE, np.bool_)
        valid[self.VIEW] = True
        image[~valid] = outside
        return operator(image, window_sigma=3.0, reduction=reduction, valid_mask=valid)

    @every_measure
    @pytest.mark.parametrize("reduction", [1, 2])
    def test_what_is_out_of_view_has_no_influence(self, name: str, reduction: int) -> None:
        operator = create_focus_measure(name)
        black, white = (self.masked(operator, level, reduction) for level in (0, 255))
        np.testing.assert_array_equal(black, white)

    @every_measure
    def test_is_unknown_where_most_of_the_window_is_out_of_view(self, name: str) -> None:
        operator = create_focus_measure(name)
        known = np.isfinite(self.masked(operator, 0))
        first = 40 + operator.reach
        assert known[:, first:].all()
        assert not known[:, : first - 1].any()

    @every_measure
    def test_inside_the_view_is_as_without_mask(self, name: str) -> None:
        operator = create_focus_measure(name)
        whole = operator(texture(self.SIZE, mono=True), window_sigma=3.0)
        # A Gaussian window of 3 pixels ends after 12.
        inside = np.s_[:, 40 + operator.reach + 12 :]
        np.testing.assert_allclose(self.masked(operator, 0)[inside], whole[inside], rtol=1e-4)

    @every_measure
    def test_a_flat_scene_stays_flat_up_to_the_end_of_the_view(self, name: str) -> None:
        image = np.full(self.SIZE, 120, np.uint8)
        valid = np.zeros(self.SIZE, np.bool_)
        valid[self.VIEW] = True
        image[~valid] = 0
        energy = create_focus_measure(name)(image, window_sigma=3.0, valid_mask=valid)
        np.testing.assert_allclose(energy[np.isfinite(energy)], 0.0, atol=1e-4)

    def test_noise_keeps_its_variance_up_to_the_end_of_the_view(self) -> None:
        image = noisy(128.0, 10.0)
        valid = np.ones(image.shape, np.bool_)
        valid[:, :200] = False
        energy = create_focus_measure()(image, window_sigma=3.0, valid_mask=valid)
        ends = energy[:, 205:208]  # the first that are known
        assert ends.mean() == pytest.approx(100.0, rel=0.1)

    def test_an_image_out_of_view_is_unknown_everywhere(self) -> None:
        valid = np.zeros(self.SIZE, np.bool_)
        energy = create_focus_measure()(texture(self.SIZE), window_sigma=3.0, valid_mask=valid)
        assert np.isnan(energy).all()

    def test_an_image_wholly_in_view_is_as_without_mask(self) -> None:
        image = texture(self.SIZE)
        valid = np.ones(self.SIZE, np.bool_)
        energy = create_focus_measure()(image, window_sigma=3.0, valid_mask=valid)
        np.testing.assert_array_equal(energy, measure(image))
