"""From single frames to focus sweeps: `SweepAssembler`."""

from __future__ import annotations

import math
from collections import Counter

from focdepth_ros.errors import FocdepthError, SliceError
from focdepth_ros.stack import Slice
from focdepth_ros.sweep_parts.config import SweepConfig
from focdepth_ros.sweep_parts.frame_matcher import Frame, FrameMatcher, ImageSource, StampedImage
from focdepth_ros.sweep_parts.splitting import ConsecutiveSweeps, SlidingWindow, SweepSplitter
from focdepth_ros.sweep_parts.types import (
    DropReason,
    EndReason,
    FocusSample,
    FrameDropped,
    SliceAdded,
    Sweep,
    SweepDropped,
    SweepEvent,
    SweepFinished,
    SweepStarted,
    seconds,
)

__all__ = [
    "DropReason",
    "EndReason",
    "FocusSample",
    "FrameDropped",
    "ImageSource",
    "SliceAdded",
    "Sweep",
    "SweepAssembler",
    "SweepConfig",
    "SweepDropped",
    "SweepEvent",
    "SweepFinished",
    "SweepStarted",
]


class SweepAssembler:
    """Puts images and focus states together to focus sweeps while they come in.

    Every method returns what came of it, in order. A slice is announced as soon as its image
    and its focus state are there, so that the work on it can begin while the next one is
    exposed. A sweep that is known to be whole with its last frame (the driver tells the size,
    or slices are counted) is finished with it, any other with the first frame of the next
    sweep or after the timeout.

    - Of the frames at the focus distance of the slice before, the sharpest is kept. A distance
      that comes again later in the same sweep is dropped.
    - By reversal, a frame that goes back to the earlier half of the slices begins a new sweep
      alone (saw-tooth). One that goes back less is a turn (ping-pong): the slice at which the
      focus turned belongs to both sweeps, so that both have all distances.
    - Frames that still come of a sweep id that was finished are dropped, unless they begin with its
      first step again, as those of a driver that was started anew do.
    - A change of image size or encoding ends the sweep, and the next begins with the new one.
    - Stamps that go back by more than a second or a sweep end the sweep and start everything
      afresh; see `FrameMatcher`, also for the frames that merely come late.
    - Where metres are not needed, a sweep whose first frame has none goes by lens position
      instead, and so do all its frames, with metres or without. In one that begins with metres
      those without are dropped.

    At any time at most ``match_window`` images as they came and ``max_slices`` decoded ones are
    in memory, apart from the events handed out.

    Parameters
    ----------
    config : SweepConfig, optional
    needs_metres : bool
        Whether frames without focus distance are dropped also where the lens position is known.
    position_tolerance : float
        Lens positions that differ by no more count as the same, in a sweep that goes by them.
    """

    def __init__(
        self,
        config: SweepConfig | None = None,
        *,
        needs_metres: bool = True,
        position_tolerance: float = 0.0,
    ) -> None:
        self.config = config = SweepConfig() if config is None else config
        #: How many images, focus states and sweeps were left out, by `DropReason`.
        self.dropped: Counter[str] = Counter()
        self._events: list[SweepEvent] = []
        splitter = SlidingWindow if config.split == "window" else ConsecutiveSweeps
        self._sweeps: SweepSplitter = splitter(config, self._emit, self._drop, position_tolerance)
        self._needs_metres = needs_metres
        self._matcher = FrameMatcher(config.match_window, self._drop)

    @property
    def images_held(self) -> int:
        """Number of images in memory: slices of the open sweep, and those without focus state."""
        return len(self._sweeps) + self._matcher.images_waiting

    def add_image(
        self,
        stamp: int,
        image: ImageSource,
        *,
        size: tuple[int, int],
        encoding: str = "",
        now: float,
    ) -> list[SweepEvent]:
        """Take in an image.

        Parameters
        ----------
        stamp : int
            Nanoseconds; the same as that of its focus state.
        image : (H, W, 3) or (H, W) uint8, or a function of no arguments that returns one
            The function is called only once the frame is known to be usable. Where it raises
            a `FocdepthError` the frame is dropped.
        size : tuple of int
            Height and width of the image.
        encoding : str
            As the camera names it.
        now : float
            Seconds of a monotonic clock.
        """
        self._advance(now)
        self._take(self._matcher.add_image(StampedImage(stamp, image, size, encoding), now), now)
        return self._take_events()

    def add_focus(self, sample: FocusSample, *, now: float) -> list[SweepEvent]:
        """Take in the focus state of an image; `now` as in `add_image`."""
        self._advance(now)
        self._take(self._matcher.add_focus(sample, now), now)
        return self._take_events()

    def poll(self, *, now: float) -> list[SweepEvent]:
        """End a sweep that is overdue and let go of what waited too long for its partner."""
        self._advance(now)
        return self._take_events()

    def flush(self) -> list[SweepEvent]:
        """End of the stream: the open sweep is finished or dropped, and all starts afresh."""
        self._matcher.flush()
        self._sweeps.restart("flush")
        return self._take_events()

    def _advance(self, now: float) -> None:
        self._matcher.expire(before=now - self.config.timeout)
        self._sweeps.end_if_overdue(now)

    def _take(self, frame: Frame | None, now: float) -> None:
        if frame is None:
            return
        if frame.time_went_back:
            self._sweeps.restart("time_jump")
        item = self._usable_slice(frame)
        if item is not None:
            self._sweeps.add(item, frame.focus, (item.image.shape, frame.image.encoding), now)
        self._matcher.sweep_start = self._sweeps.sweep_start

    def _usable_slice(self, frame: Frame) -> Slice | None:
        """The frame as a slice, or None if it is dropped; decoded last because that is dear."""
        focus = frame.focus
        by_position = self._goes_by_position(focus)
        useless = _without_position if by_position else _without_metres
        refusal = _unsettled(focus) or useless(focus) or self._sweeps.refusal(focus)
        if refusal is None:
            try:
                return _decoded(frame, None if by_position else focus.focus_distance)
            except FocdepthError as error:
                refusal = DropReason.BAD_IMAGE, str(error)
        reason, detail = refusal
        self._drop(reason, f"frame of stamp {seconds(focus.stamp)}: {detail}")
        return None

    def _goes_by_position(self, focus: FocusSample) -> bool:
        """Whether it is the lens position of this frame that counts."""
        if self._needs_metres:
            return False
        is_metric = self._sweeps.is_metric(focus)
        return _without_metres(focus) is not None if is_metric is None else not is_metric

    def _drop(self, reason: DropReason, detail: str) -> None:
        self._emit(FrameDropped(reason, detail))

    def _emit(self, event: SweepEvent) -> None:
        if isinstance(event, (FrameDropped, SweepDropped)):
            self.dropped[str(event.reason)] += 1
        self._events.append(event)

    def _take_events(self) -> list[SweepEvent]:
        events, self._events = self._events, []
        return events


def _unsettled(focus: FocusSample) -> tuple[DropReason, str] | None:
    return None if focus.settled else (DropReason.UNSETTLED, "the lens was still moving")


def _without_metres(focus: FocusSample) -> tuple[DropReason, str] | None:
    """Why no slice of a metric sweep can have this focus state."""
    if focus.lack is not None:
        return focus.lack
    distance = focus.focus_distance
    if math.isnan(distance):
        return (
            DropReason.BAD_FOCUS_DISTANCE,
            "focus distance nan m: the focus source does not know it; have it give metres, or set "
            "focus.lens_map of depth_node, or its aif_only where no depth is wanted",
        )
    if not (distance > 0.0 and math.isfinite(1.0 / distance)):
        return (
            DropReason.BAD_FOCUS_DISTANCE,
            f"focus distance {distance} m is not in (0, inf]; have the focus source give metres",
        )
    return None


def _without_position(focus: FocusSample) -> tuple[DropReason, str] | None:
    """Why no slice of a sweep that goes by lens positions can have this focus state."""
    if math.isfinite(focus.lens_position):
        return None
    if focus.lack is not None:
        return focus.lack
    return (
        DropReason.UNKNOWN_POSITION,
        f"neither the focus distance, {focus.focus_distance} m, nor the lens position, "
        f"{focus.lens_position}, tells the focus; have the focus source give one of them",
    )


def _decoded(frame: Frame, focus_distance: float | None) -> Slice:
    source = frame.image.source
    position = frame.focus.lens_position
    item = Slice(
        source() if callable(source) else source,
        focus_distance,
        frame.focus.stamp,
        None if math.isnan(position) else position,
    )
    if item.size != tuple(frame.image.size):
        height, width = frame.image.size
        raise SliceError(
            f"image was announced as {width}x{height} px and is {item.size[1]}x{item.size[0]}"
        )
    return item
