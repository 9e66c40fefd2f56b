"""The image step of depth from defocus against a reference solver."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from defocus_scenes import FOCUS_DISTANCES, LENS, slanted_dioptres, textured_image
from scipy.optimize import lsq_linear

from focdepth_ros.defocus import image_step
from focdepth_ros.defocus.forward_model import BlurOperator, DefocusModel
from focdepth_ros.defocus.image_step import LinearOperator, fista, lipschitz_constant

SIZE = (9, 12)


@pytest.fixture(scope="module")
def operator() -> BlurOperator:
    return DefocusModel(LENS, FOCUS_DISTANCES).operator(slanted_dioptres(*SIZE))


@pytest.fixture(scope="module")
def matrix(operator: BlurOperator) -> np.ndarray:
    """The operator on mono images, one column per pixel."""
    columns = torch.eye(SIZE[0] * SIZE[1]).view(-1, *SIZE, 1)
    return np.stack([operator.forward(column).flatten().numpy() for column in columns], axis=1)


def test_lipschitz_constant_is_the_largest_eigenvalue(
    operator: BlurOperator, matrix: np.ndarray
) -> None:
    largest = np.linalg.eigvalsh(matrix.T.astype(np.float64) @ matrix)[-1]
    found = lipschitz_constant(operator, torch.zeros((*SIZE, 1)))
    assert 0.97 * largest < found < largest * 1.001


@pytest.mark.parametrize("contrast", [0.8, 3.0])
def test_fista_finds_what_a_reference_solver_finds(
    operator: BlurOperator, matrix: np.ndarray, contrast: float
) -> None:
    """Within the bounds, and where they hold back what noise would push beyond them."""
    image = (textured_image(*SIZE, 1) - 0.5) * contrast + 0.5
    noise = 0.01 * torch.randn((*SIZE, 5, 1), generator=torch.Generator().manual_seed(2))
    observed = operator.forward(image) + noise
    expected = lsq_linear(
        matrix.astype(np.float64), observed.flatten().numpy(), (0.0, 1.0), tol=1e-12
    )
    start = torch.full((*SIZE, 1), 0.5)
    found, iterations, cut_short = fista(operator, observed, start, 1000)
    assert (iterations, cut_short) == (1000, False)
    error = (operator.forward(found) - observed).square().sum()
    assert float(error) == pytest.approx(2.0 * expected.cost, rel=1e-3)
    np.testing.assert_allclose(found.flatten().numpy(), expected.x, atol=0.03)
    if contrast > 1.0:
        assert float(found.min()) == 0.0
        assert float(found.max()) == 1.0


def test_it_ends_when_little_is_won(operator: BlurOperator) -> None:
    observed = operator.forward(textured_image(*SIZE, 1))
    start = torch.full((*SIZE, 1), 0.5)
    _, quick, _ = fista(operator, observed, start, 1000, tolerance=0.5)
    _, thorough, cut_short = fista(operator, observed, start, 1000, tolerance=0.01)
    assert quick < thorough < 1000
    assert not cut_short


def test_time_that_is_over(operator: BlurOperator) -> None:
    start = torch.full((*SIZE, 1), 0.5)
    found, iterations, cut_short = fista(operator, operator.forward(start), start, 10, deadline=0.0)
    assert (iterations, cut_short) == (0, True)
    assert found is start


class SlowOperator:
    """Another one, each of whose uses takes a second by a clock of its own."""

    def __init__(self, inner: LinearOperator) -> None:
        self._inner = inner
        self.clock = 0.0

    def monotonic(self) -> float:
        return self.clock

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.clock += 1.0
        return self._inner.forward(image)

    def adjoint(self, stack: torch.Tensor) -> torch.Tensor:
        self.clock += 1.0
        return self._inner.adjoint(stack)


@pytest.mark.parametrize("seconds", [0.0, 5.0, 29.0, 31.0, 47.0])
def test_the_step_length_is_no_longer_than_the_time(
    operator: BlurOperator, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    observed, start = operator.forward(textured_image(*SIZE, 1)), torch.full((*SIZE, 1), 0.5)
    slow = SlowOperator(operator)
    monkeypatch.setattr(image_step, "time", slow)
    _, iterations, cut_short = fista(slow, observed, start, 1000, deadline=seconds)
    assert cut_short
    assert seconds <= slow.clock <= seconds + 1.0
    assert iterations == max(0, math.ceil((seconds - 30.0) / 2.0))


def test_what_weighs_nothing_is_not_looked_at(operator: BlurOperator) -> None:
    image = textured_image(*SIZE, 1)
    observed, weight = operator.forward(image), torch.ones((*SIZE, 5, 1))
    observed[:, :, 2] = 0.0
    weight[:, :, 2] = 0.0
    found, _, _ = fista(operator, observed, image, 20, weight=weight)
    np.testing.assert_allclose(found.numpy(), image.numpy(), atol=1e-4)
    assert math.isfinite(float(found.sum()))
