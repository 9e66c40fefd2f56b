"""Focus measure, its average over a window and peaks on torch tensors.

The same as `focus_measure` and `refinement` do with NumPy and OpenCV, up to rounding, for machines
with a GPU. Nothing here but `download` waits for the GPU.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.focus_measure import (
    MIN_WINDOW_IN_VIEW,
    FocusMeasure,
    gaussian_size,
)

if TYPE_CHECKING:
    from torch import Tensor

_LUMA = (9798, 19235, 3735)  # of 2^15: the weights of cv2.COLOR_RGB2GRAY


class TorchFocusMeasure:
    """A `FocusMeasure` on tensors of one device.

    The kernels of the operator are all that is taken over, so every operator is the same here.

    Parameters
    ----------
    operator : FocusMeasure
    device : str
        As torch calls it, such as ``cuda``.
    window_sigma : float
        Of the averaging window, in pixels of the image.
    reduction : int
        Factor by which the grid of the measure is coarser than the image.
    """

    def __init__(
        self, operator: FocusMeasure, device: str, *, window_sigma: float, reduction: int = 1
    ) -> None:
        self._operator = operator
        self._device = device
        self._reduction = reduction
        self._kernels = upload(operator.kernels, device)
        sigma = window_sigma / reduction
        window = cv2.getGaussianKernel(gaussian_size(sigma), sigma, cv2.CV_32F)
        self._window = upload(window.ravel(), device)

    def __call__(self, image: Tensor, valid_mask: Tensor | None = None) -> Tensor:
        """Measure an image.

        Parameters
        ----------
        image : (H, W, 3) RGB or (H, W) uint8
        valid_mask : (H, W) bool, optional

        Returns
        -------
        (ceil(H / reduction), ceil(W / reduction)) float32
            In squared grey levels of noise; NaN where more than half of the window was out of
            view.
        """
        import torch

        reach = self._operator.reach
        # Whole numbers up to 255 are exact in every format that a GPU multiplies in.
        grey = mirrored(_grey(image), reach, reach)[None]
        responses = correlated(grey, self._kernels)
        if self._operator.sums_magnitudes:
            energy = responses.abs_().sum(0).square_()
        else:
            energy = responses.square_().sum(0)
        gain = self._operator.noise_gain
        if valid_mask is None:
            return self._window_average(energy).div_(gain)
        hidden = torch.logical_not(valid_mask).float()[None]
        for shape in ((2 * reach + 1, 1), (1, 2 * reach + 1)):
            padding = (shape[0] // 2, shape[1] // 2)
            hidden = torch.nn.functional.max_pool2d(hidden, shape, stride=1, padding=padding)
        voting = 1.0 - hidden[0]
        measure = self._window_average(energy * voting)
        votes = self._window_average(voting)
        return torch.where(votes >= MIN_WINDOW_IN_VIEW, measure / (votes * gain), torch.nan)

    def _window_average(self, values: Tensor) -> Tensor:
        """Average of (H, W) float32 over the window, on the coarser grid."""
        for axis in (0, 1):
            values = _area_reduced(values, axis, self._reduction)
        reach = len(self._window) // 2
        for vertical, horizontal in ((reach, 0), (0, reach)):
            kernel = self._window.reshape(1, 2 * vertical + 1, 2 * horizontal + 1)
            values = correlated(split(mirrored(values, vertical, horizontal)), kernel)[0]
        return values


def upload(array: NDArray[np.generic], device: str) -> Tensor:
    """Copy an array to a device without waiting for it.

    Parameters
    ----------
    array : ndarray
        It may be changed afterwards.
    device : str
    """
    import torch

    kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
    pinned = torch.empty(array.shape, dtype=kind, pin_memory=torch.device(device).type != "cpu")
    np.copyto(pinned.numpy(), array)
    return pinned.to(device, non_blocking=True)


def download(*found: Tensor | None) -> list[NDArray[Any] | None]:
    """Copy tensors to the memory of the processor; this waits for their device.

    Parameters
    ----------
    *found : Tensor or None

    Returns
    -------
    list of ndarray or None
        Of a CPU's tensors their own memory. A GPU's come into pinned memory, which torch keeps for
        the next ones when the arrays are gone.
    """
    return [None if item is None else _on_the_cpu(item).numpy() for item in found]


def _on_the_cpu(found: Tensor) -> Tensor:
    import torch

    if found.device.type == "cpu":
        return found
    # Each is waited for. Else the memory would stay with its stream, and to free it after the GPU
    # was lost would end the process.
    return torch.empty_like(found, device="cpu", pin_memory=True).copy_(found)


def refine_peak(
    log_energy: Tensor, labels: Tensor, positions: NDArray[np.float64]
) -> tuple[Tensor, Tensor]:
    """`refinement.refine_peak` on tensors.

    Parameters
    ----------
    log_energy : (N, h, w) float32
    labels : (h, w) integer
    positions : (N,) float64
        An array: there are few.

    Returns
    -------
    slice_index, overshoot : (h, w) float32
    """
    import torch

    count = len(positions)
    chosen = labels.long()
    if count < 3:
        return chosen.float(), torch.zeros_like(chosen, dtype=torch.float32)
    middle = chosen.clamp(1, count - 2)
    below, centre, above = (log_energy.gather(0, (middle + step)[None])[0] for step in (-1, 0, 1))
    steps = upload(np.diff(positions).astype(np.float32), str(log_energy.device))
    step_below, step_above = steps[middle - 1], steps[middle]
    slope_below = (centre - below) / step_below
    slope_above = (above - centre) / step_above
    span = step_below + step_above
    second = (slope_above - slope_below) / span
    slope = (slope_below * step_above + slope_above * step_below) / span
    peaked = second < 0
    offset = torch.where(peaked, -0.5 * slope / second, 0.0)
    offset = offset / torch.where(offset * step_above >= 0, step_above, step_below)
    vertex = torch.where(peaked, middle + offset, chosen.float())
    first, last = chosen == 0, chosen == count - 1
    overshoot = torch.maximum(-vertex, vertex - (count - 1)).clamp(min=0.0)
    rising = (first & (below > centre)) | (last & (above > centre))
    overshoot = torch.where(rising & ~peaked, torch.inf, overshoot)
    nearby = torch.minimum(torch.maximum(vertex, chosen - 0.5), chosen + 0.5)
    return nearby.clamp(0, count - 1), torch.where(first | last, overshoot, 0.0)


def _grey(image: Tensor) -> Tensor:
    """`focus_measure.grey_image`, as float32."""
    if image.ndim == 2:
        return image.float()
    red, green, blue = image.int().unbind(-1)
    luma = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
    return ((luma + (1 << 14)) >> 15).float()


def mirrored(values: Tensor, vertical: int, horizontal: int) -> Tensor:
    """Extend (H, W) by so many pixels to every side, as `cv2.BORDER_REFLECT_101` does."""
    import torch

    for axis, reach in enumerate((vertical, horizontal)):
        last = values.shape[axis] - 1
        if reach > 0:
            at = torch.arange(-reach, last + reach + 1, device=values.device)
            at = at.remainder(max(2 * last, 1)) if last > 0 else torch.zeros_like(at)
            values = values.index_select(axis, torch.minimum(at, 2 * last - at))
    return values


def split(values: Tensor) -> Tensor:
    """Two parts (2, H, W) that add up to (H, W) float32, each of few enough bits for a GPU.

    GPUs may multiply float32 in TF32, which keeps 11 bits. Of values in two parts they keep 22.
    """
    import torch

    high = (values.contiguous().view(torch.int32) & ~0x1FFF).view(torch.float32)
    return torch.stack([high, values - high])


def correlated(parts: Tensor, kernels: Tensor) -> Tensor:
    """Sum of the parts (P, H, W), correlated with kernels (M, kh, kw): (M, H', W').

    There is no border: H' = H - kh + 1, likewise W'.
    """
    import torch

    filters = split(kernels).flatten(0, 1)[:, None]
    found = torch.nn.functional.conv2d(parts[:, None], filters).sum(0)
    return found.unflatten(0, (2, len(kernels))).sum(0)


def _area_reduced(values: Tensor, axis: int, reduction: int) -> Tensor:
    """Shrink an axis to ``ceil(n / reduction)``, as `cv2.INTER_AREA` does."""
    if reduction == 1:
        return values
    taps = _area_taps(values.shape[axis], reduction, str(values.device))
    shares = [
        values.index_select(axis, at) * (weight[:, None] if axis == 0 else weight)
        for at, weight in taps
    ]
    return sum(shares[1:], start=shares[0])


@lru_cache(maxsize=16)
def _area_taps(count: int, reduction: int, device: str) -> list[tuple[Tensor, Tensor]]:
    """Pixels that the cells of a coarser axis cover: one of each cell, and its share in it."""
    edges = np.linspace(0.0, count, -(-count // reduction) + 1)
    low, high = edges[:-1], edges[1:]
    taps = []
    for tap in range(reduction + 1):
        at = np.floor(low) + tap
        weight = np.clip(np.minimum(at + 1, high) - np.maximum(at, low), 0.0, None) / (high - low)
        if weight.max() > 1e-6:  # more than rounding
            inside = np.minimum(at, count - 1).astype(np.int64)
            taps.append((upload(inside, device), upload(weight.astype(np.float32), device)))
    return taps
