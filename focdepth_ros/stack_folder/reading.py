"""Focal stacks on disk: a folder of images and, where more is known, a ``stack.yaml``.

All keys of ``stack.yaml`` are optional::

    focus_distances: [0.35, 0.5, 0.9, .inf]   # metres, one per image; without: a relative stack
    lens_positions: [180, 120, 60, 0]         # in the unit of the camera's driver, one per image
    images: [a.png, b.png, c.png, d.png]      # without: the largest numbered series
    target_distance: 0.5                      # metres to a flat target, for calibration
    reference: 0                              # index into the images as listed
    depth: depth.npy                          # ground truth: .npy in metres, or 16-bit .png in mm
    all_in_focus: all_in_focus.png            # the true picture that is sharp everywhere
    lens: {focal_length: 0.00681, f_number: 1.85, pixel_pitch: 2.4e-06}   # metres
    intrinsics: {width: 640, height: 480, fx: 525.0, fy: 525.0, cx: 319.5, cy: 239.5,
                 distortion_model: plumb_bob, distortion: [0, 0, 0, 0, 0]}   # pixels
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from focdepth_ros.errors import OptionError, StackError, StackFileError
from focdepth_ros.files.image_io import read_depth, read_image
from focdepth_ros.geometry import scaled_intrinsics
from focdepth_ros.stack import (
    CameraIntrinsics,
    FloatImage,
    FocalStack,
    Lens,
    Slice,
)
from focdepth_ros.stack_folder.description import (
    STACK_YAML,
    TRUTHS,
    check_focus_distances,
    read_description,
)
from focdepth_ros.stack_folder.images import images_in_turn, limited_size
from focdepth_ros.stack_folder.slice_files import (
    check_given_slices,
    check_listed_slices,
    choose_slices,
    list_folder,
)

#: Called with the number of images read so far and the number of all.
Progress = Callable[[int, int], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StackFolder:
    """A focal stack folder whose description was read and checked, and no image yet.

    Parameters
    ----------
    path : Path
        The folder.
    images : tuple of Path
        The slices, in the order of the description or else sorted by the numbers in their names.
    focus_distances : tuple of float or None
        Metres, one per image; None for a relative stack.
    lens_positions : tuple of float or None
        In the unit of the camera's driver, one per image.
    lens, intrinsics
        Of the camera, where known.
    depth, all_in_focus : Path or None
        The ground truth, and the true picture that is sharp everywhere.
    target_distance : float or None
        Metres to the flat target that the images show, for calibration.
    reference : int
        Index into `images` of the reference slice.
    left_out : tuple of str
        Names of the other pictures in the folder, which are taken for no slices.
    """

    path: Path
    images: tuple[Path, ...]
    focus_distances: tuple[float, ...] | None = None
    lens_positions: tuple[float, ...] | None = None
    lens: Lens | None = None
    intrinsics: CameraIntrinsics | None = None
    depth: Path | None = None
    all_in_focus: Path | None = None
    target_distance: float | None = None
    reference: int = 0
    left_out: tuple[str, ...] = ()

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, focus_distances: Sequence[float] | None = None
    ) -> StackFolder:
        """Look at a folder: its ``stack.yaml``, and which of its images are the slices.

        Parameters
        ----------
        path : path-like
        focus_distances : sequence of float, optional
            Metres, one per image; used instead of those in ``stack.yaml``.

        Raises
        ------
        StackFileError
            If the folder is no focal stack; the message names the file and the remedy.
        """
        folder = Path(path)
        names = list_folder(folder)
        description_path = folder / STACK_YAML
        description = read_description(description_path)
        named = ((key, getattr(description, key)) for key in TRUTHS)
        truths = {key: folder / name for key, name in named if name is not None}
        for key, truth in truths.items():
            if not truth.is_file():
                raise StackFileError(
                    f"{truth}: no such file, but {STACK_YAML} names it as {key}; "
                    "add the file or remove the key"
                )
        if description.images is None:
            candidates = [name for name in names if folder / name not in truths.values()]
            chosen, left_out = choose_slices(candidates, folder)
        else:
            chosen, left_out = description.images, ()
            check_listed_slices(folder, chosen, truths)
        images = tuple(folder / name for name in chosen)
        if not 0 <= description.reference < len(images):
            raise StackFileError(
                f"{description_path}: reference {description.reference} is not in "
                f"0..{len(images) - 1}; give the index of an image"
            )
        distances, source = description.focus_distances, str(description_path)
        if focus_distances is not None:
            distances, source = tuple(focus_distances), str(folder)
        if distances is not None:
            distances = check_focus_distances(distances, images, source)
        lens_positions = description.lens_positions
        if lens_positions is not None and len(lens_positions) != len(images):
            raise StackFileError(
                f"{description_path}: {len(lens_positions)} lens positions for {len(images)} "
                f"images ({images[0].name} … {images[-1].name}); give one per image in that order"
            )
        return cls(
            path=folder,
            images=images,
            focus_distances=distances,
            lens_positions=lens_positions,
            lens=description.lens,
            intrinsics=description.intrinsics,
            depth=truths.get("depth"),
            all_in_focus=truths.get("all_in_focus"),
            target_distance=description.target_distance,
            reference=description.reference,
            left_out=left_out,
        )

    @classmethod
    def of_images(
        cls,
        images: Sequence[str | os.PathLike[str]],
        *,
        focus_distances: Sequence[float] | None = None,
    ) -> StackFolder:
        """A focal stack of image files that are named one by one, in that order.

        Parameters
        ----------
        images : sequence of path-like
            At least 2, wherever they lie. `path` is the folder of the first.
        focus_distances : sequence of float, optional
            Metres, one per image.

        Raises
        ------
        StackFileError
            If there are fewer than 2, one is no file or given twice, or the distances do not fit.
        """
        paths = tuple(Path(image) for image in images)
        check_given_slices(paths)
        distances = focus_distances
        if distances is not None:
            distances = check_focus_distances(distances, paths, "the images given")
        return cls(path=paths[0].parent, images=paths, focus_distances=distances)

    def reversed(self) -> StackFolder:
        """The same folder with its slices in the opposite order, for one that goes far to near.

        The reference stays the same image, but for the default one, which is the first.
        """
        distances, positions = self.focus_distances, self.lens_positions
        return replace(
            self,
            images=self.images[::-1],
            focus_distances=None if distances is None else distances[::-1],
            lens_positions=None if positions is None else positions[::-1],
            reference=len(self.images) - 1 - self.reference if self.reference else 0,
        )

    def near_to_far(self) -> StackFolder:
        """The same folder with its slices in the order of their focus distances, if it has them.

        It is the order in which a `FocalStack` has them.
        """
        distances, positions = self.focus_distances, self.lens_positions
        if distances is None:
            return self
        order = sorted(range(len(distances)), key=distances.__getitem__)
        return replace(
            self,
            images=tuple(self.images[i] for i in order),
            focus_distances=tuple(distances[i] for i in order),
            lens_positions=None if positions is None else tuple(positions[i] for i in order),
            reference=order.index(self.reference),
        )

    def load(self, *, max_size: int | None = None, progress: Progress | None = None) -> FocalStack:
        """Read the images.

        Parameters
        ----------
        max_size : int, optional
            Longest side in pixels; larger images are scaled down, and with them the
            intrinsics and the pixel pitch of the lens.
        progress : callable, optional
            Called with the number of images read and of all after each.

        Raises
        ------
        StackFileError
            If an image cannot be read, or the images do not form a stack.
        OptionError
            If `max_size` is below 1.
        """
        if max_size is not None and max_size < 1:
            raise OptionError(f"max_size {max_size} px is not positive; give pixels")
        slices: list[Slice] = []
        full_size = (0, 0)
        for item, size in self._slices(max_size):
            slices.append(item)
            full_size = size
            if progress is not None:
                progress(len(slices), len(self.images))
        self._check_intrinsics(full_size)
        lens, intrinsics = self.lens, self.intrinsics
        height, width = slices[0].size
        if (height, width) != full_size:
            if intrinsics is not None:
                intrinsics = scaled_intrinsics(intrinsics, width, height)
            if lens is not None:
                lens = replace(lens, pixel_pitch=lens.pixel_pitch * full_size[1] / width)
        try:
            return FocalStack(slices, intrinsics, lens, self.reference)
        except StackError as error:
            raise StackFileError(f"{self.path}: {error}") from error

    def slices(self) -> Iterator[Slice]:
        """Read the slices one after the other, in the order of `images`, and keep none.

        Raises
        ------
        StackFileError
            If an image cannot be read, is of another size or kind than the first, or the
            intrinsics are for another size.
        """
        for item, full_size in self._slices(None):
            self._check_intrinsics(full_size)
            yield item

    def ground_truth(self, *, max_size: int | None = None) -> FloatImage | None:
        """Read the ground truth on the pixel grid that `load` gives with the same `max_size`.

        Returns
        -------
        (H, W) float32 or None
            Metres, NaN where not known; None if the folder has none.

        Raises
        ------
        StackFileError
            If it cannot be read, is of another kind, or of another size than the images.
        """
        if self.depth is None:
            return None
        depth = read_depth(self.depth)
        size = read_image(self.images[0]).shape[:2]
        if depth.shape != size:
            raise StackFileError(
                f"{self.depth}: {depth.shape[1]}x{depth.shape[0]} px, but {self.images[0].name} "
                f"is {size[1]}x{size[0]} px; the ground truth must have the size of the images"
            )
        width, height = limited_size(depth.shape, max_size)
        # Means of depths across an edge would be depths that exist nowhere.
        scaled: FloatImage = np.asarray(
            cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.float32
        )
        return scaled

    def _slices(self, max_size: int | None) -> Iterator[tuple[Slice, tuple[int, int]]]:
        """The slices as they are read, and the size of each before it was scaled down."""
        nothing = [None] * len(self.images)
        distances: Sequence[float | None] = self.focus_distances or nothing
        positions: Sequence[float | None] = self.lens_positions or nothing
        images = images_in_turn(self.images, max_size)
        for (image, full_size), distance, position in zip(
            images, distances, positions, strict=True
        ):
            yield Slice(image, distance, lens_position=position), full_size

    def _check_intrinsics(self, size: tuple[int, int]) -> None:
        camera = self.intrinsics
        if camera is not None and (camera.height, camera.width) != size:
            raise StackFileError(
                f"{self.path / STACK_YAML}: intrinsics are for {camera.width}x{camera.height} px, "
                f"{self.images[0].name} is {size[1]}x{size[0]}; calibrate at the size in use"
            )


def load_stack(
    folder: str | os.PathLike[str],
    *,
    focus_distances: Sequence[float] | None = None,
    max_size: int | None = None,
    progress: Progress | None = None,
) -> FocalStack:
    """Read a focal stack folder; see the module's description for its format.

    Without focus distances the stack is relative and keeps the order of its files. Pictures
    in the folder that are taken for no slices are logged; `StackFolder` lists them.

    Parameters
    ----------
    folder : path-like
    focus_distances : sequence of float, optional
        Metres, one per image; used instead of those in ``stack.yaml``. +inf is allowed.
    max_size : int, optional
        Longest side in pixels; larger images are scaled down.
    progress : callable, optional
        Called with the number of images read and of all after each.

    Raises
    ------
    StackFileError
        If the folder or one of its files cannot be used; the message names it and the remedy.
    """
    stack_folder = StackFolder.open(folder, focus_distances=focus_distances)
    if stack_folder.left_out:
        _log.warning(
            "%s: left out %s; list the slices under images in %s to choose others",
            stack_folder.path,
            ", ".join(stack_folder.left_out),
            STACK_YAML,
        )
    return stack_folder.load(max_size=max_size, progress=progress)


def load_ground_truth(
    folder: str | os.PathLike[str], *, max_size: int | None = None
) -> FloatImage | None:
    """Read the ground truth depth of a focal stack folder.

    Parameters
    ----------
    folder : path-like
    max_size : int, optional
        As given to `load_stack`.

    Returns
    -------
    (H, W) float32 or None
        Metres, NaN where not known; None if the folder has none.

    Raises
    ------
    StackFileError
        If the folder or the file cannot be used; the message names it and the remedy.
    """
    return StackFolder.open(folder).ground_truth(max_size=max_size)
