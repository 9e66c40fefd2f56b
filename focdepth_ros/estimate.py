"""What a backend answers: `DepthEstimate`, and how slice positions become metres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import FloatImage, ImageArray


@dataclass(frozen=True, eq=False)
class DepthEstimate:
    """Depth of every pixel of the reference slice.

    Where a sweep was started without depth (`SweepSpec.depth`), `depth` is NaN, `confidence` 0, and
    `slice_index` where the all-in-focus image is from.

    Parameters
    ----------
    depth : (H, W) float32
        Metres along the optical axis; NaN where it is not known, +inf beyond measure
        (REP 117, REP 118). For a relative stack (`metric` is False): the slice index.
    confidence : (H, W) float32 in [0, 1]
    slice_index : (H, W) float32
        Fractional position in the stack, near to far, at which the pixel is sharpest; slices that
        could not be aligned are counted, too.
    backend : str
        Name of the backend that gave this answer.
    metric : bool
        Whether `depth` is in metres.
    all_in_focus : (H, W, 3) uint8 or None
        RGB; None where the sweep was started without it.
    timings : dict of str to float
        Seconds per step.
    warnings : tuple of str
        What went less well than asked, such as a fallback to another backend, with the reason.
    backend_warnings, alignment_warnings : tuple of str
        Those of them that the backend that answered, and the alignment, gave.
    left_out : int
        How many slices of the sweep could not be aligned and were not used.
    fallback : str
        Why another backend than the chosen one answered, or the same on another device; empty if
        the chosen one did.
    """

    depth: FloatImage
    confidence: FloatImage
    slice_index: FloatImage
    backend: str
    metric: bool
    all_in_focus: ImageArray | None = None
    timings: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    backend_warnings: tuple[str, ...] = ()
    alignment_warnings: tuple[str, ...] = ()
    left_out: int = 0
    fallback: str = ""

    @classmethod
    def of_picture(
        cls,
        all_in_focus: ImageArray,
        slice_index: FloatImage,
        *,
        backend: str,
        metric: bool,
        timings: Mapping[str, float],
    ) -> DepthEstimate:
        """An all-in-focus image alone; `slice_index` is where it is from."""
        return cls(
            depth=np.full_like(slice_index, np.nan),
            confidence=np.zeros_like(slice_index),
            slice_index=slice_index,
            backend=backend,
            metric=metric,
            all_in_focus=all_in_focus,
            timings=dict(timings),
        )

    def without_depth(self) -> DepthEstimate:
        """The same with neither depth nor confidence."""
        size = self.slice_index.shape
        return replace(
            self,
            depth=np.full(size, np.nan, np.float32),
            confidence=np.zeros(size, np.float32),
        )


def depth_from_slice_index(slice_index: FloatImage, dioptres: NDArray[np.float64]) -> FloatImage:
    """Metres from fractional slice positions, interpolated in dioptres.

    Blur grows linearly with the difference of dioptres, so positions between two slices are
    interpolated there and not in metres.

    Parameters
    ----------
    slice_index : (H, W) float32
        Positions in [0, N - 1]; NaN stays NaN.
    dioptres : (N,) float64
        Inverse focus distances in 1/m, falling.

    Returns
    -------
    (H, W) float32
        Depth in metres; +inf where the position is that of a slice focused at infinity.
    """
    # Places are whole numbers, which np.interp does not know: it searches, and takes twice as long.
    table = np.asarray(dioptres, np.float32)
    place = np.clip(slice_index, np.float32(0.0), np.float32(len(table) - 1))
    with np.errstate(invalid="ignore"):  # NaN as a number is anything; what it gives is NaN
        below = np.clip(place.astype(np.int32), 0, max(len(table) - 2, 0))
    share = place - below
    inverse = table[below]
    inverse += share * np.diff(table, append=table[-1:])[below]
    with np.errstate(divide="ignore"):
        depth = np.float32(1.0) / inverse
    return depth.astype(np.float32, copy=False)
