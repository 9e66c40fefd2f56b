"""Alignment of a focus sweep: every slice on the pixel grid of the first, one after the other.

Neighbours in the sweep are registered, since slices far apart are focused too differently, and
their transforms are put together; each image is resampled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, cast, get_args
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np

from focdepth_ros.errors import AlignmentError, OptionError, StackError
from focdepth_ros.registration.agreement import agreement
from focdepth_ros.registration.ecc import EccModel, affine_ecc, least_ecc_enough, register_ecc
from focdepth_ros.registration.exposure import exposure_gains, with_gains
from focdepth_ros.registration.homography import Keypoints, keypoints_of, register_keypoints
from focdepth_ros.registration.motion import (
    Matrix,
    Motion,
    composed,
    implausible_because,
    rms_displacement,
    similarity_part,
)
from focdepth_ros.registration.scale import magnification, scaling
from focdepth_ros.registration.view import (
    MIN_SIDE,
    USUAL_PIXELS,
    View,
    check_exposed,
    view_of,
)
from focdepth_ros.registration.warp import warp_image
from focdepth_ros.stack import CameraIntrinsics, Slice

AlignmentMethod = Literal["auto", "none", "scale", "ecc", "homography"]

# What defocus and noise alone make a still camera seem to move, as measured on simulated
# sweeps, in pixels of a view of the usual size. Less is no reason to resample an image.
_STILL = 0.2
_UNMOVED = 0.05  # px of the image


@dataclass(frozen=True)
class AlignmentConfig:
    """How the slices of a sweep are brought onto one pixel grid.

    Parameters
    ----------
    method : {"auto", "none", "scale", "ecc", "homography"}
        ``none``: the slices fit already. ``scale``: focus breathing only, from a calibration.
        ``ecc``: by the correlation of their detail. ``homography``: by SIFT points. ``auto``:
        nothing where the camera stood still, else what is enough.
    match_exposure : bool
        Whether exposure and white balance are made those of the first slice.
    ecc_model : {"similarity", "affine", "homography"}
        What the transform of ``ecc`` may do.
    breathing : float
        For ``scale``: growth of the image per dioptre of focus, in metres.
    breathing_table : tuple of (float, float)
        For ``scale``, in place of `breathing`: lens positions and the magnification at each.

    Raises
    ------
    OptionError
        If a name is not known or a value out of range.
    """

    method: str = "auto"
    match_exposure: bool = True
    ecc_model: str = "affine"
    breathing: float = 0.0
    breathing_table: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for name, names in (
            ("method", get_args(AlignmentMethod)),
            ("ecc_model", get_args(EccModel)),
        ):
            value = getattr(self, name)
            if value not in names:
                raise OptionError(f"alignment {name} '{value}' is not one of {', '.join(names)}")
        if not -10.0 < self.breathing < 10.0:
            raise OptionError(f"alignment breathing={self.breathing} m is not in (-10, 10)")
        for position, scale in self.breathing_table:
            if not (np.isfinite(position) and 0.0 < scale < np.inf):
                raise OptionError(
                    f"alignment breathing_table has magnification {scale} at lens position "
                    f"{position}; both must be finite and the first above 0"
                )


class Aligner:
    """Aligns sweeps; the work on a slice that two sweeps share is done once.

    Parameters
    ----------
    config : AlignmentConfig, optional
    """

    def __init__(self, config: AlignmentConfig | None = None) -> None:
        self.config = config or AlignmentConfig()
        self._views: WeakKeyDictionary[Slice, View] = WeakKeyDictionary()
        self._keypoints: WeakKeyDictionary[Slice, Keypoints] = WeakKeyDictionary()
        self._pairs: WeakKeyDictionary[Slice, dict[str, tuple[ReferenceType[Slice], Matrix]]] = (
            WeakKeyDictionary()
        )

    def start(self, intrinsics: CameraIntrinsics | None = None) -> AlignmentRun:
        """Begin a sweep; `intrinsics` tell about which point the image scales."""
        return AlignmentRun(self, intrinsics)

    def view(self, item: Slice) -> View:
        """A slice made ready for registration."""
        return _remembered(self._views, item, lambda: view_of(item.image))

    def register(
        self, previous: Slice, item: Slice, is_still: Callable[[Matrix], bool]
    ) -> tuple[Matrix, bool]:
        """Find how a slice lies against the one before.

        Parameters
        ----------
        previous, item : Slice
        is_still : callable
            Whether a transform between the two, with those before it, amounts to nothing.

        Returns
        -------
        matrix : (3, 3) float64
            From pixels of `previous` to those of `item`.
        stands_still : bool
            Whether it is to be left alone.

        Raises
        ------
        AlignmentError
            If no good transform is found.
        """
        if self.config.method == "auto":
            return self._register_as_needed(previous, item, is_still)
        by = self._by_correlation if self.config.method == "ecc" else self._by_points
        matrix = self._pair(previous, item, self.config.method, lambda: by(previous, item))
        return matrix, rms_displacement(matrix, item.size) < 1e-6

    def _register_as_needed(
        self, previous: Slice, item: Slice, is_still: Callable[[Matrix], bool]
    ) -> tuple[Matrix, bool]:
        before, view = self.view(previous), self.view(item)
        unmoved = np.eye(3)
        try:
            affine = self._pair(previous, item, "affine", lambda: affine_ecc(before, view))
        except AlignmentError:
            affine = None
        if affine is not None:
            similarity = similarity_part(affine, item.size)
            if is_still(similarity) and agreement(before, view, unmoved).is_good:
                return similarity, True
        if not agreement(before, view, unmoved).can_tell:
            return unmoved, False

        def search() -> Matrix:
            if affine is not None:
                matrix = least_ecc_enough(before, view, affine)
                if agreement(before, view, matrix).is_good:
                    return matrix
            return self._by_points(previous, item)

        return self._pair(previous, item, "auto", search), False

    def _by_correlation(self, previous: Slice, item: Slice) -> Matrix:
        before, view = self.view(previous), self.view(item)
        model = cast(EccModel, self.config.ecc_model)
        matrix = register_ecc(before, view, model=model)
        agreement(before, view, matrix).check()
        return matrix

    def _by_points(self, previous: Slice, item: Slice) -> Matrix:
        matrix = register_keypoints(self._points(previous), self._points(item))
        agreement(self.view(previous), self.view(item), matrix).check()
        return matrix

    def _points(self, item: Slice) -> Keypoints:
        return _remembered(self._keypoints, item, lambda: keypoints_of(item.image))

    def _pair(
        self, previous: Slice, item: Slice, kind: str, compute: Callable[[], Matrix]
    ) -> Matrix:
        known = self._pairs.setdefault(item, {})
        if kind not in known or known[kind][0]() is not previous:
            known[kind] = ref(previous), compute()
        return known[kind][1]


class AlignmentRun:
    """One sweep on its way through alignment: `add` per slice."""

    def __init__(self, aligner: Aligner, intrinsics: CameraIntrinsics | None) -> None:
        self._aligner = aligner
        self._config = aligner.config
        self._intrinsics = intrinsics
        self._last: Slice | None = None
        self._rival: Slice | None = None
        #: The slice on whose pixel grid all others are brought. It can still change while no
        #: other has been: then the first slice was one that matched nothing.
        self.anchor: Slice | None = None
        self._motion = Motion()  # from the anchor to the last slice
        self._given: list[ReferenceType[Slice]] = []
        self._grids: WeakKeyDictionary[Slice, Motion] = WeakKeyDictionary()

    def add(self, item: Slice) -> Slice:
        """Bring a slice onto the grid of the anchor.

        Parameters
        ----------
        item : Slice

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
        if self._config.method == "none" or min(item.size) < MIN_SIDE:
            return self._taken(item, Motion())
        check_exposed(self._aligner.view(item))
        if self._last is None:
            return self._taken(item, Motion())
        try:
            motion, stands_still = self._motion_to(item)
        except AlignmentError:
            if len(self._grids) > 1 or self._rival is None or not self._matches(self._rival, item):
                self._rival = item
                raise
            self._grids.clear()
            self._taken(self._rival, Motion())
            motion, stands_still = self._motion_to(item)
        aligned = self._taken(item, motion)
        if stands_still:
            self._grids[item] = Motion()
        else:
            image, valid = warp_image(item.image, motion)
            aligned = replace(item, image=image, valid_mask=valid)
        if self._config.match_exposure:
            aligned = self._exposure_matched(item, aligned, motion)
        return aligned

    def motion_of(self, item: Slice) -> Motion:
        """From the grid of the anchor to a slice that was taken, as it was applied."""
        return self._grids[item]

    def nearest_taken(self, item: Slice) -> Slice:
        """The slice itself if it was taken, or the one taken that came nearest to it.

        Raises
        ------
        StackError
            If the slice was never added, or none was taken.
        """
        given = [one() for one in self._given]
        taken = [i for i, one in enumerate(given) if one is not None and one in self._grids]
        places = [i for i, one in enumerate(given) if one is item]
        if not taken or not places:
            raise StackError("the reference is none of the slices of this sweep; give one of them")
        found = given[min(taken, key=lambda i: abs(i - places[-1]))]
        assert found is not None
        return found

    def _taken(self, item: Slice, motion: Motion) -> Slice:
        if not self._grids:
            self.anchor = item
        self._last, self._motion, self._grids[item] = item, motion, motion
        return item

    def _motion_to(self, item: Slice) -> tuple[Motion, bool]:
        """From the anchor to a slice, and whether that is nothing."""
        last, size = self._last, item.size
        assert last is not None
        if self._config.method == "scale":
            motion = Motion(self._breathing_to(item))
            return motion, rms_displacement(motion.matrix, size) < _UNMOVED
        limit = _still_limit(self._aligner.view(item))

        def is_still(step: Matrix) -> bool:
            return rms_displacement(step @ self._motion.matrix, size) < limit

        step, stands_still = self._aligner.register(last, item, is_still)
        motion = composed(self._motion, Motion(step), size)
        reason = implausible_because(motion.matrix, size)
        if reason is not None:
            raise AlignmentError(f"against the first slice, {reason}")
        return motion, stands_still or rms_displacement(motion.matrix, size) < _UNMOVED

    def _matches(self, previous: Slice, item: Slice) -> bool:
        try:
            self._aligner.register(previous, item, lambda _: False)
        except AlignmentError:
            return False
        return True

    def _breathing_to(self, item: Slice) -> Matrix:
        assert self.anchor is not None
        before, now = (
            magnification(
                one, per_dioptre=self._config.breathing, table=self._config.breathing_table
            )
            for one in (self.anchor, item)
        )
        camera, (height, width) = self._intrinsics, item.size
        centre = ((width - 1) / 2, (height - 1) / 2) if camera is None else (camera.cx, camera.cy)
        return scaling(now / before, centre)

    def _exposure_matched(self, item: Slice, aligned: Slice, motion: Motion) -> Slice:
        assert self.anchor is not None
        view = self._aligner.view
        gains = exposure_gains(view(self.anchor), view(item), motion.matrix)
        if np.all(gains == 1.0):
            return aligned
        return replace(aligned, image=with_gains(aligned.image, gains))


def _still_limit(view: View) -> float:
    """Pixels by which a camera may seem to have moved that stood still."""
    return _STILL * view.reduction * math.sqrt(USUAL_PIXELS / view.detail.size)


_Prepared = TypeVar("_Prepared")


def _remembered(
    known: WeakKeyDictionary[Slice, _Prepared], item: Slice, prepare: Callable[[], _Prepared]
) -> _Prepared:
    prepared = known.get(item)
    if prepared is None:
        prepared = known[item] = prepare()
    return prepared
