"""What each stage of classical depth from focus makes of a stack, for the pictures of the docs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from focdepth_ros.alignment import Aligner, AlignmentRun
from focdepth_ros.backends.base import spec_of
from focdepth_ros.backends.graph_cut import GraphCutAccumulator, GraphCutConfig
from focdepth_ros.classical.confidence import FocusCurves, noise_floor
from focdepth_ros.classical.focus_volume import FocusVolume, FocusVolumeBuilder
from focdepth_ros.classical.guide_image import guide_image
from focdepth_ros.classical.refinement import enlarge
from focdepth_ros.errors import AlignmentError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.registration.motion import Motion
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray, Slice

_SINGULAR = 1e-9  # of a matrix entry, below which it is rounding


@dataclass(frozen=True, eq=False)
class Aligned:
    """A stack on the grid of its first slice.

    Parameters
    ----------
    slices : tuple of Slice
        As aligned, without those left out.
    originals : tuple of Slice
        The same as they came.
    motions : tuple of Motion
        From the grid to each original.
    """

    slices: tuple[Slice, ...]
    originals: tuple[Slice, ...]
    motions: tuple[Motion, ...]

    @property
    def in_view(self) -> FloatImage:
        """Share of the slices in which each pixel is in view, (H, W)."""
        full = np.ones(self.slices[0].size, np.bool_)
        masks = [full if one.valid_mask is None else one.valid_mask for one in self.slices]
        return np.asarray(np.mean(masks, axis=0), np.float32)


def aligned(stack: FocalStack) -> Aligned:
    """Bring a stack onto one grid, as the pipeline does."""
    run: AlignmentRun = Aligner(AlignmentConfig()).start(stack.intrinsics)
    taken = []
    for item in stack.slices:
        try:
            taken.append((run.add(item), item, run.motion_of(item)))
        except AlignmentError as error:
            print(f"left out: {error}")
    slices, originals, motions = zip(*taken, strict=True)
    return Aligned(slices, originals, motions)


@dataclass(frozen=True, eq=False)
class Stages:
    """The answers of one stage after the other, on the working grid.

    Parameters
    ----------
    volume : FocusVolume
    floor : float
        Of the noise.
    sharpest : (H, W) float32
        Positions of the all-in-focus image when it is chosen by sharpness.
    guide : (h, w, 3) uint8
    labels : (h, w) float32
        Of the graph cut.
    curves : FocusCurves
    estimate : DepthEstimate
        On the grid of the images, every pixel answered.
    """

    volume: FocusVolume
    floor: float
    sharpest: FloatImage
    guide: ImageArray
    labels: FloatImage
    curves: FocusCurves
    estimate: DepthEstimate


def stages_of(stack: FocalStack) -> Stages:
    """Take an aligned stack through the backend, and look at what is on the way."""
    config = GraphCutConfig(device="cpu")
    measure = config.focus_measure()

    def measured(item: Slice) -> FloatImage:
        return measure(
            item.image,
            window_sigma=config.window_sigma,
            reduction=config.reduction,
            valid_mask=item.valid_mask,
        )

    builder = FocusVolumeBuilder(spec_of(stack), measured)
    for item in stack.slices:
        builder.add(item)
    accumulator = GraphCutAccumulator(builder, config)
    volume = builder.volume()
    floor = noise_floor(volume.energy)
    sharpest = accumulator._sharpest(volume)
    guide = guide_image(volume.images, sharpest)
    return Stages(
        volume=volume,
        floor=floor,
        sharpest=enlarge(sharpest, volume.size),
        guide=guide,
        labels=accumulator._cut(volume.energy, floor, guide).astype(np.float32),
        curves=accumulator.focus_curves(),
        estimate=accumulator.finish(),
    )


def kind_of(motion: Motion) -> str:
    """What a motion is called: nothing, similarity, affine, homography, or flow."""
    if motion.is_identity():
        return "none"
    if motion.flow is not None:
        return "flow"
    matrix = motion.matrix / motion.matrix[2, 2]
    if np.abs(matrix[2, :2]).max() > _SINGULAR:
        return "homography"
    difference = matrix[0, 0] - matrix[1, 1], matrix[0, 1] + matrix[1, 0]
    return "similarity" if np.abs(difference).max() < _SINGULAR else "affine"
