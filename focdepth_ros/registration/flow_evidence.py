"""Whether a flow explains two slices better than the transform alone, part by part."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.registration.motion import Motion, positions
from focdepth_ros.registration.view import View, clipped
from focdepth_ros.stack import FloatImage

_BLURS = (0.0, 0.8, 1.6, 3.2, 6.4)  # sigmas, pixels of the view, added to either slice
_PART = 17  # side of the neighbourhood that is compared
_MARGIN = 6.0  # pixels of the view around what is clipped; its blur comes on top, twice its sigma
_CLEARLY = 0.7  # share of the difference that may be left
_NOISE = 1.5**2  # grey levels squared; less is no difference
_SPREAD = 12.0  # sigma over which parts decide for those that cannot tell
_PRIOR = 0.05  # weight of no flow against what the parts around say


def supported_flow(anchor: View, view: View, motion: Motion) -> Motion:
    """Keep a flow where it explains the images clearly better than the transform alone.

    Of the two slices the sharper one is blurred until they differ least, part by part and for
    each of both explanations, so that defocus does not speak for either. Near clipped pixels, as
    far as their light spreads, nothing can be told.

    Parameters
    ----------
    anchor, view : View
    motion : Motion
        From pixels of the slice `anchor` shows to those of the other.

    Returns
    -------
    Motion
        Without flow if none is left.
    """
    flow = motion.flow
    if flow is None:
        return motion
    first = anchor.grey.astype(np.float32)
    exposed, second = _seen_under(view, Motion(motion.matrix), anchor)
    _, followed = _seen_under(view, motion, anchor)
    plain, blur = _least_difference(first, second)
    explained, _ = _least_difference(first, followed)
    margin = _MARGIN + 2.0 * float(np.percentile(blur, 90))
    white = clipped(anchor.grey) | ~exposed
    tells = cv2.distanceTransform((~white).astype(np.uint8), cv2.DIST_L2, 3) > margin
    better = tells & (explained + _NOISE < _CLEARLY * plain)
    worse = tells & ~better & (plain > _NOISE)
    for_flow, against = (
        cv2.GaussianBlur(part.astype(np.float32), (0, 0), _SPREAD) for part in (better, worse)
    )
    share = for_flow / (for_flow + against + np.float32(_PRIOR))
    share = np.clip(2.0 * share - 0.5, 0.0, 1.0)
    share = cv2.resize(share, flow.shape[1::-1], interpolation=cv2.INTER_AREA)
    kept = flow * share[..., np.newaxis]
    return Motion(motion.matrix, kept) if share.max() > 0.0 else Motion(motion.matrix)


def _seen_under(view: View, motion: Motion, anchor: View) -> tuple[NDArray[np.bool_], FloatImage]:
    """Where a slice shows what can be compared, and its grey levels, on the grid of `anchor`."""
    shape = anchor.grey.shape[:2]
    scale = np.array([view.grey.shape[1] / view.size[1], view.grey.shape[0] / view.size[0]])
    places = ((positions(motion, view.size, shape) + 0.5) * scale - 0.5).astype(np.float32)
    x, y = places[..., 0], places[..., 1]
    usable = (~clipped(view.grey)).astype(np.uint8)
    exposed = np.asarray(cv2.remap(usable, x, y, cv2.INTER_NEAREST)) > 0
    moved = cv2.remap(view.grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return exposed, np.asarray(moved, dtype=np.float32)


def _least_difference(first: FloatImage, second: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Variance of the difference of two images around each pixel, and the blur that makes it so."""
    least = np.full(first.shape, np.inf, dtype=np.float32)
    blur = np.zeros(first.shape, dtype=np.float32)
    for sigma, one, other in _blurred_to_match(first, second):
        difference = np.asarray(cv2.subtract(one, other), dtype=np.float32)
        mean = _around(difference)
        variance = _around(difference * difference) - mean * mean
        less = variance < least
        least[less], blur[less] = variance[less], sigma
    return least, blur


def _blurred_to_match(
    first: FloatImage, second: FloatImage
) -> Iterator[tuple[float, FloatImage, FloatImage]]:
    """The two images, one of them blurred, and by what sigma."""
    yield 0.0, first, second
    softer, softer_second, before = first, second, 0.0
    for sigma in _BLURS[1:]:
        step = (sigma * sigma - before * before) ** 0.5
        softer, softer_second = (
            np.asarray(cv2.GaussianBlur(image, (0, 0), step), dtype=np.float32)
            for image in (softer, softer_second)
        )
        before = sigma
        yield sigma, softer, second
        yield sigma, first, softer_second


def _around(values: FloatImage) -> FloatImage:
    return np.asarray(cv2.blur(values, (_PART, _PART)), dtype=np.float32)
