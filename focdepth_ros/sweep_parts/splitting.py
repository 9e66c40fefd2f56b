"""Where one focus sweep ends and the next begins: `ConsecutiveSweeps`, `SlidingWindow`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np

from focdepth_ros.stack import ImageArray, Slice
from focdepth_ros.sweep_parts.config import SweepConfig
from focdepth_ros.sweep_parts.types import (
    DropReason,
    EndReason,
    FocusSample,
    SliceAdded,
    Sweep,
    SweepDropped,
    SweepEvent,
    SweepFinished,
    SweepStarted,
    seconds,
)

#: Shape of the decoded image and name of the encoding in which it came.
ImageFormat = tuple[tuple[int, ...], str]

# `sharpness` takes every n-th pixel, so that about this many columns are left.
_SHARPNESS_COLUMNS = 320


class SweepSplitter(ABC):
    """Slices come in one by one in the order of their exposure, sweeps go out.

    Parameters
    ----------
    config : SweepConfig
    emit : callable
        Called with every event.
    drop : callable
        Called with the reason and the detail of each frame that is left out.
    position_tolerance : float
        Lens positions that differ by no more count as the same, where there are no distances.
    """

    def __init__(
        self,
        config: SweepConfig,
        emit: Callable[[SweepEvent], None],
        drop: Callable[[DropReason, str], None],
        position_tolerance: float = 0.0,
    ) -> None:
        self._config = config
        self._emit = emit
        self._drop = drop
        self._position_tolerance = position_tolerance
        self._slices: list[Slice] = []
        self._format: ImageFormat | None = None
        self._last_progress = -math.inf
        self._finished_start: int | None = None

    def __len__(self) -> int:
        """Number of slices of the open sweep."""
        return len(self._slices)

    def is_metric(self, focus: FocusSample) -> bool | None:
        """Whether the sweep that this frame joins has focus distances; None: it begins one."""
        return _is_metric(self._slices[0]) if self._slices else None

    @property
    def sweep_start(self) -> int | None:
        """Stamp of the first slice of the last sweep with enough slices, if there is one."""
        if self._finished_start is None and len(self._slices) >= self._config.min_slices:
            return self._slices[0].stamp
        return self._finished_start

    def refusal(self, focus: FocusSample) -> tuple[DropReason, str] | None:
        """Why a frame with this focus state cannot become part of any sweep."""
        return None

    @abstractmethod
    def add(self, item: Slice, focus: FocusSample, image_format: ImageFormat, now: float) -> None:
        """Take in the slice that comes next in time."""

    @abstractmethod
    def end(self, reason: EndReason) -> None:
        """Finish the open sweep, or drop it if it has too few slices."""

    def end_if_overdue(self, now: float) -> None:
        """End the open sweep if it has seen no new distance for too long."""
        if now - self._last_progress > self._config.timeout:
            self.end("timeout")

    def restart(self, reason: EndReason) -> None:
        """End the open sweep and forget those before."""
        self.end(reason)
        self._finished_start = None

    def _finish(self, reason: EndReason) -> None:
        self._emit(SweepFinished(Sweep(tuple(self._slices), reason)))
        self._finished_start = self._slices[0].stamp

    def _drop_sweep(self, reason: EndReason) -> None:
        doubt = "does the focus move?"
        if reason == "timeout":
            doubt = f"does the focus move, and within the timeout of {self._config.timeout:g} s?"
        self._emit(
            SweepDropped(
                DropReason.TOO_FEW_SLICES,
                f"sweep that ended by {reason} has {len(self._slices)} focus distances, "
                f"needs {self._config.min_slices} (min_slices); {doubt}",
                len(self._slices),
            )
        )

    def _is_same_distance(self, item: Slice, other: Slice) -> bool:
        if not _is_metric(item):
            return abs(_place(item) - _place(other)) <= self._position_tolerance
        if item.rounded_dioptre == other.rounded_dioptre:
            return True  # a stack does not tell them apart
        return abs(item.dioptre - other.dioptre) <= self._config.min_dioptre_step

    def _repeats_last(self, item: Slice) -> bool:
        return bool(self._slices) and self._is_same_distance(item, self._slices[-1])

    def _keep_sharper(self, item: Slice) -> Slice:
        """Let a slice and the last one, at the same distance, compete; the loser is returned."""
        last = self._slices[-1]
        if sharpness(item.image) <= sharpness(last.image):
            return item
        where = "focus_distance" if _is_metric(item) else "lens_position"
        self._slices[-1] = replace(item, **{where: getattr(last, where)})
        return last

    def _drop_duplicate(self, item: Slice) -> None:
        self._drop(
            DropReason.DUPLICATE,
            f"frame of stamp {seconds(item.stamp)}: the sweep has another slice {item.where}",
        )


class ConsecutiveSweeps(SweepSplitter):
    """One sweep after the other, split by sweep id, reversal or count."""

    def __init__(
        self,
        config: SweepConfig,
        emit: Callable[[SweepEvent], None],
        drop: Callable[[DropReason, str], None],
        position_tolerance: float = 0.0,
    ) -> None:
        super().__init__(config, emit, drop, position_tolerance)
        self._sweep_id = self._sweep_step = 0
        self._finished_id = self._finished_step = 0

    def refusal(self, focus: FocusSample) -> tuple[DropReason, str] | None:
        """A frame without sweep id where it is needed, or one of a sweep already finished."""
        if self._config.split == "sweep_id" and focus.sweep_id == 0:
            return DropReason.NO_SWEEP_ID, "sweep_id is 0; set split to 'auto' or 'reversal'"
        sweep_id = self._id_of(focus)
        # The first step once more: a driver that was started anew counts from the same id again.
        is_new = focus.sweep_step == 0 < self._finished_step and not self._slices
        if sweep_id != 0 and sweep_id == self._finished_id and not is_new:
            return DropReason.SWEEP_OVER, f"sweep {sweep_id} is already finished"
        return None

    def is_metric(self, focus: FocusSample) -> bool | None:
        """See the base class; a frame of another sweep id joins no open sweep."""
        return super().is_metric(focus) if self._id_of(focus) == self._sweep_id else None

    def add(self, item: Slice, focus: FocusSample, image_format: ImageFormat, now: float) -> None:
        """Take in the slice that comes next in time."""
        sweep_id = self._id_of(focus)
        if self._slices and image_format != self._format:
            self.end("format_change")
        if self._slices and sweep_id != self._sweep_id:
            self.end("sweep_id")
        self._format = image_format
        self._sweep_id, self._sweep_step = sweep_id, focus.sweep_step
        if sweep_id == self._finished_id:
            self._finished_id = 0

        if self._repeats_last(item):
            loser = self._keep_sharper(item)
            if loser is not item:
                self._emit(SliceAdded(self._slices[-1], replaces_last=True))
            self._drop_duplicate(loser)
        else:
            self._end_at_turn(item, now)
            if any(self._is_same_distance(item, other) for other in self._slices):
                self._drop_duplicate(item)
            else:
                self._append(item, now)

        self._end_if_whole(focus)

    def end(self, reason: EndReason) -> None:
        """Finish the open sweep, or drop it if it has too few slices."""
        if len(self._slices) >= self._config.min_slices:
            self._finish(reason)
            # The rest of a sweep in another format is a sweep of its own.
            if reason != "format_change":
                self._finished_id, self._finished_step = self._sweep_id, self._sweep_step
        elif self._slices:
            self._drop_sweep(reason)
        self._slices = []

    def restart(self, reason: EndReason) -> None:
        """End the open sweep and forget those before."""
        super().restart(reason)
        self._finished_id = 0

    def _id_of(self, focus: FocusSample) -> int:
        """The sweep id, or 0 where there is none or it does not matter."""
        return focus.sweep_id if self._config.split in ("auto", "sweep_id") else 0

    def _end_at_turn(self, item: Slice, now: float) -> None:
        """End the open sweep if this slice goes back in it; one that turns round is shared."""
        by_reversal = self._config.split in ("auto", "reversal") and self._sweep_id == 0
        turn = focus_turn([*map(_place, self._slices)], _place(item)) if by_reversal else None
        if turn is not None:
            turning_slice = self._slices[-1]
            self.end("reversal")
            if turn == "round":
                self._append(turning_slice, now)

    def _append(self, item: Slice, now: float) -> None:
        if not self._slices:
            self._emit(SweepStarted(*item.size, _is_metric(item)))
        self._slices.append(item)
        self._emit(SliceAdded(item))
        self._last_progress = now

    def _end_if_whole(self, focus: FocusSample) -> None:
        last_step = focus.sweep_size > 0 and focus.sweep_step == focus.sweep_size - 1
        if self._config.split == "count" and len(self._slices) == self._config.count:
            self.end("count")
        elif self._sweep_id != 0 and last_step:
            self.end("complete")
        elif len(self._slices) >= self._config.max_slices:
            self.end("max_slices")


class SlidingWindow(SweepSplitter):
    """Sweeps of the last ``count`` distinct distances, the newest slice of each.

    Where the camera has fewer distances than that, the window counts as full after twice as
    many frames.
    """

    def __init__(
        self,
        config: SweepConfig,
        emit: Callable[[SweepEvent], None],
        drop: Callable[[DropReason, str], None],
        position_tolerance: float = 0.0,
    ) -> None:
        super().__init__(config, emit, drop, position_tolerance)
        self._frames = 0
        self._new_distances = 0
        self._sent_until: int | None = None

    def add(self, item: Slice, focus: FocusSample, image_format: ImageFormat, now: float) -> None:
        """Take in the slice that comes next in time."""
        if self._slices and image_format != self._format:
            self.end("format_change")
        self._format = image_format

        if self._repeats_last(item):
            loser = self._keep_sharper(item)
            if loser is item or self._is_unsent(loser):
                self._drop_duplicate(loser)
            return

        kept = [other for other in self._slices if not self._is_same_distance(item, other)]
        window = [*kept, item][-self._config.count :]
        for other in self._slices:
            if other not in window and self._is_unsent(other):
                self._drop_duplicate(other)
        self._slices = window
        self._last_progress = now
        self._frames += 1
        self._new_distances += 1

        is_full = len(self._slices) == self._config.count or (
            self._frames >= 2 * self._config.count and len(self._slices) >= self._config.min_slices
        )
        if is_full and self._new_distances >= self._config.window_stride:
            self._finish("window")

    def end(self, reason: EndReason) -> None:
        """Finish the window if it has slices that were in none before, and empty it."""
        if any(map(self._is_unsent, self._slices)):
            if len(self._slices) >= self._config.min_slices:
                self._finish(reason)
            else:
                self._drop_sweep(reason)
        self._slices = []
        self._frames = self._new_distances = 0
        self._sent_until = None

    def _finish(self, reason: EndReason) -> None:
        self._emit(SweepStarted(*self._slices[0].size, _is_metric(self._slices[0])))
        for item in self._slices:
            self._emit(SliceAdded(item))
        super()._finish(reason)
        self._new_distances = 0
        self._sent_until = self._slices[-1].stamp

    def _is_unsent(self, item: Slice) -> bool:
        return self._sent_until is None or item.stamp > self._sent_until


def focus_turn(places: Sequence[float], new: float) -> Literal["round", "back"] | None:
    """Whether the focus turned round or jumped back.

    A frame that comes back to the earlier half of the slices is a jump back to the start
    (saw-tooth), one that comes back to the later half a turn (ping-pong). Slices are counted,
    since steps may be of any size. With only two of them there is no telling a step from the
    range, so that a step back of about one step counts as a turn.

    Parameters
    ----------
    places : sequence of float
        Of a sweep that so far goes one way, in order of exposure: dioptres, or lens positions.
    new : float
        That of the frame which comes next.

    Returns
    -------
    "round", "back", or None where the sweep goes on
    """
    if len(places) < 2:
        return None
    covered = places[-1] - places[0]
    step = new - places[-1]
    if (step > 0.0) == (covered > 0.0):
        return None
    if len(places) == 2:
        return "back" if abs(step) > 1.5 * abs(covered) else "round"
    nearest = min(range(len(places)), key=lambda i: abs(places[i] - new))
    return "round" if 2 * nearest >= len(places) - 1 else "back"


def sharpness(image: ImageArray) -> float:
    """Mean energy of the Laplacian, on a part of the pixels; to compare like with like.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8
    """
    stride = max(1, image.shape[1] // _SHARPNESS_COLUMNS)
    # Green stands for grey: no conversion, and half of the pixels behind it were really measured.
    grey = image[::stride, ::stride] if image.ndim == 2 else image[::stride, ::stride, 1]
    laplacian = cv2.Laplacian(np.ascontiguousarray(grey), cv2.CV_32F)
    return float(np.mean(np.square(laplacian)))


def _is_metric(item: Slice) -> bool:
    return item.focus_distance is not None


def _place(item: Slice) -> float:
    """What tells the slices of a sweep apart: dioptres, or without them the lens position."""
    if item.focus_distance is None:
        assert item.lens_position is not None
        return item.lens_position
    return item.dioptre
