"""What the classical backends collect while a sweep comes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.backends.base import SweepSpec
from focdepth_ros.errors import StackError
from focdepth_ros.stack import FloatImage, ImageArray, Slice

FocusMeasure = Callable[[Slice], FloatImage]


@dataclass(frozen=True, eq=False)
class FocusVolume:
    """Focus measure of a whole sweep, near to far.

    Parameters
    ----------
    energy : (N, h, w) float32
        Focus measure of every slice, on the grid on which it is measured.
    positions : (N,) float64
        Dioptres, falling; 0 … N - 1 for a relative sweep.
    images : tuple of N (H, W[, 3]) uint8, or empty
        The slices' images, kept only if the all-in-focus image is wanted.
    size : (H, W)
        Of the images.
    metric : bool
        Whether `positions` are dioptres.
    """

    energy: NDArray[np.float32]
    positions: NDArray[np.float64]
    images: tuple[ImageArray, ...]
    size: tuple[int, int]
    metric: bool


class FocusVolumeBuilder:
    """Measures each slice when it arrives and puts them in order at the end."""

    def __init__(self, spec: SweepSpec, measure: FocusMeasure) -> None:
        self._spec = spec
        self._measure = measure
        self._slices: list[Slice] = []
        self._energies: list[FloatImage] = []

    def add(self, item: Slice) -> None:
        """Measure one slice; one at the focus distance of the slice before replaces it.

        Raises
        ------
        SliceError
            If it does not fit the sweep.
        """
        if self._spec.check(item, self._slices):
            self._slices.pop()
            self._energies.pop()
        self._energies.append(self._measure(item))
        self._slices.append(item)

    def volume(self) -> FocusVolume:
        """The sweep so far, sorted near to far.

        Raises
        ------
        StackError
            If there are fewer than 2 slices.
        """
        count = len(self._slices)
        if count < 2:
            raise StackError(f"a sweep needs at least 2 slices, this one has {count}")
        if self._spec.metric:
            dioptres = [item.dioptre for item in self._slices]
            order = sorted(range(count), key=lambda i: -dioptres[i])
            positions = np.array([dioptres[i] for i in order])
        else:
            order = list(range(count))
            positions = np.arange(count, dtype=np.float64)
        keep_images = self._spec.all_in_focus
        return FocusVolume(
            energy=np.stack([self._energies[i] for i in order]),
            positions=positions,
            images=tuple(self._slices[i].image for i in order) if keep_images else (),
            size=(self._spec.height, self._spec.width),
            metric=self._spec.metric,
        )
