"""Sweeps on their way from the thread that collects them to the one that works on them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from focdepth_ros.stack import Slice
from focdepth_ros.sweep_parts.types import Sweep


class QueuedSweep:
    """A sweep that may still be coming in.

    Iterating over it gives its slices as they come, and ends with the sweep. Then `finished`
    is the whole sweep, or None if it was dropped.

    Parameters
    ----------
    changed : Condition
        Of the queue; guards everything in here.
    height, width : int
        Size of the images in pixels.
    frame_id : str
        Of the images.
    metric : bool
        Whether its slices have focus distances; else they have lens positions.
    """

    def __init__(
        self,
        changed: threading.Condition,
        height: int,
        width: int,
        frame_id: str,
        metric: bool,
    ) -> None:
        self.height = height
        self.width = width
        self.frame_id = frame_id
        self.metric = metric
        #: Counts finished sweeps from 1; 0 before this one is finished.
        self.sequence = 0
        self.finished: Sweep | None = None
        #: When the last slice came, in seconds of the collector's clock.
        self.last_arrival = 0.0
        self._changed = changed
        self._slices: deque[Slice] = deque()
        self._is_open = True

    def __iter__(self) -> Iterator[Slice]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slices or not self._is_open)
                if not self._slices:
                    return
                item = self._slices.popleft()
            yield item

    def _add(self, item: Slice, replaces_last: bool, now: float) -> None:
        if replaces_last and self._slices:
            self._slices.pop()
        self._slices.append(item)
        self.last_arrival = now

    def _close(self) -> None:
        self._is_open = False
        if self.finished is None:
            self._slices.clear()

    def _cancel(self) -> None:
        self.finished = None
        self._close()


class SweepQueue:
    """Hands sweeps to one worker, from their first slice on.

    At most one sweep is open, one is being worked on, and `max_waiting` whole ones wait. One
    more, and the oldest that waits is dropped: when the worker is too slow, its answers should
    at least be new. Slices are held by these sweeps only, so ``max_waiting + 2`` sweeps bound
    the memory.

    Parameters
    ----------
    max_waiting : int
        At least 1.
    """

    def __init__(self, max_waiting: int = 1) -> None:
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._waiting: deque[QueuedSweep] = deque()
        self._open: QueuedSweep | None = None
        self._in_work: QueuedSweep | None = None
        self._finished_count = 0
        self._is_closed = False
        self._worker_is_idle = False

    @property
    def under_way(self) -> int:
        """Number of sweeps that wait or are being worked on; the open one is among them.

        A worker that has not asked for its first one yet, since it gets ready, counts as one.
        """
        with self._changed:
            return len(self._waiting) + (not self._worker_is_idle)

    @property
    def is_closed(self) -> bool:
        """Whether no answer is wanted any more."""
        with self._changed:
            return self._is_closed

    def start(self, height: int, width: int, frame_id: str, *, metric: bool = True) -> None:
        """A sweep begins; the slices to come are its."""
        with self._changed:
            self._open = QueuedSweep(self._changed, height, width, frame_id, metric)
            self._waiting.append(self._open)
            self._changed.notify_all()

    def add(self, item: Slice, *, replaces_last: bool = False, now: float) -> None:
        """The open sweep has a new slice, at this time of a monotonic clock."""
        with self._changed:
            if self._open is not None:
                self._open._add(item, replaces_last, now)
                self._changed.notify_all()

    def finish(self, sweep: Sweep) -> QueuedSweep | None:
        """The open sweep is whole.

        Returns
        -------
        QueuedSweep or None
            The sweep that was dropped because too many wait.
        """
        with self._changed:
            queued, self._open = self._open, None
            if queued is None:
                return None
            self._finished_count += 1
            queued.sequence = self._finished_count
            queued.finished = sweep
            queued._close()
            dropped = None
            if len(self._waiting) > self._max_waiting:
                dropped = self._waiting.popleft()
                dropped._cancel()
            self._changed.notify_all()
            return dropped

    def abandon(self) -> None:
        """The open sweep will not become whole."""
        with self._changed:
            abandoned, self._open = self._open, None
            if abandoned is not None:
                abandoned._close()
                with suppress(ValueError):  # the worker may have it already
                    self._waiting.remove(abandoned)
                self._changed.notify_all()

    def next(self) -> QueuedSweep | None:
        """Wait for a sweep, whole or just begun; None when the queue is closed."""
        with self._changed:
            self._worker_is_idle = True
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if self._is_closed:
                return None
            self._worker_is_idle = False
            self._in_work = self._waiting.popleft()
            return self._in_work

    def close(self) -> None:
        """Let the worker end: the sweeps that wait, and the one in work, are dropped."""
        with self._changed:
            self._is_closed = True
            for queued in (*self._waiting, self._in_work):
                if queued is not None:
                    queued._cancel()
            self._waiting.clear()
            self._open = None
            self._changed.notify_all()
