"""A first all-in-focus image to start depth from defocus from, put together from the slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.all_in_focus import sample_all_in_focus
from focdepth_ros.classical.confidence import noise_floor
from focdepth_ros.classical.energy_terms import log_unary, sweep_density
from focdepth_ros.classical.focus_operators import Tenengrad
from focdepth_ros.classical.focus_volume import fill_unknown, sharpest_slice
from focdepth_ros.classical.graph_cut import MAX_LABELS, cut_fast, library_missing_because
from focdepth_ros.errors import OptionError, StackError
from focdepth_ros.stack import FloatImage, Slice

_WINDOW_SIGMA = 2.5  # px over which sharpness is averaged
_PAIR_SCALE = 0.1  # cost of a step of one slice between neighbouring pixels, in a sweep of 10
_TRUNCATION = 6  # slices beyond which a step costs no more, in a sweep of 10
_STARTS = ("graph_cut", "sharpest")


def start_from_slices(
    slices: Sequence[Slice], start: str = "graph_cut"
) -> tuple[NDArray[np.float32], FloatImage]:
    """Put an image together in which every pixel comes from a slice in which it is sharp.

    Sharpness is the gradient's magnitude (Sobel), its mean square averaged over a Gaussian window.
    A slice costs a pixel as much as the log of its sharpness lies below the pixel's best, next to
    nothing where there is no texture: there the cost of jumps between neighbours decides.

    Parameters
    ----------
    slices : sequence of N Slice
        Near to far or far to near, of one size. Pixels outside of a ``valid_mask`` are taken from
        another slice.
    start : {"graph_cut", "sharpest"}
        With the cost of jumps, or without. Without it also where the compiled library is missing,
        and for more than 256 slices.

    Returns
    -------
    image : (H, W, C) float32
        In [0, 1], sRGB or whatever the slices are; C is 1 or 3 as theirs.
    slice_index : (H, W) float32
        Whole numbers in [0, N - 1]: the slice of every pixel in the order given. Where that one
        shows nothing, the pixel is from the nearest one that does.

    Raises
    ------
    StackError
        If there are fewer than 2 slices, or they are not of one size.
    OptionError
        If the start is not known.

    References
    ----------
    Suwajanakorn, Hernandez, Seitz, "Depth from Focus with Your Mobile Phone", CVPR 2015,
    section 4.
    """
    if start not in _STARTS:
        raise OptionError(f"start '{start}' is not known; use {' or '.join(_STARTS)}")
    if len(slices) < 2:
        raise StackError(f"{len(slices)} slice; depth from defocus compares at least 2")
    if len(sizes := {item.image.shape for item in slices}) > 1:
        raise StackError(f"slices have shapes {sorted(sizes)}; all must be of one")
    energy = _sharpness(slices)
    if start == "graph_cut" and len(slices) <= MAX_LABELS and library_missing_because() is None:
        slice_index = _stitched(energy)
    else:
        slice_index = sharpest_slice(energy).astype(np.float32)
    image = sample_all_in_focus(
        [item.image for item in slices], slice_index, [item.valid_mask for item in slices]
    )
    channels = 1 if slices[0].image.ndim == 2 else 3
    return image[..., :channels].astype(np.float32) / np.float32(255.0), slice_index


def _sharpness(slices: Sequence[Slice]) -> NDArray[np.float32]:
    """Energy of the gradient in every slice (N, H, W), finite also where it is not known."""
    measure = Tenengrad(sigma=0.0)
    energy = np.stack(
        [
            measure(item.image, window_sigma=_WINDOW_SIGMA, valid_mask=item.valid_mask)
            for item in slices
        ]
    )
    if any(item.valid_mask is not None for item in slices):
        fill_unknown(energy, ~np.isnan(energy), np.arange(len(slices), dtype=np.float64))
    return energy


def _stitched(energy: NDArray[np.float32]) -> FloatImage:
    count, *size = energy.shape
    density = sweep_density(count)
    unary = log_unary(energy, np.float32(noise_floor(energy)))
    weight = np.full(size, _PAIR_SCALE / density, np.float32)
    truncation = min(max(round(_TRUNCATION * density), 1), MAX_LABELS - 1)
    labels, _ = cut_fast(unary, weight, weight, truncation=truncation)
    return labels.astype(np.float32)
