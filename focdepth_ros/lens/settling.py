"""Whether the lens stood still while a frame was exposed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from focdepth_ros.lens.focus_schedule import FocusStep


@dataclass(frozen=True)
class FrameFocus:
    """Where the focus was in one frame.

    Parameters
    ----------
    position : float
        Of the lens, in the driver's unit; NaN where it is not known.
    settled : bool
        Whether the frame can join a sweep.
    sweep_id : int
        0 where it belongs to none.
    sweep_step, sweep_size : int
        Which frame of the sweep it is, from 0, and how many there are. Frames on the way bear
        the number of the one that the lens is on its way for.
    """

    position: float = math.nan
    settled: bool = False
    sweep_id: int = 0
    sweep_step: int = 0
    sweep_size: int = 0


class Settling:
    """Follows the lens from stop to stop and tells for every frame whether it counts.

    The lens is where it should be once the driver tells so for the frame itself, or, where it
    tells nothing of frames, once the position was read back; and `settle_time` later. Of the
    frames from then on the first `settle_frames` are left out: they may have begun before.

    Parameters
    ----------
    tolerance : float
        Of the position, in the driver's unit.
    frames_tell : bool
        Whether the driver tells for each frame where the lens was.
    settle_time : float
        Seconds.
    settle_frames : int
    """

    def __init__(
        self, tolerance: float, *, frames_tell: bool, settle_time: float, settle_frames: int
    ) -> None:
        self._tolerance = tolerance
        self._frames_tell = frames_tell
        self._settle_time = settle_time
        self._settle_frames = self._to_skip = settle_frames
        self._step: FocusStep | None = None
        self._stands_from = math.inf
        self._frames_per_step = 1
        #: Frames of this stop that counted so far.
        self.taken = 0
        #: Position of the lens in the last frame that came with one; NaN before.
        self.last_position = math.nan

    @property
    def has_arrived(self) -> bool:
        """Whether the lens is known to be where it should be, if perhaps not for long enough."""
        return self._stands_from < math.inf

    def rest(self) -> None:
        """No sweep is made: from now on no frame counts."""
        self._step = None

    def aim(self, step: FocusStep, frames: int, *, moves: bool) -> None:
        """The lens is about to be sent to a stop; no frame counts until it is there.

        Parameters
        ----------
        step : FocusStep
        frames : int
            That are to be taken there.
        moves : bool
            False where the lens is there already.
        """
        self._step = step
        self._frames_per_step = frames
        self._to_skip = self._settle_frames if moves else 0
        self._stands_from = math.inf if moves else -math.inf
        self.taken = 0

    def confirmed(self, now: float) -> None:
        """The driver has told that it has the position; `now` in monotonic seconds."""
        if not self._frames_tell:
            self._stands_from = now + self._settle_time

    def frame(self, exposed: float, position: float | None) -> FrameFocus:
        """What is to be said of the next frame.

        Parameters
        ----------
        exposed : float
            When it was exposed, monotonic seconds.
        position : float, optional
            Where the driver says that the lens was.
        """
        step, known = self._step, math.nan if position is None else position
        self.last_position = known if position is not None else self.last_position
        if step is None:
            return FrameFocus(known)
        if self._frames_tell:
            self._look(exposed, known, step)
        settled = False
        if exposed >= self._stands_from:
            if self._to_skip > 0:
                self._to_skip -= 1
            else:
                settled = self.taken < self._frames_per_step
        if settled and position is None:
            known = step.position
        number = step.index * self._frames_per_step + min(self.taken, self._frames_per_step - 1)
        size = step.count * self._frames_per_step
        self.taken += settled
        return FrameFocus(known, settled, step.sweep_id, number, size)

    def _look(self, exposed: float, position: float, step: FocusStep) -> None:
        if abs(position - step.position) <= self._tolerance:
            self._stands_from = min(self._stands_from, exposed + self._settle_time)
        else:  # not yet there, or no longer; so does a frame without a position
            self._stands_from = math.inf
            self._to_skip = self._settle_frames
