"""What goes into the sweep assembler besides images, and what comes out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from focdepth_ros.errors import OptionError
from focdepth_ros.stack import CameraIntrinsics, FocalStack, Lens, Slice
from focdepth_ros.sweep_parts.config import Reference

#: Why a sweep ended. ``complete``: the last step that the driver announced was there.
#: ``reversal``: the focus turned round or jumped back. ``format_change``: the image size or
#: encoding changed. ``time_jump``: the stamps went back, as when a bag is played in a loop.
EndReason = Literal[
    "complete",
    "sweep_id",
    "reversal",
    "count",
    "window",
    "max_slices",
    "timeout",
    "format_change",
    "time_jump",
    "flush",
]


class DropReason(str, Enum):
    """Why an image, a focus state or a sweep was left out."""

    NO_FOCUS_STATE = "no focus state"
    NO_IMAGE = "no image"
    REPEATED_STAMP = "repeated stamp"
    OUT_OF_ORDER = "out of order"
    STALE_FOCUS_STATE = "stale focus state"
    UNSETTLED = "unsettled"
    BAD_FOCUS_DISTANCE = "bad focus distance"
    UNKNOWN_POSITION = "unknown lens position"
    OUTSIDE_LENS_MAP = "outside lens map"
    BAD_IMAGE = "bad image"
    NO_SWEEP_ID = "no sweep id"
    SWEEP_OVER = "sweep already finished"
    DUPLICATE = "duplicate"
    TOO_FEW_SLICES = "too few slices"

    __str__ = str.__str__


#: What a healthy camera does all the time; it is counted but not complained about.
USUAL = (DropReason.UNSETTLED, DropReason.DUPLICATE, DropReason.SWEEP_OVER)
#: What is usual where one comes into a stream that is under way.
USUAL_AT_FIRST = (DropReason.NO_FOCUS_STATE, DropReason.NO_IMAGE, DropReason.TOO_FEW_SLICES)


@dataclass(frozen=True)
class FocusSample:
    """Where the focus was while one image was exposed; a ``FocusState`` message without ROS.

    Parameters
    ----------
    stamp : int
        Nanoseconds; equals that of its image.
    focus_distance : float
        Metres, in (0, +inf]; NaN where it is not known.
    lens_position : float
        In the driver's own unit; NaN where it is not known.
    settled : bool
        Whether the lens stood still during the exposure.
    sweep_id : int
        Which sweep the image belongs to; 0 where the driver does not say.
    sweep_step, sweep_size : int
        Position of the image in its sweep, from 0, and the number of positions, 0 where the
        driver does not say. Only with `sweep_id`.
    lack : (DropReason, str), optional
        Why the focus distance is not known, where more can be said than that.
    """

    stamp: int
    focus_distance: float
    lens_position: float = math.nan
    settled: bool = True
    sweep_id: int = 0
    sweep_step: int = 0
    sweep_size: int = 0
    lack: tuple[DropReason, str] | None = None


@dataclass(frozen=True, eq=False)
class Sweep:
    """The slices of one focus sweep in the order of their exposure.

    Parameters
    ----------
    slices : tuple of Slice
        Of one size, with distinct focus distances; or none has one, then with distinct lens
        positions.
    end_reason : EndReason
    """

    slices: tuple[Slice, ...]
    end_reason: EndReason

    def stack(
        self,
        intrinsics: CameraIntrinsics | None = None,
        lens: Lens | None = None,
        reference: Reference = "last",
    ) -> FocalStack:
        """The sweep as a focal stack, near to far; without metres by rising lens position.

        Parameters
        ----------
        intrinsics, lens
            Of the camera, where known.
        reference : {"first", "middle", "last"}
            Which slice, in the order of exposure, gives the answer its pixel grid and stamp.

        Raises
        ------
        OptionError
            If `reference` is none of these.
        StackError
            If the intrinsics are for another image size.
        """
        indices = {"first": 0, "middle": len(self.slices) // 2, "last": len(self.slices) - 1}
        if reference not in indices:
            raise OptionError(f"reference is {reference!r}; it must be one of {', '.join(indices)}")
        wanted = self.slices[indices[reference]]
        # A stack with focus distances sorts itself.
        slices = sorted(self.slices, key=lambda item: item.lens_position or 0.0)
        return FocalStack(slices, intrinsics, lens, slices.index(wanted))


@dataclass(frozen=True)
class SweepStarted:
    """A sweep of images of this size begins; its slices follow.

    They have focus distances if it is `metric`, else lens positions alone.
    """

    height: int
    width: int
    metric: bool = True


@dataclass(frozen=True, eq=False)
class SliceAdded:
    """The sweep begun last has a new slice.

    With `replaces_last` it takes the place of the slice before it, at exactly the same focus
    distance or, without one, lens position.
    """

    slice: Slice
    replaces_last: bool = False


@dataclass(frozen=True, eq=False)
class SweepFinished:
    """The sweep begun last has all its slices."""

    sweep: Sweep


@dataclass(frozen=True)
class SweepDropped:
    """A sweep ended with too few slices; `slices` tells how many are lost with it."""

    reason: DropReason
    detail: str
    slices: int


@dataclass(frozen=True)
class FrameDropped:
    """An image, a focus state, or the two together were left out."""

    reason: DropReason
    detail: str


SweepEvent = SweepStarted | SliceAdded | SweepFinished | SweepDropped | FrameDropped


def seconds(stamp: int) -> str:
    """Write a stamp in nanoseconds as seconds, to the last digit."""
    return f"{stamp // 10**9}.{stamp % 10**9:09d} s"
