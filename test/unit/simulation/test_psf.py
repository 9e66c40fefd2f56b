import numpy as np
import pytest

from focdepth_ros.simulation.psf import disc_kernel, gaussian_kernel

RADII = (0.1, 0.3, 0.5, 0.7, 1.0, 1.6, 2.5, 4.2, 9.0, 20.0)


def _variance(weights: np.ndarray) -> float:
    offsets = np.arange(len(weights)) - len(weights) // 2
    return float(weights @ offsets**2)


@pytest.mark.parametrize("radius", RADII)
class TestKernels:
    def test_disc_has_the_variance_of_a_disc_along_both_axes(self, radius: float) -> None:
        kernel = disc_kernel(radius).astype(np.float64)
        assert kernel.sum() == pytest.approx(1.0, abs=1e-6)
        assert kernel.min() >= 0.0
        assert _variance(kernel.sum(axis=0)) == pytest.approx(radius**2 / 4, rel=0.03)
        assert _variance(kernel.sum(axis=1)) == pytest.approx(radius**2 / 4, rel=0.03)

    def test_gaussian_has_the_variance_of_the_disc(self, radius: float) -> None:
        kernel = gaussian_kernel(radius).astype(np.float64)
        assert kernel.sum() == pytest.approx(1.0, abs=1e-6)
        assert _variance(kernel) == pytest.approx(radius**2 / 4, rel=0.01)


def test_disc_is_flat_inside_and_nothing_outside() -> None:
    kernel = disc_kernel(8.0)
    rows, columns = np.indices(kernel.shape) - kernel.shape[0] // 2
    distance = np.hypot(rows, columns)
    assert kernel[distance < 7.0] == pytest.approx(1.0 / (np.pi * 8.0**2), rel=0.02)
    assert np.all(kernel[distance > 9.0] == 0.0)


@pytest.mark.parametrize("kernel", [disc_kernel, gaussian_kernel])
def test_in_focus_is_one_pixel(kernel) -> None:
    assert kernel(0.0).ravel().tolist() == [1.0]
