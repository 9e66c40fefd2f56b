"""The depth step of depth from defocus against brute force."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from defocus_scenes import FOCUS_DISTANCES, LENS, slanted_dioptres, textured_image

from focdepth_ros.defocus.depth_step import PixelErrors, better_of, golden_section, grid_search
from focdepth_ros.defocus.forward_model import DefocusModel

SIZE = (24, 32)
RANGE = (0.1, 1.2)
CANDIDATES = np.linspace(*RANGE, 56).tolist()


class Scene:
    """A slanted plane, its errors, and the errors worked out the long way."""

    def __init__(self, psf: str) -> None:
        self.model = DefocusModel(LENS, FOCUS_DISTANCES, psf=psf)
        self.levels = self.model.levels(SIZE, RANGE)
        self.image, self.dioptre = textured_image(*SIZE), slanted_dioptres(*SIZE)
        noise = 0.003 * torch.randn((*SIZE, 5, 3), generator=torch.Generator().manual_seed(3))
        operator = self.model.operator(self.dioptre, self.levels)
        self.observed = operator.forward(self.image) + noise
        rows = self.levels.blur(self.image)
        self.errors = PixelErrors.of(self.model, self.levels, rows, self.observed.flatten(0, 1))

    def error_of(self, dioptre: torch.Tensor) -> torch.Tensor:
        stack = self.model.operator(dioptre.view(*SIZE), self.levels).forward(self.image)
        return (stack - self.observed).square().sum((2, 3)).flatten()


@pytest.fixture(scope="module", params=["gaussian", "disc"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


@pytest.fixture(scope="module")
def brute_force(scene: Scene) -> np.ndarray:
    """The error of every candidate and pixel."""
    return torch.stack([scene.error_of(torch.full(SIZE, d)) for d in CANDIDATES]).numpy()


def test_errors_are_those_of_the_forward_model(scene: Scene) -> None:
    generator = torch.Generator().manual_seed(4)
    dioptre = RANGE[0] + (RANGE[1] - RANGE[0]) * torch.rand(SIZE, generator=generator)
    found = scene.errors.at(dioptre.flatten())
    np.testing.assert_allclose(found.numpy(), scene.error_of(dioptre).numpy(), rtol=1e-3, atol=1e-6)


def test_error_of_one_dioptre_everywhere(scene: Scene) -> None:
    everywhere = scene.errors.at(torch.full((SIZE[0] * SIZE[1],), 0.4))
    np.testing.assert_allclose(scene.errors.at_one(0.4).numpy(), everywhere.numpy(), rtol=1e-4)


def test_a_part_of_the_image(scene: Scene) -> None:
    rows, width = scene.levels.blur(scene.image), SIZE[1]
    observed = scene.observed[5:9].flatten(0, 1)
    part = PixelErrors.of(scene.model, scene.levels, rows, observed, first=5 * width)
    np.testing.assert_array_equal(part.constant, scene.errors.constant[..., 5 * width : 9 * width])


def test_a_slice_that_weighs_nothing(scene: Scene) -> None:
    weight = torch.ones((SIZE[0] * SIZE[1], 5))
    weight[:, 1] = 0.0
    spoilt = scene.observed.flatten(0, 1).clone()
    spoilt[:, 1] = 7.0
    rows = scene.levels.blur(scene.image)
    errors = PixelErrors.of(scene.model, scene.levels, rows, spoilt, weight=weight)
    dioptre = scene.dioptre.flatten()
    without = [
        PixelErrors.of(scene.model, scene.levels, rows, observed, weight=weight).at(dioptre)
        for observed in (scene.observed.flatten(0, 1), spoilt)
    ]
    np.testing.assert_array_equal(without[0], without[1])
    np.testing.assert_allclose(
        errors.at_one(0.4), errors.at(torch.full_like(dioptre, 0.4)), rtol=1e-4
    )


def test_grid_search_finds_the_least(scene: Scene, brute_force: np.ndarray) -> None:
    index = grid_search(scene.errors, CANDIDATES).numpy()
    least = brute_force.min(axis=0)
    found = np.take_along_axis(brute_force, index[None], 0)[0]
    np.testing.assert_allclose(found, least, rtol=1e-3, atol=1e-6)


def test_grid_search_with_a_window(scene: Scene, brute_force: np.ndarray) -> None:
    index = grid_search(scene.errors, CANDIDATES, window=5, width=SIZE[1]).numpy()
    planes = brute_force.reshape(-1, *SIZE)
    inside = cv2.blur(np.ones(SIZE), (5, 5), borderType=cv2.BORDER_CONSTANT)
    mean = [cv2.blur(p, (5, 5), borderType=cv2.BORDER_CONSTANT) / inside for p in planes]
    expected = np.argmin(mean, axis=0).flatten()
    assert (index == expected).mean() > 0.99


def test_golden_section_finds_the_least(scene: Scene, brute_force: np.ndarray) -> None:
    index = torch.from_numpy(brute_force.argmin(axis=0))
    candidates = torch.tensor(CANDIDATES)
    low = candidates[(index - 1).clamp(min=0)]
    high = candidates[(index + 1).clamp(max=len(CANDIDATES) - 1)]
    found = golden_section(scene.errors, low, high, iterations=20)
    assert bool(((found >= low) & (found <= high)).all())
    fine = [torch.lerp(low, high, share) for share in torch.linspace(0.0, 1.0, 201)]
    least = torch.stack([scene.errors.at(d) for d in fine]).amin(0)
    # Of two minima between the same neighbours it may find either.
    worse = scene.errors.at(found) > least * 1.001 + 1e-7
    assert float(worse.float().mean()) < 0.01


def test_better_of_never_takes_what_is_worse(scene: Scene) -> None:
    generator = torch.Generator().manual_seed(5)
    several = [0.1 + torch.rand(SIZE[0] * SIZE[1], generator=generator) for _ in range(3)]
    best = scene.errors.at(better_of(scene.errors, *several))
    for one in several:
        assert bool((best <= scene.errors.at(one)).all())
