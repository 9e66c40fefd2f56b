"""What a lens makes of a sharp image at every focus distance of a sweep.

Each slice is the all-in-focus image under a blur whose width differs from pixel to pixel, as the
depth does: linear in the image, with an exact adjoint. A pixel takes in light from around itself
by the point-spread function of its own depth (the gathering model of the paper), so edges between
surfaces are blurred as if both were at the depth of the pixel looked at.

References
----------
"Depth from Defocus via Direct Optimization", arXiv 2602.18509, 2026, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from focdepth_ros.defocus.blur_levels import BlurLevels, DiscLevels, GaussianLevels
from focdepth_ros.errors import CalibrationError, OptionError, StackError
from focdepth_ros.stack import Lens

Psf = Literal["gaussian", "disc"]

_LEVELS = {"gaussian": GaussianLevels, "disc": DiscLevels}
# Of a Gaussian with sigma = c / 2, as in the paper, and of a disc with radius c / 2.
_VARIANCE_PER_COC2 = {"gaussian": 1.0 / 4.0, "disc": 1.0 / 16.0}


class DefocusModel:
    """The blur of a lens over the focus distances of a sweep.

    Parameters
    ----------
    lens : Lens
    focus_distances : sequence of float
        Metres, of K slices; +inf allowed.
    psf : {"gaussian", "disc"}
        Shape of the point-spread function: a Gaussian of sigma half the circle of confusion, or
        a disc of its diameter.
    min_coc : float
        Circle of confusion [px] below which the blur shrinks no further.
    device : str or torch.device

    Raises
    ------
    StackError
        If there are fewer than 2 focus distances.
    CalibrationError
        If a focus distance is not beyond the focal length.
    OptionError
        If the point-spread function is not known.
    """

    def __init__(
        self,
        lens: Lens,
        focus_distances: Sequence[float],
        *,
        psf: str = "gaussian",
        min_coc: float = 0.0,
        device: str | torch.device = "cpu",
    ) -> None:
        if psf not in _LEVELS:
            raise OptionError(f"point-spread function '{psf}' is not known; use gaussian or disc")
        if len(focus_distances) < 2:
            raise StackError(
                f"{len(focus_distances)} focus distance; depth from defocus compares at least 2"
            )
        for distance in focus_distances:
            if not distance > lens.focal_length:  # NaN fails this comparison too
                raise CalibrationError(
                    f"focus distance {distance} m is not beyond the focal length "
                    f"{lens.focal_length} m; no real image forms there"
                )
        self.psf = psf
        self.min_coc = min_coc
        self.device = torch.device(device)
        focus = [1.0 / distance for distance in focus_distances]
        # As in optics.circle_of_confusion: in dioptres infinity needs no special case.
        scale = [
            lens.focal_length**2
            / (lens.f_number * (1.0 - lens.focal_length * dioptre) * lens.pixel_pitch)
            for dioptre in focus
        ]
        # Distances may be NumPy's, of which torch would make float64.
        self._focus = torch.tensor(focus, dtype=torch.float32, device=self.device)
        self._scale = torch.tensor(scale, dtype=torch.float32, device=self.device)

    def __len__(self) -> int:
        return len(self._focus)

    def coc(self, dioptre: Tensor) -> Tensor:
        """Diameters [px] of the circle of confusion: (...) dioptres to (..., K)."""
        return (self._scale * (dioptre[..., None] - self._focus).abs()).clamp_(min=self.min_coc)

    def variance(self, dioptre: Tensor) -> Tensor:
        """Variance [px²] of the blur along one axis: (...) dioptres to (..., K)."""
        return self.coc(dioptre).square_().mul_(_VARIANCE_PER_COC2[self.psf])

    def levels(self, size: tuple[int, int], dioptres: tuple[float, float]) -> BlurLevels:
        """The ladder of blurs that covers a range of dioptres, for images of a size."""
        ends = torch.tensor(dioptres, device=self.device)
        return _LEVELS[self.psf](size, float(self.variance(ends).max()), self.device)

    def operator(self, dioptre: Tensor, levels: BlurLevels | None = None) -> BlurOperator:
        """The blur of every slice for a map of dioptres (H, W), as a linear operator.

        Parameters
        ----------
        dioptre : (H, W) tensor
        levels : BlurLevels, optional
            Of the size of the map and covering its dioptres; made where not given.
        """
        if levels is None:
            size = (dioptre.shape[0], dioptre.shape[1])
            levels = self.levels(size, (float(dioptre.min()), float(dioptre.max())))
        return BlurOperator(levels, self.variance(dioptre))


@dataclass(frozen=True)
class _Mixture:
    """Rows that are sums of some rows of a table, as `embedding_bag` takes it."""

    rows: Tensor
    starts: Tensor
    weights: Tensor

    def of(self, table: Tensor) -> Tensor:
        return functional.embedding_bag(
            self.rows, table, self.starts, mode="sum", per_sample_weights=self.weights
        )


class BlurOperator:
    """Blur that differs from pixel to pixel, and its adjoint.

    Parameters
    ----------
    levels : BlurLevels
    variance : (H, W, K) tensor
        px² of each slice.
    """

    def __init__(self, levels: BlurLevels, variance: Tensor) -> None:
        height, width, slices = variance.shape
        self._levels = levels
        self._shape = (height, width, slices)
        count, pixels = len(levels), height * width
        device = variance.device
        pixel = torch.arange(pixels, device=device)[:, None]
        lower, share = levels.position(variance.view(pixels, slices))
        row = levels.row(pixel[..., None], torch.stack((lower, lower + 1), dim=2)).flatten()
        weight = torch.stack((1.0 - share, share), dim=2).flatten() / levels.mass[row]
        starts = torch.arange(0, len(row), 2, device=device, dtype=torch.int32)
        self._mix = _Mixture(row.int(), starts, weight)
        # The same weights the other way round: what each row gathers from the slices.
        row, order = row.int().sort(stable=True)
        filled = torch.bincount(row, minlength=count * pixels)
        cell = order.div(2, rounding_mode="floor").int()
        self._unmix = _Mixture(cell, (filled.cumsum(0) - filled).int(), weight[order])

    def forward(self, image: Tensor) -> Tensor:
        """The focal stack (H, W, K, C) of an all-in-focus image (H, W, C)."""
        return self._mix.of(self._levels.blur(image)).view(*self._shape, -1)

    def adjoint(self, stack: Tensor) -> Tensor:
        """The adjoint of `forward`: (H, W, K, C) to (H, W, C)."""
        return self._levels.adjoint(self._unmix.of(stack.flatten(0, 2)))
