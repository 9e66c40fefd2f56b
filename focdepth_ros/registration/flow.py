"""Dense registration: what parallax leaves after one transform for the whole image."""

from __future__ import annotations

import cv2
import numpy as np

from focdepth_ros.registration.motion import Matrix, Motion, resampled
from focdepth_ros.registration.view import View, clipped, view_from_slice
from focdepth_ros.stack import FloatImage, ImageArray

_GREY_PER_CONTRAST = 50.0  # in what the optical flow is computed of
_CONSISTENT = 0.5  # px of the view that there and back may differ
_TEXTURED = 0.05  # mean square of the equalised detail; noise alone has less
_NEIGHBOURHOOD = 5.0  # sigma over which flow is averaged, pixels of the view
_PRIOR = 0.03  # weight of no flow at all against that of what was seen around
_REDUCTION = 2  # the flow is that smooth
_NEAR = np.ones((17, 17), np.uint8)
_CELL = 16  # pixels of the view
_MIN_CELLS = 8


def residual_flow(previous: View, view: View, matrix: Matrix) -> FloatImage:
    """How the pixels of two slices still lie apart once a transform has brought them together.

    Dense inverse search on the equalised detail, in which defocus is hardly seen. Flow that
    the way back does not confirm does not count, nor does any where there is no texture; there
    what was found around decides, and far from all of it the transform alone.

    Parameters
    ----------
    previous, view : View
    matrix : (3, 3) float64
        From pixels of the previous slice to those of the other.

    Returns
    -------
    (h, w, 2) float32
        On a coarser grid over the previous slice, in pixels of the slices: to be added to where
        `matrix` takes a pixel.

    References
    ----------
    Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016.
    """
    height, width = previous.detail.shape[:2]
    scale = view_from_slice(view.size, (height, width))
    moved = resampled(view.detail, scale @ matrix @ np.linalg.inv(scale))
    first, second = _as_grey(previous.detail), _as_grey(np.asarray(moved, dtype=np.float32))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    there = search.calc(first, second, np.zeros((height, width, 2), np.float32))
    back = search.calc(second, first, np.zeros((height, width, 2), np.float32))

    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    returned = cv2.remap(
        back,
        x + there[..., 0],
        y + there[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    missed = np.sum(np.square(there + returned), axis=2)
    energy = cv2.min(
        cv2.GaussianBlur(previous.detail * previous.detail, (0, 0), _NEIGHBOURHOOD),
        cv2.GaussianBlur(cv2.multiply(moved, moved), (0, 0), _NEIGHBOURHOOD),
    )
    # Light spreads from what is overexposed with defocus, which looks like motion of its border.
    exposed = cv2.dilate((clipped(previous.grey) | clipped(view.grey)).astype(np.uint8), _NEAR) == 0
    weight = ((missed < _CONSISTENT**2) & (energy > _TEXTURED) & exposed).astype(np.float32)
    size = (max(1, width // _REDUCTION), max(1, height // _REDUCTION))
    sigma = _NEIGHBOURHOOD / _REDUCTION

    def averaged(values: FloatImage) -> FloatImage:
        small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(small, (0, 0), sigma), dtype=np.float32)

    flow = averaged(there * weight[..., np.newaxis])
    flow /= (averaged(weight) + np.float32(_PRIOR))[..., np.newaxis]
    # Pixels of the moved picture back to those of the slice. Near the identity, which it is
    # between neighbours, a step in the one is a step in the other.
    flow *= np.array([1.0 / scale[0, 0], 1.0 / scale[1, 1]], dtype=np.float32)
    return flow


def leftover(previous: View, view: View, matrix: Matrix) -> float:
    """About how far a tenth of two slices still lies apart once a transform has been undone.

    One step of Lucas and Kanade for each cell of a grid in which there is texture; much cheaper
    than a flow, and enough to know whether one is wanted.

    Parameters
    ----------
    previous, view : View
    matrix : (3, 3) float64
        From pixels of the previous slice to those of the other.

    Returns
    -------
    float
        90th percentile, in pixels of the slices; 0 where too little is seen.
    """
    shape = previous.detail.shape[:2]
    scale = view_from_slice(view.size, shape)
    moved = resampled(view.detail, scale @ matrix @ np.linalg.inv(scale))
    mean_image = 0.5 * (previous.detail + moved)
    along_x = cv2.Sobel(mean_image, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    along_y = cv2.Sobel(mean_image, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    difference = previous.detail - moved
    cells = (max(1, shape[1] // _CELL), max(1, shape[0] // _CELL))

    def mean(one: FloatImage, other: FloatImage) -> FloatImage:
        product = cv2.multiply(one, other)
        return np.asarray(cv2.resize(product, cells, interpolation=cv2.INTER_AREA))

    xx, yy, xy = mean(along_x, along_x), mean(along_y, along_y), mean(along_x, along_y)
    xd, yd = mean(along_x, difference), mean(along_y, difference)
    determinant = xx * yy - xy * xy
    energy = cv2.min(mean(previous.detail, previous.detail), mean(moved, moved))
    told = (energy > _TEXTURED) & (determinant > 0.02 * (xx + yy) ** 2)
    if np.count_nonzero(told) < _MIN_CELLS:
        return 0.0
    x = (yy * xd - xy * yd)[told] / determinant[told]
    y = (xx * yd - xy * xd)[told] / determinant[told]
    return float(np.percentile(np.hypot(x / scale[0, 0], y / scale[1, 1]), 90))


def significant_flow(motion: Motion, limit: float) -> Motion:
    """Keep of a flow only what is more than defocus makes of a scene without parallax.

    Parameters
    ----------
    motion : Motion
    limit : float
        Pixels; flow shorter than this goes, longer flow is kept whole, with a smooth passage.

    Returns
    -------
    Motion
        Without flow if none is left.
    """
    flow = motion.flow
    if flow is None:
        return motion
    length = np.sqrt(np.sum(flow * flow, axis=2))
    if float(length.max()) <= limit:
        return Motion(motion.matrix)
    share = np.clip(length / np.float32(limit) - 1.0, 0.0, 1.0)
    return Motion(motion.matrix, flow * share[..., np.newaxis])


def _as_grey(detail: FloatImage) -> ImageArray:
    return np.asarray(
        cv2.convertScaleAbs(
            detail + np.float32(128.0 / _GREY_PER_CONTRAST), alpha=_GREY_PER_CONTRAST
        ),
        dtype=np.uint8,
    )
