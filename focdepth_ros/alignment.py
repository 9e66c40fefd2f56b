"""Alignment of a focus sweep: every slice on the pixel grid of the first, one after the other.

Neighbours in the sweep are registered, since slices far apart are focused too differently, and
their transforms are put together; each image is resampled once.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np

from focdepth_ros.errors import AlignmentError, StackError, os_error_text
from focdepth_ros.registration.agreement import agreement
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.registration.ecc import EccModel
from focdepth_ros.registration.exposure import exposure_gains, with_gains
from focdepth_ros.registration.flow import leftover, significant_flow
from focdepth_ros.registration.flow_evidence import supported_flow
from focdepth_ros.registration.flow_files import flow_files, read_flow
from focdepth_ros.registration.motion import (
    Matrix,
    Motion,
    composed,
    implausible_because,
    rms_displacement,
)
from focdepth_ros.registration.neighbours import Neighbours
from focdepth_ros.registration.pictures import make_pictures_folder, write_overlay
from focdepth_ros.registration.scale import magnification, magnification_table, scaling
from focdepth_ros.registration.view import (
    MIN_SIDE,
    USUAL_PIXELS,
    View,
    check_exposed,
    glance,
    view_of,
)
from focdepth_ros.registration.warp import warp_slice
from focdepth_ros.stack import CameraIntrinsics, Slice

# What defocus and noise alone make of a still camera, as measured on simulated sweeps, in pixels
# of a view of the usual size. Less is no reason to resample.
_STILL = 0.25
_FLAT = 0.4  # of flow that explains the images better than the transform
_PARALLAX, _PARALLAX_SHARE = 0.5, 15.0  # so much, in so many percent of the image, is clear
_LEFTOVER = 0.5  # between two slices: reason to look for parallax

_UNMOVED = 0.05  # px of the image
_MIN_IN_VIEW = 0.05  # share of the image that an aligned slice must show
_KEYFRAMES = 4  # slices from one look for parallax to the next, at most


class Aligner:
    """Aligns sweeps; what overlapping sweeps share is registered once.

    Parameters
    ----------
    config : AlignmentConfig, optional

    Raises
    ------
    OptionError
        If the flow fields that are asked for do not exist, the lens map has no magnifications,
        or pictures cannot be written.
    CalibrationError
        If the lens map is none.
    """

    def __init__(self, config: AlignmentConfig | None = None) -> None:
        self.config = config or AlignmentConfig()
        self._magnifications = self.config.magnifications
        if self.config.method == "scale" and self.config.lens_map:
            self._magnifications = magnification_table(self.config.lens_map)
        self._neighbours = Neighbours()
        self._flow_files: tuple[Path, ...] = ()
        if self.config.method == "external":
            self._flow_files = flow_files(self.config.flow_path)
        if self.config.pictures_dir:
            make_pictures_folder(Path(self.config.pictures_dir))

    def start(self, intrinsics: CameraIntrinsics | None = None) -> AlignmentRun:
        """Begin a sweep; `intrinsics` tell about which point the image scales."""
        return AlignmentRun(
            self.config, self._neighbours, self._flow_files, self._magnifications, intrinsics
        )


class AlignmentRun:
    """One sweep on its way through alignment: `add` per slice."""

    def __init__(
        self,
        config: AlignmentConfig,
        neighbours: Neighbours,
        files: tuple[Path, ...],
        magnifications: tuple[tuple[float, float], ...],
        intrinsics: CameraIntrinsics | None,
    ) -> None:
        self._config = config
        self._neighbours = neighbours
        self._flow_files = files
        self._magnifications = magnifications
        self._intrinsics = intrinsics
        #: The slice on whose pixel grid all others are brought. It can still change while no
        #: other has been: then the first slice was one that matched nothing.
        self.anchor: Slice | None = None
        self._rival: Slice | None = None  # did not match the anchor
        self._given: list[ReferenceType[Slice]] = []
        self._applied: WeakKeyDictionary[Slice, Motion] = WeakKeyDictionary()
        # From the anchor to the slice taken last, and to the last one looked at for parallax.
        self._last: tuple[Slice, Matrix] | None = None
        self._keyframe: tuple[Slice, Motion] | None = None
        self._last_seen: View | None = None  # of a slice aligned by what was given
        self._count = 0
        self._is_dense = config.method == "flow"
        self._no_picture = ""
        self._before_last: dict[str, Any] = self._state()

    def add(self, item: Slice, *, replaces_last: bool = False) -> Slice:
        """Bring a slice onto the grid of the anchor.

        Parameters
        ----------
        item : Slice
        replaces_last : bool
            Whether the slice taken before goes: all is then as if it had never been there.

        Returns
        -------
        Slice
            `item` itself where nothing is to be done to it.

        Raises
        ------
        AlignmentError
            If the image is blank, or cannot be brought onto the grid; the sweep goes on without.
        """
        self._given.append(ref(item))
        now = self._state()
        if replaces_last:
            vars(self).update(self._before_last)
        before = self._state()
        try:
            aligned = self._aligned(item)
        except AlignmentError:
            if replaces_last:  # the slice that it was to replace stays
                vars(self).update(now)
                self._before_last = before
            raise
        self._before_last = before
        return aligned

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was not as it should be, though no slice was left out for it."""
        surplus = len(self._flow_files) - len(self._given) + 1
        found = [self._no_picture] if self._no_picture else []
        if surplus > 0:
            found.append(
                f"flow_path {self._config.flow_path} holds {len(self._flow_files)} flow fields for "
                f"{len(self._given)} slices; there is to be one for each but the first"
            )
        return tuple(found)

    def motion_of(self, item: Slice) -> Motion:
        """From the grid of the anchor to a slice that was taken, as it was applied."""
        return self._applied[item]

    def nearest_taken(self, item: Slice) -> Slice:
        """The slice itself if it was taken, or else the one taken that came nearest to it.

        Raises
        ------
        StackError
            If the slice was never added, or none was taken.
        """
        given = [one() for one in self._given]
        taken = [i for i, one in enumerate(given) if one is not None and one in self._applied]
        places = [i for i, one in enumerate(given) if one is item]
        if not taken or not places:
            raise StackError("the reference is none of the slices of this sweep; give one of them")
        found = given[min(taken, key=lambda i: abs(i - places[-1]))]
        assert found is not None
        return found

    def _aligned(self, item: Slice) -> Slice:
        if self._config.method == "none":
            first = None if self.anchor is None else glance(self.anchor.image)
            check_exposed(glance(item.image), first)
        if self._config.method == "none" or min(item.size) < MIN_SIDE:
            return self._take(item, Motion())
        view = self._neighbours.view(item)
        check_exposed(view.grey)
        aligned, motion = warp_slice(item, self._motion_to(item))
        if self._config.method in ("scale", "external"):
            self._check_given(aligned)
        self._take(item, motion)
        if self.anchor is None or self.anchor is item:
            return aligned
        if self._config.match_exposure:
            gains = exposure_gains(self._neighbours.view(self.anchor), view, motion.matrix)
            if np.any(gains != 1.0):
                image = with_gains(aligned.image, gains)
                aligned = replace(aligned, image=image, gain=item.gain * float(gains.max()))
        if self._config.pictures_dir:
            self._write_picture(self.anchor, item, aligned)
        return aligned

    def _check_given(self, aligned: Slice) -> None:
        """Refuse a slice that a transform from outside has not brought onto the one before."""
        in_view = 1.0 if aligned.valid_mask is None else float(aligned.valid_mask.mean())
        if in_view < _MIN_IN_VIEW:
            raise AlignmentError(
                f"alignment by {self._config.method} leaves {100 * in_view:.0f} % of the image in "
                "view; check what it is given"
            )
        seen = view_of(aligned.image)
        if self._last_seen is not None:
            likeness = agreement(self._last_seen, seen, np.eye(3))
            if likeness.can_tell and not likeness.is_good:
                raise AlignmentError(
                    f"after alignment by {self._config.method} only {100 * likeness.matching:.0f} "
                    "% of what can be seen matches the slice before; check what it is given"
                )
        self._last_seen = seen

    def _write_picture(self, anchor: Slice, item: Slice, aligned: Slice) -> None:
        folder = Path(self._config.pictures_dir)
        try:
            write_overlay(folder, len(self._given), anchor, item, aligned)
        except OSError as error:  # the depth is worth more than its pictures
            self._no_picture = f"no pictures of the alignment in {folder}: {os_error_text(error)}"

    def _state(self) -> dict[str, Any]:
        """What is known of the motion so far; `add` changes it."""
        return {
            "anchor": self.anchor,
            "_rival": self._rival,
            "_applied": WeakKeyDictionary(self._applied),
            "_last": self._last,
            "_keyframe": self._keyframe,
            "_last_seen": self._last_seen,
            "_count": self._count,
            "_is_dense": self._is_dense,
        }

    def _take(self, item: Slice, motion: Motion) -> Slice:
        if self._count == 0:
            self.anchor = item
            self._last, self._keyframe = (item, motion.matrix), (item, motion)
        self._count += 1
        self._applied[item] = motion
        return item

    def _motion_to(self, item: Slice) -> Motion:
        """From the anchor to a slice, identity where that is as good."""
        is_given = self._config.method in ("scale", "external")
        if is_given and self.anchor is not None:
            self._check_against_first(item)
        if self._config.method == "external":
            return self._external_flow(item)
        if self.anchor is None:
            return Motion()
        if is_given:
            return self._unless_unmoved(Motion(self._breathing_to(item)), item)
        try:
            return self._registered(item)
        except AlignmentError:
            if self._count > 1 or self._rival is None or not self._matches(self._rival, item):
                self._rival = item
                raise
        # It is the first slice that matches nothing: the sweep begins with the second.
        self._count = 0
        self._applied.clear()
        self._take(self._rival, Motion())
        return self._registered(item)

    def _registered(self, item: Slice) -> Motion:
        assert self._last is not None
        self._check_against_first(item)
        (last, before), method = self._last, self._config.method
        still = _on_image(_STILL, self._neighbours.view(item))

        def is_still(step: Matrix) -> bool:
            return rms_displacement(step @ before, item.size) < still

        stands_still = False
        if method == "ecc":
            model = cast(EccModel, self._config.ecc_model)
            step = self._neighbours.by_correlation(last, item, model)
        elif method == "homography":
            step = self._neighbours.by_points(last, item)
        else:
            step, stands_still = self._neighbours.as_needed(last, item, is_still)
        matrix = step @ before
        matrix /= matrix[2, 2]
        reason = implausible_because(matrix, item.size)
        if reason is not None:
            raise AlignmentError(f"against the first slice, {reason}")
        motion = Motion(np.eye(3) if stands_still else matrix)
        if method == "flow" or (method == "auto" and not stands_still):
            motion = self._with_parallax(item, matrix, motion)
        elif stands_still:
            self._keyframe = item, Motion(matrix)
        self._last = item, matrix
        return self._unless_unmoved(motion, item)

    def _check_against_first(self, item: Slice) -> None:
        """Refuse a slice that shows much less than the first, or a second one that shows much more.

        Of those two either may be the wrong one: that shows with the third.
        """
        assert self.anchor is not None
        grey, first = (self._neighbours.view(one).grey for one in (item, self.anchor))
        check_exposed(grey, first)
        if self._count == 1 and self._config.method not in ("scale", "external"):
            try:
                check_exposed(first, grey)
            except AlignmentError as error:
                raise AlignmentError(
                    "the first slice shows much less than this one; lock the exposure"
                ) from error

    def _with_parallax(self, item: Slice, matrix: Matrix, motion: Motion) -> Motion:
        """The motion with what it leaves, where that is more than defocus can make of it."""
        assert self._keyframe is not None
        assert self.anchor is not None
        (keyframe, before), view = self._keyframe, self._neighbours.view(item)
        step = matrix @ np.linalg.inv(before.matrix)
        is_due = self._is_dense or self._count % _KEYFRAMES == 0
        if not is_due:
            left = leftover(self._neighbours.view(keyframe), view, step)
            is_due = left > _on_image(_LEFTOVER, view)
        if not is_due:
            return motion
        flow = self._neighbours.flow(keyframe, item, step)
        whole = composed(before, Motion(step, flow), item.size)
        self._keyframe = item, whole
        supported = supported_flow(
            self._neighbours.view(self.anchor), view, replace(whole, matrix=motion.matrix)
        )
        if not self._is_dense and supported.flow is not None:
            lengths = np.hypot(supported.flow[..., 0], supported.flow[..., 1])
            long = float(np.percentile(lengths, 100.0 - _PARALLAX_SHARE))
            self._is_dense = long > _on_image(_PARALLAX, view)
        if not self._is_dense:
            return motion
        return significant_flow(supported, _on_image(_FLAT, view))

    def _unless_unmoved(self, motion: Motion, item: Slice) -> Motion:
        if motion.flow is None and rms_displacement(motion.matrix, item.size) < _UNMOVED:
            return Motion()
        return motion

    def _matches(self, previous: Slice, item: Slice) -> bool:
        try:
            if self._config.method == "ecc":
                model = cast(EccModel, self._config.ecc_model)
                self._neighbours.by_correlation(previous, item, model)
            elif self._config.method == "homography":
                self._neighbours.by_points(previous, item)
            else:
                self._neighbours.as_needed(previous, item, lambda _: False)
        except AlignmentError:
            return False
        return True

    def _breathing_to(self, item: Slice) -> Matrix:
        assert self.anchor is not None
        before, now = (
            magnification(one, per_dioptre=self._config.breathing, table=self._magnifications)
            for one in (self.anchor, item)
        )
        camera, (height, width) = self._intrinsics, item.size
        centre = ((width - 1) / 2, (height - 1) / 2) if camera is None else (camera.cx, camera.cy)
        return scaling(now / before, centre)

    def _external_flow(self, item: Slice) -> Motion:
        number = len(self._given) - 1
        if number == 0:
            return Motion()
        if number > len(self._flow_files):
            raise AlignmentError(
                f"flow_path {self._config.flow_path} holds {len(self._flow_files)} flow fields, "
                f"this slice needs number {number}; there is to be one for each but the first"
            )
        return Motion(flow=read_flow(self._flow_files[number - 1], item.size))


def _on_image(length: float, view: View) -> float:
    """Pixels of the image from pixels of a view of the usual size; fewer pixels tell less."""
    return length * view.reduction * math.sqrt(USUAL_PIXELS / view.detail.size)
