"""What the classical backends collect while a sweep comes in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.all_in_focus import blend_all_in_focus, sample_all_in_focus
from focdepth_ros.classical.confidence import noise_floor
from focdepth_ros.classical.refinement import refine_peak
from focdepth_ros.errors import StackError
from focdepth_ros.stack import FloatImage, ImageArray, Slice
from focdepth_ros.sweep_parts.spec import SweepSpec

SliceMeasure = Callable[[Slice], FloatImage]

_AMPLIFIED = 1.1  # of the usual gain; from there on the noise is told from that of the others
_ROWS_AT_ONCE = 64
_USUAL_SLICES = 64

_PIXELS_AT_ONCE = 1 << 14


@dataclass(frozen=True, eq=False)
class FocusVolume:
    """Focus measure of a whole sweep, near to far.

    Parameters
    ----------
    energy : (N, h, w) float32
        Focus measure of every slice, on the grid on which it is measured; finite also where it
        is not known, see `valid`. To be read only.
    positions : (N,) float64
        Dioptres, falling; 0 … N - 1 for a relative sweep.
    images : tuple of N (H, W[, 3]) uint8
    size : (H, W)
        Of the images.
    metric : bool
        Whether `positions` are dioptres.
    all_in_focus, depth : bool
        Whether the all-in-focus image, and whether depth, is wanted.
    valid : (N, h, w) bool, optional
        False where the slice was out of view. The energy there is what `fill_unknown` makes of
        the other slices. All of it is known by default.
    valid_masks : tuple of N (H, W) bool or None, or empty
        Which pixels of the images show the scene; None: all.
    """

    energy: NDArray[np.float32]
    positions: NDArray[np.float64]
    images: tuple[ImageArray, ...]
    size: tuple[int, int]
    metric: bool
    all_in_focus: bool
    depth: bool = True
    valid: NDArray[np.bool_] | None = None
    valid_masks: tuple[NDArray[np.bool_] | None, ...] = ()

    def refine_peak(
        self, labels: NDArray[np.integer[Any]], floor: float
    ) -> tuple[NDArray[np.float32], FloatImage, FloatImage]:
        """Positions between the slices; see `refinement.refine_peak`.

        Parameters
        ----------
        labels : (h, w) int
            Slice at, or next to, which each pixel is sharpest.
        floor : float
            Focus measure of a place without texture.

        Returns
        -------
        log_energy : (N, h, w) float32
            ``log(energy + floor)``.
        slice_index, overshoot : (h, w) float32
            The overshoot is at least a slice where one beside the peak was out of view.
        """
        log_energy = self.energy + np.float32(floor)
        np.log(log_energy, out=log_energy)
        slice_index, overshoot = np.empty((2, *labels.shape), np.float32)
        for top in range(0, len(labels), _ROWS_AT_ONCE):  # so that what it needs stays small
            rows = np.s_[top : top + _ROWS_AT_ONCE]
            slice_index[rows], overshoot[rows] = refine_peak(
                log_energy[:, rows], labels[rows], self.positions
            )
        return log_energy, slice_index, self._or_unseen(labels, overshoot)

    def _or_unseen(self, labels: NDArray[np.integer[Any]], overshoot: FloatImage) -> FloatImage:
        """The overshoot, at least a slice where the peak may be in a slice that was out of view."""
        if self.valid is None:
            return overshoot
        last = len(self.valid) - 1
        seen = np.ones(labels.shape, np.bool_)
        for beside in (np.maximum(labels, 1) - 1, np.minimum(labels, last - 1) + 1):
            at = beside.astype(np.intp)[np.newaxis]
            seen &= np.take_along_axis(self.valid, at, axis=0)[0]
        return np.where(seen, overshoot, np.maximum(overshoot, np.float32(1.0)))

    def sample_all_in_focus(self, slice_index: FloatImage) -> ImageArray:
        """The sweep's images sampled at (H, W) positions; see `all_in_focus`."""
        return sample_all_in_focus(self.images, slice_index, self.valid_masks)

    def blend_all_in_focus(self, slice_index: FloatImage) -> ImageArray:
        """The sweep's images mixed at (H, W) positions; see `all_in_focus`."""
        return blend_all_in_focus(self.images, slice_index, self.valid_masks)


def sharpest_slice(energy: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Slice of the largest focus measure of every pixel, the nearest of equals.

    As ``energy.argmax(axis=0)``, and several times as fast: it goes through memory in order.

    Parameters
    ----------
    energy : (N, h, w) float32

    Returns
    -------
    (h, w) uint16
    """
    labels = np.zeros(energy.shape[1:], np.uint16)
    largest = energy[0].copy()
    for label, layer in enumerate(energy[1:], start=1):
        labels[layer > largest] = label
        np.maximum(largest, layer, out=largest)
    return labels


def fill_unknown(
    energy: NDArray[np.float32], valid: NDArray[np.bool_], positions: NDArray[np.float64]
) -> None:
    """Give each pixel a neutral energy in the slices in which it was out of view.

    It is interpolated between the nearest slices before and after in which the pixel was in
    view; before the first and after the last of those it is that one's. So nothing is won or
    lost by such a slice: where neighbouring pixels have their peak in it, this one can follow.
    It is made a little smaller than the larger of both, so that no slice in which a pixel was
    out of view is ever its sharpest. A pixel that was never in view gets a flat curve of 0.

    Parameters
    ----------
    energy : (N, h, w) float32
        Filled in place, whatever is there.
    valid : (N, h, w) bool
    positions : (N,) float64
        Rising or falling.
    """
    count = len(energy)
    number = np.arange(count)[:, np.newaxis]
    height = max(1, _PIXELS_AT_ONCE // energy.shape[2])
    for top in range(0, energy.shape[1], height):
        rows = np.s_[:, top : top + height]
        curves, seen = energy[rows], valid[rows]
        gaps = ~seen.all(axis=0)
        if not gaps.any():
            continue
        curve, seen = curves[:, gaps], seen[:, gaps]
        before = np.maximum.accumulate(np.where(seen, number, -1), axis=0)
        after = np.minimum.accumulate(np.where(seen, number, count)[::-1], axis=0)[::-1]
        before, after = (
            np.where(before < 0, after, before) % count,
            np.where(after == count, before, after) % count,
        )
        below, above = (np.take_along_axis(curve, at, axis=0) for at in (before, after))
        span = positions[after] - positions[before]
        share = np.divide(
            positions[number] - positions[before], span, out=np.zeros_like(span), where=span != 0.0
        ).astype(np.float32)
        between = np.minimum(below + share * (above - below), np.maximum(below, above))
        filled = np.where(seen.any(axis=0), np.nextafter(between, np.float32(0.0)), 0.0)
        curves[:, gaps] = np.where(seen, curve, filled)


def without_amplified_noise(
    energy: NDArray[np.float32], gains: Sequence[float]
) -> NDArray[np.float32]:
    """Take off what noise has gained in slices that were brightened.

    A slice that was exposed less, and brought to the brightness of the others, has the more
    noise, by which it would look the sharpest wherever there is no texture.

    Parameters
    ----------
    energy : (N, h, w) float32
        Focus measure. It is left as it is.
    gains : sequence of N float
        By what the levels of each slice were multiplied.

    Returns
    -------
    (N, h, w) float32
        `energy` itself if no gain is to speak of.
    """
    usual_gain = float(np.median(gains))
    brightened = [row for row, gain in enumerate(gains) if gain > _AMPLIFIED * usual_gain]
    if not brightened:
        return energy
    usual = np.float32(0.5 * noise_floor(energy))
    energy = energy.copy()
    for row in brightened:
        least = np.minimum(energy[row], usual)  # less noise than the others it never has
        energy[row] -= usual * np.float32((gains[row] / usual_gain) ** 2 - 1.0)
        np.maximum(energy[row], least, out=energy[row])
    return energy


def near_to_far(
    slices: Sequence[Slice], *, metric: bool, by_position: bool = False
) -> tuple[list[int], NDArray[np.float64]]:
    """The order of slices from near to far, and their positions in that order.

    Parameters
    ----------
    slices : sequence of Slice
    metric : bool
        Whether focus distances count; else slices stay in the order in which they came.
    by_position : bool
        Whether they go by rising lens position instead. There is no telling then whether that is
        from near to far or the other way.

    Returns
    -------
    order : list of int
    positions : (N,) float64
        Dioptres, falling; 0 … N - 1 for a relative sweep.

    Raises
    ------
    StackError
        If there are fewer than 2 slices.
    """
    count = len(slices)
    if count < 2:
        raise StackError(f"a sweep needs at least 2 slices, this one has {count}")
    if not metric:
        order = list(range(count))
        if by_position:
            order.sort(key=lambda i: slices[i].lens_position or 0.0)
        return order, np.arange(count, dtype=np.float64)
    dioptres = [item.dioptre for item in slices]
    order = sorted(range(count), key=lambda i: -dioptres[i])
    return order, np.array([dioptres[i] for i in order])


def _ordered(rows: NDArray[Any], order: list[int]) -> NDArray[Any]:
    """Rows in another order, without a copy where they go one way or the other."""
    count = len(order)
    if order == list(range(count)):
        return rows
    if order == list(range(count - 1, -1, -1)):
        return rows[::-1]
    return rows[order]


class FocusVolumeBuilder:
    """Measures each slice when it arrives and puts them in order at the end.

    Parameters
    ----------
    spec : SweepSpec
    measure : function from Slice to (h, w) float32
        NaN where the slice was out of view.
    """

    def __init__(self, spec: SweepSpec, measure: SliceMeasure) -> None:
        self._spec = spec
        self._measure = measure
        self._slices: list[Slice] = []
        # In the order in which they came; memory that is not written to yet takes up none.
        self._energy = np.empty((0, 0, 0), np.float32)
        self._valid: list[NDArray[np.bool_] | None] = []

    def add(self, item: Slice) -> None:
        """Measure one slice; one at the focus distance of the slice before replaces it.

        Raises
        ------
        SliceError
            If it does not fit the sweep.
        """
        if self._spec.check(item, self._slices):
            self._slices.pop()
            self._valid.pop()
        measured = self._measure(item)
        row = len(self._slices)
        if row == len(self._energy):
            larger = np.empty((max(_USUAL_SLICES, 2 * row), *measured.shape), np.float32)
            if row:
                larger[:row] = self._energy
            self._energy = larger
        self._energy[row] = measured
        self._valid.append(None if item.valid_mask is None else ~np.isnan(measured))
        self._slices.append(item)

    def volume(self) -> FocusVolume:
        """The sweep so far, sorted near to far.

        Raises
        ------
        StackError
            If there are fewer than 2 slices.
        """
        order, positions = near_to_far(
            self._slices, metric=self._spec.metric, by_position=self._spec.by_position
        )
        count = len(order)
        energy = self._energy[:count]
        valid = None
        if any(known is not None for known in self._valid):
            valid = np.ones(energy.shape, np.bool_)
            for row, known in enumerate(self._valid):
                if known is not None:
                    valid[row] = known
            came_at = np.empty(count)
            came_at[order] = positions
            fill_unknown(energy, valid, came_at)
            valid = None if valid.all() else _ordered(valid, order)
        energy = without_amplified_noise(energy, [item.gain for item in self._slices])
        energy = _ordered(energy, order)
        return FocusVolume(
            energy=energy,
            positions=positions,
            images=tuple(self._slices[i].image for i in order),
            size=(self._spec.height, self._spec.width),
            metric=self._spec.metric,
            all_in_focus=self._spec.all_in_focus,
            depth=self._spec.depth,
            valid=valid,
            valid_masks=tuple(self._slices[i].valid_mask for i in order),
        )
