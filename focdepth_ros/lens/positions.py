"""From lens positions, as drivers tell them, to the focus sample of each image. No ROS in it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.sweep_parts.types import DropReason, FocusSample

_MAX_CHANGES = 256  # of the position that are remembered
_TIME_JUMP = 1_000_000_000  # ns by which a position is older before it is not late: time went back


def sample_at_position(
    stamp: int, position: float, settled: bool, lens_map: LensMap | None, *, why: str = ""
) -> FocusSample:
    """The focus sample of an image that was exposed at a lens position.

    Where there is no telling the distance it is NaN, and the sample says why: nothing is guessed.

    Parameters
    ----------
    stamp : int
        Of the image, nanoseconds.
    position : float
        In the unit of the map; NaN where it is not known.
    settled : bool
    lens_map : LensMap or None
        None: what positions mean is not known.
    why : str
        What is to be said where the position is not known.
    """
    lack = None
    dioptre = math.nan if lens_map is None else float(lens_map.to_dioptres(position))
    if math.isnan(position):
        lack = DropReason.UNKNOWN_POSITION, why or "the source of lens positions gave no number"
    elif math.isnan(dioptre):
        lack = DropReason.OUTSIDE_LENS_MAP, _outside(position, lens_map)
    distance = dioptre if math.isnan(dioptre) else _inverse(dioptre)
    return FocusSample(stamp, distance, position, settled, lack=lack)


@dataclass(frozen=True)
class HeldPosition:
    """A lens position, and since when it has been held, in nanoseconds."""

    position: float
    since: int


class PositionHistory:
    """Which lens position was held at a time, and since when.

    A position holds from its time on, until the next one that differs.

    Parameters
    ----------
    tolerance : float
        Positions that differ by no more from that held are no change; for sensors with noise.
    """

    def __init__(self, tolerance: float = 0.0) -> None:
        self._tolerance = tolerance
        self._changes: deque[HeldPosition] = deque(maxlen=_MAX_CHANGES)
        self._last_time: int | None = None

    def add(self, time: int, position: float, *, moving: bool = False) -> bool:
        """Take in the position at a time in nanoseconds.

        Parameters
        ----------
        time : int
        position : float
            NaN where it is not known.
        moving : bool
            Whether the lens is known to move, so that nothing is held yet.

        Returns
        -------
        bool
            Whether it was taken: one that is older than the last is late and is not, unless it
            is so old that time must have gone back; then all before is forgotten.
        """
        if self._last_time is not None and time < self._last_time:
            if self._last_time - time < _TIME_JUMP:
                return False
            self._changes.clear()
        self._last_time = time
        if moving or not self._changes or not self._is_held(position):
            self._changes.append(HeldPosition(position, time))
        return True

    def at(self, time: int) -> HeldPosition | None:
        """The position held at a time; None where none is known that old."""
        return next((held for held in reversed(self._changes) if held.since <= time), None)

    def reaches(self, time: int) -> bool:
        """Whether no position of this time or an earlier one can still come in its turn."""
        return self._last_time is not None and self._last_time >= time

    def _is_held(self, position: float) -> bool:
        held = self._changes[-1].position
        if math.isnan(position) or math.isnan(held):
            return math.isnan(position) and math.isnan(held)
        return abs(position - held) <= self._tolerance


class PositionMatcher:
    """Finds for every image the lens position at which it was exposed.

    Positions with stamps hold from their stamp on, and an image gets that of its own stamp; it
    waits a little for positions that come later. Positions without hold from their arrival on,
    and an image gets that of its own arrival, which is a little after its exposure. Either way
    it is settled if the position has not changed for `settle_time` before. That has to last
    for the way of the image to the node, too, where positions have no stamps.

    Parameters
    ----------
    lens_map : LensMap or None
    settle_time : float
        Seconds.
    tolerance : float
        As for `PositionHistory`.
    patience : float
        Seconds that an image waits for a position of its stamp or a later one. Where positions
        are told only when they change, that is what comes to the latency.
    capacity : int
        Number of images that wait at most.
    """

    def __init__(
        self,
        lens_map: LensMap | None,
        *,
        settle_time: float,
        tolerance: float = 0.0,
        patience: float = 0.1,
        capacity: int = 32,
    ) -> None:
        self._lens_map = lens_map
        self._settle_time = round(settle_time * 1e9)
        self._history = PositionHistory(tolerance)
        self._patience = round(patience * 1e9)
        self._waiting: deque[tuple[int, int]] = deque(maxlen=capacity)  # stamps, and since when
        self._is_stamped: bool | None = None

    def add_position(self, position: float, stamp: int, *, now: int) -> list[FocusSample]:
        """Take in a position.

        Parameters
        ----------
        position : float
            NaN where it is not known.
        stamp : int
            Nanoseconds; 0: it has none. Whether there are stamps is told by the first one.
        now : int
            Nanoseconds of a monotonic clock.

        Returns
        -------
        list of FocusSample
            Of images that waited for it.
        """
        if self._is_stamped is None:
            self._is_stamped = stamp != 0
            if not self._is_stamped:
                self._waiting.clear()  # they came before the first position
        self._history.add(stamp if self._is_stamped else now, position)
        return self.poll(now=now)

    def add_image(self, stamp: int, *, now: int) -> list[FocusSample]:
        """Take in the stamp of an image that came `now`; samples as from `add_position`."""
        if self._is_stamped is False:
            return self._samples(stamp, now)
        self._waiting.append((stamp, now))
        return self.poll(now=now)

    def poll(self, *, now: int) -> list[FocusSample]:
        """Samples of the images that need not wait any longer."""
        samples = []
        while self._waiting:
            stamp, since = self._waiting[0]
            if not (self._history.reaches(stamp) or now - since >= self._patience):
                break
            self._waiting.popleft()
            samples += self._samples(stamp, stamp)
        return samples

    def _samples(self, stamp: int, time: int) -> list[FocusSample]:
        """That of one image; none if no position was known yet."""
        held = self._history.at(time)
        if held is None:
            return []
        settled = time - held.since >= self._settle_time
        return [sample_at_position(stamp, held.position, settled, self._lens_map)]


class FramePositions:
    """Focus samples from positions that are told of each image, with its own stamp.

    Parameters
    ----------
    lens_map, settle_time, tolerance
        As for `PositionMatcher`.
    """

    def __init__(
        self, lens_map: LensMap | None, *, settle_time: float, tolerance: float = 0.0
    ) -> None:
        self._lens_map = lens_map
        self._settle_time = round(settle_time * 1e9)
        self._history = PositionHistory(tolerance)

    def sample(
        self, stamp: int, position: float, *, moving: bool, why: str = ""
    ) -> FocusSample | None:
        """The focus sample of the image of this stamp; None where it comes after a newer one.

        Parameters
        ----------
        stamp, position, why
            As for `sample_at_position`.
        moving : bool
            Whether the driver says that the lens is moving.
        """
        if not self._history.add(stamp, position, moving=moving):
            return None
        held = self._history.at(stamp)
        assert held is not None
        settled = not moving and stamp - held.since >= self._settle_time
        return sample_at_position(stamp, position, settled, self._lens_map, why=why)


def _outside(position: float, lens_map: LensMap | None) -> str:
    if lens_map is None:
        return f"lens position {position:g}, and no lens map that says what it means"
    low, high = lens_map.range
    return (
        f"lens position {position:g} {lens_map.unit} is not in [{low:g}, {high:g}], which the lens "
        "map knows; calibrate over a wider range, or sweep a smaller one"
    )


def _inverse(dioptre: float) -> float:
    return 1.0 / dioptre if dioptre > 0.0 else math.inf
