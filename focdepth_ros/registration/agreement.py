"""Whether two slices show the same thing once one is brought onto the other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from focdepth_ros.errors import AlignmentError
from focdepth_ros.registration.motion import Matrix, resampled
from focdepth_ros.registration.view import View, view_from_slice
from focdepth_ros.stack import FloatImage

_CELL = 16  # pixels of the view
_TEXTURED = 0.05  # mean square of the equalised detail; noise alone has less
_ENOUGH_TEXTURE = 0.03  # share of the cells by which something can be told
_CELL_MATCHES = 0.5  # correlation
_MIN_MATCHING = 0.5  # share of the cells with texture
_EVEN = 4.0  # grey levels by which cells differ that are all of one plain thing
_LEAST_LIKENESS = 0.5  # correlation of the grey levels of cells


@dataclass(frozen=True)
class Agreement:
    """How alike two slices are, cell by cell.

    Parameters
    ----------
    textured : float
        Share of the cells in which both slices show detail.
    matching : float
        Share of these in which it is the same detail.
    correlation : float
        Of the detail of the whole images.
    """

    textured: float
    matching: float
    correlation: float

    @property
    def can_tell(self) -> bool:
        """Whether there is enough to see."""
        return self.textured >= _ENOUGH_TEXTURE

    @property
    def is_good(self) -> bool:
        """Whether the slices show the same scene, in the same place."""
        return self.can_tell and self.matching >= _MIN_MATCHING

    def check(self) -> None:
        """Refuse a transform after which the slices do not show the same.

        Raises
        ------
        AlignmentError
            If there is too little to see, or too much of it differs.
        """
        if not self.can_tell:
            raise AlignmentError(
                f"only {100 * self.textured:.0f} % of the image shows detail in both slices, at "
                f"least {100 * _ENOUGH_TEXTURE:.0f} % is needed"
            )
        if not self.is_good:
            raise AlignmentError(
                f"only {100 * self.matching:.0f} % of what can be seen matches the slice before, "
                f"at least {100 * _MIN_MATCHING:.0f} % is needed; the scene moved, or the camera "
                "moved too far"
            )


def check_alike(previous: View, view: View) -> None:
    """Refuse a slice that shows nothing of what the one before shows, not even blurred.

    For slices that share no detail by which to tell: light and dark stay where they are, however
    far out of focus; the noise of a covered or blinded sensor has neither.

    Parameters
    ----------
    previous, view : View

    Raises
    ------
    AlignmentError
        If light and dark are elsewhere.
    """
    shape = previous.grey.shape[:2]
    cells = (max(1, shape[1] // _CELL), max(1, shape[0] // _CELL))
    before, now = (
        cv2.resize(one.grey, cells, interpolation=cv2.INTER_AREA).astype(np.float64)
        for one in (previous, view)
    )
    if max(before.std(), now.std()) < _EVEN:
        return
    spread = float(before.std() * now.std())
    shared = float(np.mean((before - before.mean()) * (now - now.mean())))
    if shared < _LEAST_LIKENESS * spread or spread == 0.0:
        raise AlignmentError(
            "it shows nothing of what the slice before shows, not even blurred; was the lens "
            "covered, or the sensor blinded?"
        )


def agreement(previous: View, view: View, matrix: Matrix) -> Agreement:
    """Compare two slices under a transform.

    Parameters
    ----------
    previous, view : View
    matrix : (3, 3) float64
        From pixels of the previous slice to those of the other.
    """
    shape = previous.detail.shape[:2]
    scale = view_from_slice(view.size, shape)
    warped = resampled(view.detail, scale @ matrix @ np.linalg.inv(scale))
    detail = previous.detail
    cells = (max(1, shape[1] // _CELL), max(1, shape[0] // _CELL))

    def mean(product: FloatImage) -> FloatImage:
        return np.asarray(cv2.resize(product, cells, interpolation=cv2.INTER_AREA))

    shared, first, second = mean(detail * warped), mean(detail * detail), mean(warped * warped)
    textured = np.minimum(first, second) > _TEXTURED
    norm = np.sqrt(first * second)
    matching = shared > _CELL_MATCHES * norm
    total = float(np.sqrt(first.sum() * second.sum()))
    return Agreement(
        textured=float(textured.mean()),
        matching=float(matching[textured].mean()) if textured.any() else 0.0,
        correlation=float(shared.sum()) / total if total > 0.0 else 0.0,
    )
