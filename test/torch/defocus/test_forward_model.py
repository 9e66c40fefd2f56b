"""The forward model of depth from defocus: right, linear, and with an exact adjoint."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from defocus_scenes import FOCUS_DISTANCES, LENS, slanted_dioptres, textured_image

from focdepth_ros.defocus.blur_levels import DiscLevels, GaussianLevels
from focdepth_ros.defocus.forward_model import DefocusModel
from focdepth_ros.errors import CalibrationError, OptionError, StackError
from focdepth_ros.optics import circle_of_confusion
from focdepth_ros.simulation.psf import disc_kernel

PSFS = ("gaussian", "disc")


def test_circle_of_confusion_is_that_of_the_lens() -> None:
    distances = (*FOCUS_DISTANCES, math.inf)
    depths = np.array([0.3, 1.0, 2.2, 7.0, math.inf])
    found = DefocusModel(LENS, distances).coc(torch.tensor(1.0 / depths, dtype=torch.float32))
    expected = np.stack([circle_of_confusion(LENS, depths, z) for z in distances], axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_blur_shrinks_no_further_than_told() -> None:
    model = DefocusModel(LENS, FOCUS_DISTANCES, min_coc=2.0)
    assert model.coc(torch.tensor(1.0))[0] == 2.0
    assert model.variance(torch.tensor(1.0))[0] == 1.0  # sigma is half of it


@pytest.mark.parametrize("psf", PSFS)
@pytest.mark.parametrize(("size", "channels"), [((37, 53), 3), ((40, 64), 1)])
def test_adjoint(psf: str, size: tuple[int, int], channels: int, device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    dioptre = 0.1 + 1.2 * torch.rand(size, generator=generator)
    image = torch.rand((*size, channels), generator=generator).to(device)
    stack = torch.rand((*size, len(FOCUS_DISTANCES), channels), generator=generator).to(device)
    operator = DefocusModel(LENS, FOCUS_DISTANCES, psf=psf, device=device).operator(
        dioptre.to(device)
    )
    there = (operator.forward(image).double() * stack.double()).sum()
    back = (image.double() * operator.adjoint(stack).double()).sum()
    assert float(there) == pytest.approx(float(back), rel=1e-6)


@pytest.mark.parametrize("psf", PSFS)
def test_an_even_image_stays_as_it_is_up_to_its_border(psf: str) -> None:
    operator = DefocusModel(LENS, FOCUS_DISTANCES, psf=psf).operator(slanted_dioptres(31, 45))
    stack = operator.forward(torch.full((31, 45, 1), 0.7))
    np.testing.assert_allclose(stack.numpy(), 0.7, atol=1e-6)


def test_gaussian_of_every_pixel_is_that_of_its_depth() -> None:
    size = (40, 60)
    dioptre, image = slanted_dioptres(*size, near=0.8, far=9.0), textured_image(*size, 1)
    model = DefocusModel(LENS, FOCUS_DISTANCES, min_coc=1.4)
    found = model.operator(dioptre).forward(image)[..., 0]

    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    variance = model.variance(dioptre)
    worst, squares = 0.0, 0.0
    for y in range(0, 40, 3):
        for x in range(60):
            squared = (rows - y) ** 2 + (columns - x) ** 2
            weight = torch.exp(-squared / (2.0 * variance[y, x, :, None, None]))
            expected = (weight * image[..., 0]).sum((1, 2)) / weight.sum((1, 2))
            error = (found[y, x] - expected).abs()
            worst, squares = max(worst, float(error.max())), squares + float(error @ error)
    assert worst < 0.02
    assert math.sqrt(squares / (14 * 60 * len(FOCUS_DISTANCES))) < 0.005


def test_disc_of_every_pixel_is_that_of_its_depth() -> None:
    image = textured_image(48, 64, 1)
    model = DefocusModel(LENS, FOCUS_DISTANCES, psf="disc")
    for depth in (0.85, 1.7, 3.0):
        dioptre = torch.full((48, 64), 1.0 / depth)
        found = model.operator(dioptre).forward(image)[..., 0].numpy()
        for number, coc in enumerate(model.coc(torch.tensor(1.0 / depth)).tolist()):
            kernel = disc_kernel(0.5 * coc)
            total = [
                cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_CONSTANT)
                for plane in (image[..., 0].numpy(), np.ones((48, 64), np.float32))
            ]
            np.testing.assert_allclose(found[:, :, number], total[0] / total[1], atol=0.01)


@pytest.mark.parametrize("kind", [GaussianLevels, DiscLevels])
def test_a_short_ladder_is_the_beginning_of_a_long_one(
    kind: type[GaussianLevels | DiscLevels],
) -> None:
    image = textured_image(27, 42)
    short, long = kind((27, 42), 3.0), kind((27, 42), 100.0)
    pixel = torch.arange(27 * 42)
    for level in range(len(short)):
        assert short.variances[level] == long.variances[level]
        ours, theirs = (
            (levels.blur(image) / levels.mass[:, None])[levels.row(pixel, torch.tensor(level))]
            for levels in (short, long)
        )
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", [GaussianLevels, DiscLevels])
def test_variance_of_every_level_is_what_is_said(
    kind: type[GaussianLevels | DiscLevels],
) -> None:
    levels = kind((121, 121), 60.0)
    point = torch.zeros((121, 121, 1))
    point[60, 60] = 1.0
    rows, pixel = levels.blur(point)[:, 0], torch.arange(121 * 121)
    offset = (pixel % 121 - 60).double()
    for level, variance in enumerate(levels.variances.tolist()):
        spread = rows[levels.row(pixel, torch.tensor(level))].double()
        assert float(spread.sum()) == pytest.approx(1.0, abs=1e-4)
        assert float(spread @ offset**2) == pytest.approx(variance, rel=0.03, abs=0.01)


def test_between_two_levels_the_variance_is_kept() -> None:
    levels = GaussianLevels((16, 16), 20.0)
    variance = torch.tensor([0.0, 0.1, 0.25, 0.3, 5.0, 20.0])
    lower, share = levels.position(variance)
    mixed = torch.lerp(levels.variances[lower], levels.variances[lower + 1], share)
    np.testing.assert_allclose(mixed.numpy(), variance.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (((1.0, 0.04),), CalibrationError, "0.04 m is not beyond the focal length 0.05 m"),
        (((1.0, math.nan),), CalibrationError, "nan m is not beyond"),
        (((1.0,),), StackError, "1 focus distance; depth from defocus compares at least 2"),
    ],
)
def test_what_cannot_be(
    arguments: tuple[tuple[float, ...]], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        DefocusModel(LENS, *arguments)
    with pytest.raises(OptionError, match="'square' is not known"):
        DefocusModel(LENS, FOCUS_DISTANCES, psf="square")


def test_a_disc_may_be_wider_than_the_image() -> None:
    height, width = 12, 17
    levels = DiscLevels((height, width), largest_variance=20.0**2 / 4.0)
    image = textured_image(height, width)
    rows = (levels.blur(image) / levels.mass[:, None]).view(height, width, len(levels), -1)
    kernel = torch.from_numpy(np.array(disc_kernel(2.0 * float(levels.variances[-1]) ** 0.5)))
    reach = len(kernel) // 2
    planes = torch.stack([image[..., 0], torch.ones(height, width)])[:, None]
    blurred, mass = torch.nn.functional.conv2d(planes, kernel[None, None], padding=reach)[:, 0]
    torch.testing.assert_close(rows[:, :, -1, 0], blurred / mass, rtol=0.0, atol=1e-5)
