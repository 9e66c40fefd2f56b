"""A focus volume that is collected, and worked on, on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.focus_measure import FocusMeasure
from focdepth_ros.classical.focus_volume import (
    FocusVolume,
    fill_unknown,
    near_to_far,
    without_amplified_noise,
)
from focdepth_ros.classical.torch_all_in_focus import sample_all_in_focus
from focdepth_ros.classical.torch_focus import TorchFocusMeasure, refine_peak, upload
from focdepth_ros.stack import FloatImage, ImageArray, Slice
from focdepth_ros.sweep_parts.spec import SweepSpec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class TorchFocusVolume(FocusVolume):
    """A `FocusVolume` of which a copy lies on a GPU.

    Parameters
    ----------
    device_energy : (N, h, w) float32 tensor
    device_images : tuple of N (H, W[, 3]) uint8 tensors, or empty
        Kept only if the all-in-focus image is wanted.
    device_masks : tuple of N (H, W) bool tensors or None, or empty
        Which pixels of them show the scene; None: all.
    """

    device_energy: Tensor
    device_images: tuple[Tensor, ...]
    device_masks: tuple[Tensor | None, ...]

    def refine_peak(
        self, labels: NDArray[np.integer[Any]], floor: float
    ) -> tuple[NDArray[np.float32], FloatImage, FloatImage]:
        """As that of `FocusVolume`, done on the GPU."""
        log_energy = (self.device_energy + floor).log_()
        on_device = upload(labels, str(self.device_energy.device))
        slice_index, overshoot = refine_peak(log_energy, on_device, self.positions)
        return (
            log_energy.cpu().numpy(),
            slice_index.cpu().numpy(),
            self._or_unseen(labels, overshoot.cpu().numpy()),
        )

    def sample_all_in_focus(self, slice_index: FloatImage) -> ImageArray:
        """As that of `FocusVolume`, done on the GPU where the images are there."""
        if not self.device_images:
            return super().sample_all_in_focus(slice_index)
        on_device = upload(slice_index, str(self.device_energy.device))
        picture = sample_all_in_focus(self.device_images, on_device, self.device_masks)
        return np.asarray(picture.cpu().numpy(), np.uint8)


class TorchFocusVolumeBuilder:
    """A `FocusVolumeBuilder` that measures on a GPU.

    `add` only gives the GPU its work; nothing waits for it before `volume`.

    Parameters
    ----------
    spec : SweepSpec
    operator : FocusMeasure
    device : str
        As torch calls it, such as ``cuda``.
    window_sigma, reduction
        As for `FocusMeasure`.
    """

    def __init__(
        self,
        spec: SweepSpec,
        operator: FocusMeasure,
        device: str,
        *,
        window_sigma: float,
        reduction: int = 1,
    ) -> None:
        self._spec = spec
        self._device = device
        self._measure = TorchFocusMeasure(
            operator, device, window_sigma=window_sigma, reduction=reduction
        )
        self._slices: list[Slice] = []
        self._energies: list[Tensor] = []
        self._images: list[Tensor] = []
        self._masks: list[Tensor | None] = []

    def add(self, item: Slice) -> None:
        """Measure one slice; one at the focus distance of the slice before replaces it.

        Raises
        ------
        SliceError
            If it does not fit the sweep.
        """
        if self._spec.check(item, self._slices):
            for kept in (self._slices, self._energies, self._images, self._masks):
                del kept[-1:]
        image = upload(item.image, self._device)
        mask = None if item.valid_mask is None else upload(item.valid_mask, self._device)
        self._energies.append(self._measure(image, mask))
        if self._spec.all_in_focus:
            self._images.append(image)
        self._masks.append(mask)
        self._slices.append(item)

    def volume(self) -> TorchFocusVolume:
        """The sweep so far, sorted near to far.

        Raises
        ------
        StackError
            If there are fewer than 2 slices.
        """
        order, positions = near_to_far(
            self._slices, metric=self._spec.metric, by_position=self._spec.by_position
        )
        first = self._energies[0]
        on_device = first.new_empty((len(order), *first.shape))
        for row, i in enumerate(order):
            on_device[row] = self._energies[i]
            self._energies[i] = on_device[row]  # so that a large sweep is not held twice
        energy = on_device.cpu().numpy()
        valid = None
        if any(mask is not None for mask in self._masks):
            energy = energy.copy()
            valid = ~np.isnan(energy)
            fill_unknown(energy, valid, positions)
            on_device = upload(energy, self._device)
        quieter = without_amplified_noise(energy, [self._slices[i].gain for i in order])
        if quieter is not energy:
            energy, on_device = quieter, upload(quieter, self._device)
        return TorchFocusVolume(
            energy=energy,
            positions=positions,
            images=tuple(self._slices[i].image for i in order),
            size=(self._spec.height, self._spec.width),
            metric=self._spec.metric,
            all_in_focus=self._spec.all_in_focus,
            depth=self._spec.depth,
            valid=None if valid is None or valid.all() else valid,
            valid_masks=tuple(self._slices[i].valid_mask for i in order),
            device_energy=on_device,
            device_images=tuple(self._images[i] for i in order if self._images),
            device_masks=tuple(self._masks[i] for i in order),
        )
