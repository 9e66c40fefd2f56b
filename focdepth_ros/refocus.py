"""Synthetic refocusing: a sharp picture and its depth, photographed anew at any focus distance.

The all-in-focus image and the depth go through the renderer that makes the simulated stacks, so
that a sharp edge does not bleed into what is blurred behind it. Where no depth is known, it is
guessed from what is around; the picture is for people, and nothing is measured in it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.classical.hole_filling import fill_holes
from focdepth_ros.colour import srgb_from_linear
from focdepth_ros.errors import StackError
from focdepth_ros.estimate import DepthEstimate, depth_from_slice_index
from focdepth_ros.optics import circle_of_confusion
from focdepth_ros.simulation.defocus import SEPARATE_BLUR, DefocusRenderer, blur_per_dioptre
from focdepth_ros.simulation.layers import crop
from focdepth_ros.simulation.rgbd import layered_view_from_rgbd
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray, Lens

#: Largest blur radius as a share of the width. More takes long to render, and shows no more.
LARGEST_BLUR_SHARE = 0.02
# Of the lens that is assumed where none is known: blur as of a fast lens near by.
_ASSUMED_BLUR_SHARE = 0.012
# Dioptres of the first and the last slice that are assumed of a relative stack.
_ASSUMED_DIOPTRES = 2.0, 1.0


class Refocuser:
    """Pictures of a scene as one lens takes them, focused anywhere in its stack.

    Parameters
    ----------
    estimate : DepthEstimate
        With an all-in-focus image, and a depth of at least one pixel.
    stack : FocalStack
        From which the estimate was made. Its lens blurs, if it has one; else one is assumed, and
        for a relative stack also that its slices are evenly spaced in dioptres. A lens that would
        blur by more than `LARGEST_BLUR_SHARE` is stopped down to that.

    Raises
    ------
    StackError
        If the estimate has no picture or no depth.
    CalibrationError
        If a focus distance is not beyond the focal length of the lens.
    """

    def __init__(self, estimate: DepthEstimate, stack: FocalStack) -> None:
        image = estimate.all_in_focus
        known = ~np.isnan(estimate.depth)
        if image is None or not known.any():
            missing = "all-in-focus image" if image is None else "pixel with a depth"
            raise StackError(f"nothing to refocus: the answer has no {missing}")
        self._dioptres = (
            stack.dioptres if stack.is_metric else np.linspace(*_ASSUMED_DIOPTRES, len(stack))
        )
        index = fill_holes(estimate.slice_index, known, image)
        distances = tuple(self.distance(float(i)) for i in range(len(stack)))
        self.lens = refocusing_lens(stack.lens, self._dioptres, image.shape[1])
        self._margin = 2 + int(np.ceil(_blur_radius(self.lens, self._dioptres)))
        view = layered_view_from_rgbd(
            image,
            depth_from_slice_index(index, self._dioptres),
            margin=self._margin,
            reach=self._margin,
            gap=SEPARATE_BLUR / blur_per_dioptre(self.lens, distances),
        )
        self._renderer = DefocusRenderer(view, self.lens, distances)

    def distance(self, position: float) -> float:
        """Focus distance in metres at a position in the stack, which may lie between two slices.

        For a relative stack it is the assumed one, of no meaning outside.
        """
        places = np.arange(len(self._dioptres))
        dioptre = float(np.interp(position, places, self._dioptres))
        return 1.0 / dioptre if dioptre > 0.0 else float("inf")

    def picture(self, position: float) -> ImageArray:
        """The scene focused at a position in the stack, 0 for the nearest slice.

        Returns
        -------
        (H, W, 3) uint8 RGB
        """
        light: FloatImage = self._renderer.render(self.distance(position))
        return srgb_from_linear(crop(light, self._margin))


def refocusing_lens(lens: Lens | None, dioptres: NDArray[np.float64], width: int) -> Lens:
    """The lens to refocus with.

    Parameters
    ----------
    lens : Lens or None
        That of the camera, if it is known.
    dioptres : (N,) float64
        Of the slices in 1/m, falling.
    width : int
        Of the image in pixels.

    Returns
    -------
    Lens
        The same, or with a larger f-number where it would blur too much; or an assumed one.

    Raises
    ------
    CalibrationError
        If a focus distance is not beyond the focal length of the lens.
    """
    share = LARGEST_BLUR_SHARE
    if lens is None:
        focal_length = 0.01 / float(dioptres[0])
        lens = Lens(focal_length, f_number=1.0, pixel_pitch=focal_length / width)
        share = _ASSUMED_BLUR_SHARE
        return replace(lens, f_number=_blur_radius(lens, dioptres) / (share * width))
    too_large = _blur_radius(lens, dioptres) / (share * width)
    return replace(lens, f_number=lens.f_number * max(too_large, 1.0))


def _blur_radius(lens: Lens, dioptres: NDArray[np.float64]) -> float:
    """Radius in pixels at one end of a stack that is focused at the other, the larger of both."""
    with np.errstate(divide="ignore"):
        near, far = 1.0 / dioptres[[0, -1]]
    ends = ((near, far), (far, near))
    return max(0.5 * float(circle_of_confusion(lens, depth, focus)) for depth, focus in ends)
