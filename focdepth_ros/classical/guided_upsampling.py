"""From the grid of the focus measure to that of the images, along the edges of the image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.refinement import enlarge
from focdepth_ros.classical.weighted_median import weighted_median
from focdepth_ros.stack import FloatImage

_EDGE = 0.5  # slices between neighbours, above which there are two surfaces


def upsample_guided(
    slice_index: FloatImage,
    guide: NDArray[np.uint8],
    *,
    radius: int = 2,
    guide_sigma: float = 12.0,
) -> FloatImage:
    """Bring slice positions to the grid of the guide, and steps between surfaces to its edges.

    Surfaces are enlarged as by `enlarge`. At steps, which are only known to a pixel of the
    coarse grid, each fine pixel takes the weighted median of its neighbours, among which those
    of its colour count most.

    Parameters
    ----------
    slice_index : (h, w) float32
    guide : (H, W) or (H, W, 3) uint8
        The all-in-focus image.
    radius : int
        Of the window in pixels of the guide.
    guide_sigma : float
        In grey levels, as of `weighted_median`.

    Returns
    -------
    (H, W) float32

    Raises
    ------
    OptionError
        If `radius` or `guide_sigma` is out of range.
    BackendUnavailableError
        If the compiled library is missing.

    References
    ----------
    Kopf, Cohen, Lischinski, Uyttendaele, "Joint Bilateral Upsampling", SIGGRAPH 2007; with a
    median, since a mean makes up depth between two surfaces.
    """
    size = guide.shape[:2]
    enlarged = enlarge(slice_index, (size[0], size[1]))
    found = weighted_median(enlarged, guide, radius=radius, guide_sigma=guide_sigma)
    around = np.ones((2 * radius + 1,) * 2, dtype=np.uint8)
    steps = cv2.dilate(enlarged, around) - cv2.erode(enlarged, around) > _EDGE
    return np.where(steps, found, enlarged)
