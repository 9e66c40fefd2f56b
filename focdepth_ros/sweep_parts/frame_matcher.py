"""Brings images and focus states of the same stamp together, whichever comes first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from focdepth_ros.stack import ImageArray
from focdepth_ros.sweep_parts.types import DropReason, FocusSample, seconds

#: An image, or what decodes it; the latter is called only once the frame is matched and usable.
ImageSource = ImageArray | Callable[[], ImageArray]

# A message that is older than the last frame by more than this is not late: time went back.
_MAX_LATENESS_NS = 1_000_000_000

_Drop = Callable[[DropReason, str], None]


@dataclass(frozen=True, eq=False)
class StampedImage:
    """An image as it arrived; `source` is or gives an array of `size` (height, width)."""

    stamp: int
    source: ImageSource
    size: tuple[int, int]
    encoding: str


@dataclass(frozen=True, eq=False)
class Frame:
    """An image and its focus state; `time_went_back` where the frame before has a later stamp."""

    image: StampedImage
    focus: FocusSample
    time_went_back: bool


class FrameMatcher:
    """Matches by exact stamp, within a bounded window.

    Each of the two streams is expected in the order of its stamps, as DDS delivers it; one may
    lag behind the other. So what is older than a matched frame will not find its partner any
    more and is let go at once. A message that comes after a newer frame is dropped rather than
    put in place: what works on a sweep while it comes in relies on the order of exposure.

    A stamp that is older by more than a second, or not after `sweep_start`, is not late: time
    went back, as when a bag is played in a loop. This is believed only of an image and a focus
    state together, so that a single message with a wrong stamp does no harm.

    Parameters
    ----------
    window : int
        How many images, and how many focus states, wait for their partner at most. Those that
        came first are let go first.
    drop : callable
        Called with the reason and the detail of each message that is left out.
    """

    def __init__(self, window: int, drop: _Drop) -> None:
        self._drop = drop
        self._images: _WaitingRoom[StampedImage] = _WaitingRoom(
            window, DropReason.NO_FOCUS_STATE, drop
        )
        self._focuses: _WaitingRoom[FocusSample] = _WaitingRoom(window, DropReason.NO_IMAGE, drop)
        self._last_stamp: float = -math.inf
        #: Stamp of the first slice of the last sweep worth the name; None: there was none yet.
        self.sweep_start: int | None = None

    @property
    def images_waiting(self) -> int:
        """Number of images that wait for their focus state."""
        return len(self._images)

    @property
    def focus_states_waiting(self) -> int:
        """Number of focus states that wait for their image."""
        return len(self._focuses)

    def add_image(self, image: StampedImage, now: float) -> Frame | None:
        """The frame that this image completes, if it does."""
        stamp = image.stamp
        if stamp == self._last_stamp or stamp in self._images:
            self._drop(
                DropReason.REPEATED_STAMP,
                f"two images have the stamp {seconds(stamp)}; the first is kept",
            )
        elif self._is_late(stamp):
            self._drop(DropReason.OUT_OF_ORDER, f"image {self._lateness(stamp)}")
        elif (focus := self._focuses.pop(stamp)) is not None:
            return self._matched(image, focus)
        else:
            self._images.put(stamp, image, now)
        return None

    def add_focus(self, focus: FocusSample, now: float) -> Frame | None:
        """The frame that this focus state completes, if it does."""
        stamp = focus.stamp
        if stamp == self._last_stamp or stamp in self._focuses:
            self._drop(
                DropReason.STALE_FOCUS_STATE,
                f"two focus states have the stamp {seconds(stamp)}; the first is kept",
            )
        elif self._is_late(stamp):
            self._drop(DropReason.STALE_FOCUS_STATE, f"focus state {self._lateness(stamp)}")
        elif (image := self._images.pop(stamp)) is not None:
            return self._matched(image, focus)
        else:
            self._focuses.put(stamp, focus, now)
        return None

    def expire(self, *, before: float) -> None:
        """Let go of what has been waiting since before this time."""
        for room in (self._images, self._focuses):
            room.dismiss(lambda _, since: since < before, "came in time")

    def flush(self) -> None:
        """Let go of all that is waiting, and forget what time it was."""
        for room in (self._images, self._focuses):
            room.dismiss(lambda _, __: True, "came before the end of the stream")
        self._last_stamp = -math.inf
        self.sweep_start = None

    def _is_late(self, stamp: int) -> bool:
        earliest = self._last_stamp - _MAX_LATENESS_NS
        in_sweep = self.sweep_start is None or stamp > self.sweep_start
        return in_sweep and earliest <= stamp < self._last_stamp

    def _lateness(self, stamp: int) -> str:
        lateness = (self._last_stamp - stamp) / 1e6
        return f"of stamp {seconds(stamp)} came after a frame that is {lateness:.1f} ms newer"

    def _matched(self, image: StampedImage, focus: FocusSample) -> Frame:
        last, stamp = self._last_stamp, image.stamp
        went_back = stamp < last
        for room in (self._images, self._focuses):
            if went_back:
                room.dismiss(lambda other, _: other > last, "came before time went back")
            else:
                room.dismiss(lambda other, _: other < stamp, "came before that of a newer frame")
        self._last_stamp = stamp
        return Frame(image, focus, went_back)


_Message = TypeVar("_Message", StampedImage, FocusSample)


class _WaitingRoom(Generic[_Message]):
    """Messages by stamp in order of arrival; the first to come goes when it is full."""

    def __init__(self, capacity: int, lack: DropReason, drop: _Drop) -> None:
        self._capacity = capacity
        self._lack = lack
        self._drop = drop
        self._waiting: dict[int, tuple[_Message, float]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, stamp: int) -> bool:
        return stamp in self._waiting

    def put(self, stamp: int, message: _Message, now: float) -> None:
        self._waiting[stamp] = (message, now)
        if len(self._waiting) > self._capacity:
            first = next(iter(self._waiting))
            self.dismiss(lambda other, _: other == first, f"came within {self._capacity} messages")

    def pop(self, stamp: int) -> _Message | None:
        found = self._waiting.pop(stamp, None)
        return None if found is None else found[0]

    def dismiss(self, which: Callable[[int, float], bool], in_vain: str) -> None:
        """Let go of the messages whose stamp and time of arrival are `which`."""
        gone = [stamp for stamp, (_, since) in self._waiting.items() if which(stamp, since)]
        for stamp in gone:
            del self._waiting[stamp]
            self._drop(self._lack, f"{self._lack} of stamp {seconds(stamp)} {in_vain}")
