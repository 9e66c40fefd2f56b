"""Datasets of photographs with depth, which a simulated lens makes into focal stacks."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.errors import DatasetError, OptionError
from focdepth_ros.optics import sweep_distances
from focdepth_ros.simulation import render_rgbd
from focdepth_ros.simulation.defocus import LARGEST_BLUR, blur_radius
from focdepth_ros.stack import CameraIntrinsics, FloatImage, ImageArray, Lens


@dataclass(frozen=True, eq=False)
class Photograph:
    """A sharp picture with the depth of its pixels.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    depth : (H, W) float32
        Metres, NaN where not known. Where the true one is known but for a scale and a shift of its
        inverse, or not at all, one that is plausible: the focal stack is made from it.
    focal_px : float
        Focal length in pixels.
    principal_point : (float, float), optional
        In pixels; the middle of the picture by default.
    labels : (H, W) int32, optional
    focal_px_down : float, optional
        Focal length along the columns, where it is another one.

    Raises
    ------
    DatasetError
        If picture, depth and labels are of different sizes.
    """

    image: ImageArray
    depth: FloatImage
    focal_px: float
    principal_point: tuple[float, float] | None = None
    labels: NDArray[np.int32] | None = None
    focal_px_down: float | None = None

    def __post_init__(self) -> None:
        for what, values in (("depth", self.depth), ("labels", self.labels)):
            if values is not None and values.shape != self.image.shape[:2]:
                raise DatasetError(
                    f"{what} is of shape {values.shape}, the picture of {self.image.shape[:2]}; "
                    "they must be of one size"
                )

    def intrinsics(self) -> CameraIntrinsics:
        """Of the camera, looking straight on."""
        height, width = self.depth.shape
        cx, cy = self.principal_point or ((width - 1) / 2, (height - 1) / 2)
        fy = self.focal_px if self.focal_px_down is None else self.focal_px_down
        return CameraIntrinsics(width, height, self.focal_px, fy, cx, cy)


@dataclass(frozen=True)
class Sweep:
    """Lens and focus distances [m] of a sweep."""

    lens: Lens
    focus_distances: tuple[float, ...]


@dataclass(frozen=True)
class FixedSweep:
    """The same lens and focus distances for every scene, as an author settled them.

    Parameters
    ----------
    focal_length : float
        Metres.
    f_number : float
    focus_distances : tuple of float
        Metres.
    pixel_pitch : float, optional
        Metres; otherwise that which the focal length in pixels tells.
    """

    focal_length: float
    f_number: float
    focus_distances: tuple[float, ...]
    pixel_pitch: float | None = None

    def of(self, photograph: Photograph) -> Sweep:
        """The sweep of a photograph."""
        pitch = self.pixel_pitch or self.focal_length / photograph.focal_px
        return Sweep(Lens(self.focal_length, self.f_number, pitch), self.focus_distances)


@dataclass(frozen=True)
class FittedSweep:
    """Focus distances over the depths of a scene, with a lens that blurs so much.

    Parameters
    ----------
    slices : int
        Evenly spaced in dioptres.
    blur_diameter : float
        Pixels, of the near end in the slice that is focused at the far end.
    outliers : float
        Per cent of the depths at either end that the sweep need not reach.
    wider : float
        By which it goes beyond the rest at either end, as a share of its range in dioptres.
    """

    slices: int = 10
    blur_diameter: float = 24.0
    outliers: float = 0.5
    wider: float = 0.05

    def of(self, photograph: Photograph) -> Sweep:
        """The sweep of a photograph.

        Raises
        ------
        DatasetError
            If all of it is at one depth, or none is known.
        """
        dioptre = 1.0 / photograph.depth[photograph.depth > 0.0].astype(np.float64)
        if not dioptre.size:
            raise DatasetError("the depth is known of no pixel; leave the scene out")
        low, high = np.percentile(dioptre, (self.outliers, 100.0 - self.outliers))
        if not high > low:
            raise DatasetError(f"all of it is at {1.0 / low:.4g} m; a sweep needs some range")
        wider = self.wider * (high - low)
        low, high = max(low - wider, 0.0), high + wider
        pitch = _FOCAL_LENGTH / photograph.focal_px
        f_number = _FOCAL_LENGTH**2 * (high - low) / (pitch * self.blur_diameter)
        far = float(1.0 / low) if low > 0.0 else float("inf")
        distances = sweep_distances(float(1.0 / high), far, self.slices).tolist()
        lens = Lens(_FOCAL_LENGTH, f_number, pitch)
        # What lies beyond the sweep must not blur by more than can be rendered.
        ends = float(dioptre.min()), float(dioptre.max())
        most = max(blur_radius(lens, end, at) for end in ends for at in distances)
        lens = replace(lens, f_number=f_number * max(1.0, most / (_MOST_BLUR * LARGEST_BLUR)))
        return Sweep(lens, tuple(distances))


_MOST_BLUR = 0.99  # of what can be rendered
_FOCAL_LENGTH = 0.05  # m; with the focal length in pixels it gives the pixel pitch


class RgbdDataset(Dataset):
    """Photographs with depth. What its subclasses tell of a scene becomes a focal stack.

    The noise of a scene depends on its name alone, so that everybody gets the same stacks.
    """

    sweep: ClassVar[FixedSweep | FittedSweep] = FittedSweep()

    @abstractmethod
    def photograph(self, scene: str) -> Photograph:
        """The picture and the depth of a scene."""

    @abstractmethod
    def _find_scenes(self) -> Sequence[str]: ...

    def _load(self, scene: str) -> LabelledStack:
        try:
            photograph = self.photograph(scene)
            sweep = self.sweep.of(photograph)
            rendered = render_rgbd(
                photograph.image,
                photograph.depth,
                photograph.intrinsics(),
                sweep.lens,
                sweep.focus_distances,
                seed=zlib.crc32(scene.encode()),
            )
        except (DatasetError, OptionError) as error:
            if str(error).startswith(str(self.root)):
                raise
            raise DatasetError(f"{self.root}: scene '{scene}': {error}") from error
        return LabelledStack(
            name=scene,
            stack=rendered.stack,
            depth=rendered.depth,
            all_in_focus=rendered.all_in_focus,
            labels=photograph.labels,
        )


class RgbdVideo(RgbdDataset):
    """Videos, whose neighbouring frames show nearly the same.

    Parameters
    ----------
    root, split
        As for `Dataset`.
    every : int
        Take one of so many frames of each video.

    Raises
    ------
    DatasetError
        As `Dataset` does, or if `every` is not 1 or more.
    """

    def __init__(self, root: Path | str, split: str | None = None, *, every: int = 1) -> None:
        if every < 1:
            raise DatasetError(f"every is {every}; it must be 1 or more frames")
        self._every = every
        super().__init__(root, split)
