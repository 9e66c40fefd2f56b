"""What is known of a sweep before its first frame, and which frames belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from focdepth_ros.errors import OptionError, SliceError
from focdepth_ros.stack import CameraIntrinsics, FocalStack, Lens, Slice


@dataclass(frozen=True)
class SweepSpec:
    """What is known of a sweep before its first frame is worked on.

    Parameters
    ----------
    height, width : int
        Size of every image in pixels.
    metric : bool
        Whether the slices carry focus distances.
    intrinsics, lens
        Of the camera, where known.
    all_in_focus : bool
        Whether the all-in-focus image is wanted.
    depth : bool
        Whether depth and confidence are wanted. Without, an answer has NaN and 0 in their place,
        and what only they need may be left undone; the all-in-focus image is the same.
    by_position : bool
        Of a sweep that is not metric: whether the slices are in the order of their lens positions,
        and not in that in which they come.

    Raises
    ------
    OptionError
        If neither depth nor the all-in-focus image is wanted, or the order is to be of both kinds.
    """

    height: int
    width: int
    metric: bool = True
    intrinsics: CameraIntrinsics | None = None
    lens: Lens | None = None
    all_in_focus: bool = True
    depth: bool = True
    by_position: bool = False

    def __post_init__(self) -> None:
        if not (self.depth or self.all_in_focus):
            raise OptionError(
                "a sweep without depth and without all-in-focus image has no answer; ask for one"
            )
        if self.metric and self.by_position:
            raise OptionError("a metric sweep is in the order of its focus distances; set one only")

    def check(self, item: Slice, before: Sequence[Slice] = ()) -> bool:
        """Refuse a slice that does not belong to this sweep.

        Parameters
        ----------
        item : Slice
        before : sequence of Slice
            Those of the sweep so far.

        Returns
        -------
        bool
            Whether it takes the place of the last slice, having the same focus distance, or lens
            position where that counts.

        Raises
        ------
        SliceError
            If its size is not the sweep's, one is mono and the other in colour, it lacks the focus
            distance or the lens position that counts, or has that of a slice before the last.
        """
        if item.size != (self.height, self.width):
            raise SliceError(
                f"slice is {item.size[1]}x{item.size[0]} px, the sweep {self.width}x{self.height}; "
                "all slices of a sweep must be of one size"
            )
        if self.metric and item.focus_distance is None:
            raise SliceError("slice has no focus distance, but the sweep is metric; give metres")
        if self.by_position and item.lens_position is None:
            raise SliceError(
                "slice has no lens position, but the sweep is in the order of them; give one"
            )
        if before and item.image.shape != before[0].image.shape:
            raise SliceError(
                f"slice has shape {item.image.shape}, those before it {before[0].image.shape}; "
                "all slices of a sweep must be mono or all RGB"
            )
        if not (self.metric or self.by_position):
            return False
        places = [self._place(taken) for taken in before]
        if self._place(item) not in places:
            return False
        if self._place(item) != places[-1]:
            where = (
                f"{item.focus_distance} m; give each focus distance once"
                if self.metric
                else f"lens position {item.lens_position}; give each once"
            )
            raise SliceError(f"the sweep already has a slice at {where}")
        return True

    def _place(self, item: Slice) -> float | None:
        # Of distances that differ by a rounding error the dioptres can be equal.
        return float(item.rounded_dioptre) if self.metric else item.lens_position


def spec_of(stack: FocalStack, *, all_in_focus: bool = True, depth: bool = True) -> SweepSpec:
    """The `SweepSpec` of a focal stack that is already complete."""
    height, width = stack.size
    return SweepSpec(
        height=height,
        width=width,
        metric=stack.is_metric,
        intrinsics=stack.intrinsics,
        lens=stack.lens,
        all_in_focus=all_in_focus,
        depth=depth,
    )
