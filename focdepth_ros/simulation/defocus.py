"""How a scene looks through a thin lens: defocus blur with correct occlusion.

The pixels of a `LayeredView` are sorted into bins of inverse depth, so fine that the blur radius
hardly changes from one to the next. Every bin is blurred by its own point-spread function, and
the bins are put together from near to far: each fills what the nearer ones have left of the
aperture. Colours and weights are blurred alike, so nothing sharp leaks into something blurred
or the reverse, and on continuous surfaces the weights of the bins add up to one without seams.

References
----------
Hasinoff and Kutulakos, "A Layer-Based Restoration Framework for Variable-Aperture
Photography", ICCV 2007, section 4 (layered image formation with occlusion).
Shade, Gortler, He and Szeliski, "Layered Depth Images", SIGGRAPH 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from focdepth_ros.errors import OptionError
from focdepth_ros.optics import circle_of_confusion
from focdepth_ros.simulation.layers import LayeredView
from focdepth_ros.simulation.psf import disc_kernel, gaussian_kernel
from focdepth_ros.stack import FloatImage, Lens

Psf = Literal["disc", "gaussian"]

LARGEST_BLUR = 64.0  # radius in px; beyond it rendering takes minutes
_BIN_STEP = 0.5  # blur radius from bin to bin in px
SEPARATE_BLUR = 1.0  # difference of blur radius in px from which on two layers are two surfaces
_SEPARATE = SEPARATE_BLUR / _BIN_STEP


def blur_radius(lens: Lens, dioptre: float, focus_distance: float) -> float:
    """Radius in pixels of the circle of confusion of a point at an inverse depth."""
    depth = 1.0 / dioptre if dioptre > 0.0 else np.inf
    return 0.5 * float(circle_of_confusion(lens, depth, focus_distance))


def blur_per_dioptre(lens: Lens, focus_distances: tuple[float, ...]) -> float:
    """Blur radius in pixels per dioptre of defocus, at the nearest focus of a sweep."""
    return max(blur_radius(lens, 1.0 / z + 1.0, z) for z in focus_distances)


def largest_blur(
    lens: Lens, dioptres: tuple[float, float], focus_distances: tuple[float, ...]
) -> float:
    """Largest blur radius in pixels over a range of inverse depths and a sweep.

    Raises
    ------
    OptionError
        If it is beyond what can be rendered.
    """
    radius = max(blur_radius(lens, d, z) for d in dioptres for z in focus_distances)
    if radius > LARGEST_BLUR:
        raise OptionError(
            f"blur of {radius:.0f} px radius is beyond the {LARGEST_BLUR:.0f} px that can be "
            "rendered; use a larger f-number, a shorter lens or a smaller range of depth"
        )
    return radius


@dataclass(frozen=True, eq=False)
class _Bin:
    """Pixels of about one inverse depth, cut out of the image.

    Parameters
    ----------
    dioptre : float
    top, left : int
        Where the cut-out lies.
    light : (h, w, 4) float32
        Linear-light colour times weight, and the weight.
    """

    dioptre: float
    top: int
    left: int
    light: FloatImage


class DefocusRenderer:
    """Pictures of one `LayeredView` at any focus distance.

    Parameters
    ----------
    view : LayeredView
        With a margin not below the largest blur radius.
    lens : Lens
    focus_distances : sequence of float
        Those that will be asked for, metres; they settle how fine the bins must be.
    psf : {"disc", "gaussian"}
        Shape of the point-spread function.

    Raises
    ------
    OptionError
        If the blur is larger than can be rendered or the point-spread function unknown.
    CalibrationError
        If a focus distance is not beyond the focal length.
    """

    def __init__(
        self,
        view: LayeredView,
        lens: Lens,
        focus_distances: tuple[float, ...],
        *,
        psf: Psf = "disc",
    ) -> None:
        if psf not in ("disc", "gaussian"):
            raise OptionError(f"point-spread function '{psf}' is not known; use disc or gaussian")
        self._lens = lens
        self._psf: Psf = psf
        self._shape = view.front.shape[:2]
        low, high = float(view.front_dioptre.min()), float(view.front_dioptre.max())
        reach = int(np.ceil(largest_blur(lens, (low, high), focus_distances)))
        radii = (high - low) * blur_per_dioptre(lens, focus_distances)
        count = int(np.ceil(radii / _BIN_STEP)) + 1
        step = (high - low) / (count - 1) if count > 1 else 1.0
        self._bins = _sort_into_bins(view, low, step, count, reach)

    def render(self, focus_distance: float) -> FloatImage:
        """Linear-light picture at a focus distance in metres, (H, W, 3), with the margin."""
        picture = np.zeros((*self._shape, 3), dtype=np.float32)
        free = np.ones(self._shape, dtype=np.float32)  # share of the aperture not yet filled
        for item in self._bins:
            radius = blur_radius(self._lens, item.dioptre, focus_distance)
            light, top, left = self._blurred(item, radius)
            window = (slice(top, top + light.shape[0]), slice(left, left + light.shape[1]))
            weight = light[..., 3]
            filled = np.minimum(weight, free[window])
            scale = filled / np.maximum(weight, np.float32(1e-6))
            picture[window] += light[..., :3] * scale[..., None]
            free[window] -= filled
        picture /= np.maximum(1.0 - free, np.float32(1e-6))[..., None]
        return picture

    def _blurred(self, item: _Bin, radius: float) -> tuple[FloatImage, int, int]:
        """The light of a bin spread out, and where its top left corner lies in the image."""
        kernel = disc_kernel(radius) if self._psf == "disc" else gaussian_kernel(radius)
        reach = kernel.shape[0] // 2
        if reach == 0:
            return item.light, item.top, item.left
        height, width = item.light.shape[:2]
        above, before = min(reach, item.top), min(reach, item.left)
        below = min(reach, self._shape[0] - item.top - height)
        after = min(reach, self._shape[1] - item.left - width)
        light = cv2.copyMakeBorder(
            item.light, above, below, before, after, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0)
        )
        if self._psf == "disc":
            light = cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        else:
            light = cv2.sepFilter2D(light, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(light, dtype=np.float32), item.top - above, item.left - before


def _sort_into_bins(
    view: LayeredView, low: float, step: float, count: int, reach: int
) -> list[_Bin]:
    """Bins from near to far; every pixel is shared between the two bins next to it."""
    front = (view.front_dioptre - np.float32(low)) / np.float32(step)
    back = np.maximum((view.back_dioptre - np.float32(low)) / np.float32(step), np.float32(0.0))
    apart = front - back >= _SEPARATE
    # The back shows only as far beyond an edge of the front as the blur reaches.
    window = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
    near_an_edge = front - cv2.erode(front, window) >= _SEPARATE
    back_weight = (apart & (near_an_edge | (view.coverage < 1.0))).astype(np.float32)
    front_weight = np.where(apart, view.coverage, np.float32(1.0))
    # Two parts of one surface in a pixel, such as both sides of an edge of a box, are one colour.
    mixed = np.where(apart, np.float32(1.0), view.coverage)[..., None]
    front_light = front_weight[..., None] * (mixed * view.front + (1.0 - mixed) * view.back)
    back_light = back_weight[..., None] * view.back

    bins = []
    for k in range(count - 1, -1, -1):
        of_front = np.maximum(1.0 - np.abs(front - np.float32(k)), np.float32(0.0))
        of_back = np.maximum(1.0 - np.abs(back - np.float32(k)), np.float32(0.0))
        weight = of_front * front_weight + of_back * back_weight
        rows = np.flatnonzero(weight.any(axis=1))
        if not rows.size:
            continue
        columns = np.flatnonzero(weight.any(axis=0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        cut = (slice(top, bottom), slice(left, right))
        light = np.empty((bottom - top, right - left, 4), dtype=np.float32)
        np.multiply(front_light[cut], of_front[cut][..., None], out=light[..., :3])
        light[..., :3] += back_light[cut] * of_back[cut][..., None]
        light[..., 3] = weight[cut]
        bins.append(_Bin(low + k * step, int(top), int(left), light))
    return bins
