"""Registration of a slice to the one before it, each pair and each slice only once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np

from focdepth_ros.errors import AlignmentError
from focdepth_ros.registration.agreement import agreement, check_alike
from focdepth_ros.registration.ecc import EccModel, least_ecc_enough, register_ecc
from focdepth_ros.registration.flow import residual_flow
from focdepth_ros.registration.homography import Keypoints, keypoints_of, register_keypoints
from focdepth_ros.registration.motion import Matrix
from focdepth_ros.registration.view import View, view_of
from focdepth_ros.stack import FloatImage, Slice

_Found = TypeVar("_Found")


class Neighbours:
    """What is known of slices and pairs of slices, for as long as somebody keeps the slices.

    Sweeps that overlap, as those of a sliding window do, share most of it.
    """

    def __init__(self) -> None:
        self._views: WeakKeyDictionary[Slice, View] = WeakKeyDictionary()
        self._keypoints: WeakKeyDictionary[Slice, Keypoints] = WeakKeyDictionary()
        self._correlated: _Pairs[Matrix] = _Pairs()
        self._pointed: _Pairs[Matrix] = _Pairs()
        self._similar: _Pairs[Matrix | None] = _Pairs()
        self._needed: _Pairs[Matrix] = _Pairs()
        self._flows: _Pairs[FloatImage] = _Pairs()

    def view(self, item: Slice) -> View:
        """A slice made ready for registration."""
        view = self._views.get(item)
        if view is None:
            view = self._views[item] = view_of(item.image)
        return view

    def by_correlation(self, previous: Slice, item: Slice, model: EccModel) -> Matrix:
        """Transform from pixels of `previous` to those of `item`, by `register_ecc`.

        Raises
        ------
        AlignmentError
            If no good transform is found.
        """

        def register() -> Matrix:
            before, view = self.view(previous), self.view(item)
            matrix = register_ecc(before, view, model=model)
            agreement(before, view, matrix).check()
            return matrix

        return self._correlated.get(previous, item, register)

    def by_points(self, previous: Slice, item: Slice) -> Matrix:
        """Transform from pixels of `previous` to those of `item`, by `register_keypoints`.

        Raises
        ------
        AlignmentError
            If no good transform is found.
        """

        def register() -> Matrix:
            matrix = register_keypoints(self.keypoints(previous), self.keypoints(item))
            agreement(self.view(previous), self.view(item), matrix).check()
            return matrix

        return self._pointed.get(previous, item, register)

    def as_needed(
        self, previous: Slice, item: Slice, is_still: Callable[[Matrix], bool]
    ) -> tuple[Matrix, bool]:
        """Transform between two slices at the least cost that is enough.

        Parameters
        ----------
        previous, item : Slice
        is_still : callable
            Whether a transform between them is small enough to be nothing.

        Returns
        -------
        matrix : (3, 3) float64
            From pixels of `previous` to those of `item`.
        stands_still : bool
            Whether `is_still` says so of it.

        Raises
        ------
        AlignmentError
            If no good transform is found.
        """
        before, view = self.view(previous), self.view(item)
        similarity = self._similar.get(previous, item, lambda: _similarity_or_none(before, view))
        as_is = agreement(before, view, np.eye(3))
        if similarity is not None and as_is.is_good and is_still(similarity):
            return similarity, True
        if not as_is.can_tell:
            # Nothing is seen that could be misplaced.
            check_alike(before, view)
            return np.eye(3), is_still(np.eye(3))

        def register() -> Matrix:
            if similarity is not None:
                matrix = least_ecc_enough(before, view, similarity)
                if agreement(before, view, matrix).is_good:
                    return matrix
            return self.by_points(previous, item)

        return self._needed.get(previous, item, register), False

    def flow(self, previous: Slice, item: Slice, matrix: Matrix) -> FloatImage:
        """What a transform leaves between two slices; see `residual_flow`."""
        return self._flows.get(
            previous, item, lambda: residual_flow(self.view(previous), self.view(item), matrix)
        )

    def keypoints(self, item: Slice) -> Keypoints:
        """SIFT points of a slice."""
        points = self._keypoints.get(item)
        if points is None:
            points = self._keypoints[item] = keypoints_of(item.image)
        return points


class _Pairs(Generic[_Found]):
    """What was found of pairs of slices, the last for each second one."""

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[Slice, tuple[ReferenceType[Slice], _Found]] = (
            WeakKeyDictionary()
        )

    def get(self, previous: Slice, item: Slice, find: Callable[[], _Found]) -> _Found:
        known = self._found.get(item)
        if known is None or known[0]() is not previous:
            known = self._found[item] = ref(previous), find()
        return known[1]


def _similarity_or_none(previous: View, view: View) -> Matrix | None:
    try:
        return register_ecc(previous, view, model="similarity")
    except AlignmentError:
        return None
