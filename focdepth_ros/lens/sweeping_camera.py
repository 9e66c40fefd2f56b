"""Moves the focus of a `CameraDevice` through sweeps and hands out its frames. No ROS in it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from focdepth_ros.errors import CameraDeviceError
from focdepth_ros.lens.camera_device import CameraDevice, Control, DeviceFrame

SweepMode = Literal["ping_pong", "saw_tooth", "paused"]

# What changes the picture for other reasons than the focus.
_AUTOMATICS = (Control.AUTO_EXPOSURE, Control.AUTO_WHITE_BALANCE)


@dataclass(frozen=True)
class SweepTiming:
    """How long things take, in frames where nothing else is said.

    Parameters
    ----------
    settle_frames, jump_settle_frames : int
        Left out after a step to the next position, and after the jump back of a saw-tooth: the
        lens moves, and images that were exposed before are still on their way.
    adapt_period : float
        Seconds after which automatic exposure and white balance may adapt again between two
        sweeps; 0: never.
    adapt_frames : int
        That they have for it.
    """

    settle_frames: int = 4
    jump_settle_frames: int = 10
    adapt_period: float = 10.0
    adapt_frames: int = 8


@dataclass(frozen=True, eq=False)
class SweptFrame:
    """One image and where the focus was.

    Parameters
    ----------
    frame : DeviceFrame
    position : float
        Of the focus control, as read back from the camera; as it was set where that is not told.
    settled : bool
        False while the lens may have moved, is not where it was sent, or is paused.
    sweep_id : int
        Counts sweeps from 1; 0 while paused.
    sweep_step, sweep_size : int
        Position in the sweep from 0, and number of positions.
    """

    frame: DeviceFrame
    position: float
    settled: bool
    sweep_id: int = 0
    sweep_step: int = 0
    sweep_size: int = 0


class SweepingCamera:
    """Sweeps the focus of a camera that is open.

    Parameters
    ----------
    device : CameraDevice
    positions : sequence of float
        Of one sweep, in order, at least 2.
    mode : {"ping_pong", "saw_tooth", "paused"}
        To and fro, each way a sweep of its own; always from the first to the last; or not at all.
    timing : SweepTiming
    lock : bool
        Switch automatic exposure and white balance off during sweeps.
    first_id : int
        Of the first sweep.
    report : callable
        Called with a reason and a text when the camera does not do as it should.
    """

    def __init__(
        self,
        device: CameraDevice,
        positions: Sequence[float],
        *,
        mode: SweepMode,
        timing: SweepTiming,
        lock: bool = True,
        first_id: int = 1,
        report: Callable[[str, str], None],
    ) -> None:
        self._device = device
        self._positions = tuple(positions)
        #: May be changed at any time; counts from the next frame on.
        self.mode: SweepMode = mode
        #: As `mode`.
        self.timing = timing
        #: Of the next sweep.
        self.next_id = first_id
        self._lock = lock
        self._report = report
        self._backwards = False
        self._at: float | None = None  # where the focus was sent last
        self._given: dict[Control, float] = {}  # automatics that are switched off, and their values
        self._locked_since = 0.0

    def frames(self) -> Generator[SweptFrame, None, None]:
        """All frames, until closed; then the camera has its automatic controls back.

        Raises
        ------
        CameraDeviceError
            If the camera is lost, or has no focus control.
        """
        with self._manual_focus():
            while True:
                if self.mode == "paused":
                    self._give_back(_AUTOMATICS)
                    yield self._still_frame()
                else:
                    yield from self._adapting()
                    yield from self._sweep(self.mode)

    def _sweep(self, mode: SweepMode) -> Iterator[SweptFrame]:
        """One sweep; a change of the mode breaks it off."""
        backwards = self._backwards if mode == "ping_pong" else False
        order = self._positions[::-1] if backwards else self._positions
        number, self.next_id = self.next_id, self.next_id + 1
        for step, target in enumerate(order):
            for is_settled, frame in self._frames_at(target, is_jump=step == 0):
                if self.mode != mode:
                    return
                position = self._read_back(target) if is_settled else target
                is_there = is_settled and abs(position - target) <= self._tolerance
                yield SweptFrame(frame, position, is_there, number, step, len(order))
        self._backwards = not backwards

    def _frames_at(self, target: float, *, is_jump: bool) -> Iterator[tuple[bool, DeviceFrame]]:
        """Frames while the lens goes to a position, and the first one there."""
        settling = 0
        if target != self._at:
            if not self._device.set(Control.FOCUS, target):
                raise CameraDeviceError(
                    f"the camera refuses focus position {target:g}; does it have a focus motor, "
                    "and the position in its range? `v4l2-ctl --list-ctrls` tells"
                )
            self._at = target
            timing = self.timing
            settling = timing.jump_settle_frames if is_jump else timing.settle_frames
        for _ in range(settling):
            yield False, self._device.read()
        yield True, self._device.read()

    @property
    def _tolerance(self) -> float:
        """Half of the smallest step: a lens farther off is at another position."""
        places = sorted(self._positions)
        return 0.5 * min(b - a for a, b in pairwise(places))

    def _read_back(self, target: float) -> float:
        position = self._device.get(Control.FOCUS)
        if math.isnan(position):
            return target
        if abs(position - target) > self._tolerance:
            self._report(
                "focus not where it was sent",
                f"it was set to {target:g} and the camera says {position:g}; is auto-focus off, "
                "and are settle_frames enough?",
            )
        return position

    def _still_frame(self) -> SweptFrame:
        frame = self._device.read()
        # It is of no sweep, so that nobody is to wait for others.
        return SweptFrame(frame, self._device.get(Control.FOCUS), settled=False)

    def _adapting(self) -> Iterator[SweptFrame]:
        """Lock what is automatic; now and then let it adapt to the light before."""
        if not self._lock:
            return
        timing, now = self.timing, time.monotonic()
        is_locked = any(control in self._given for control in _AUTOMATICS)
        if is_locked and timing.adapt_period and now - self._locked_since > timing.adapt_period:
            self._give_back(_AUTOMATICS)
            for _ in range(timing.adapt_frames):
                position = self._positions[0] if self._at is None else self._at
                yield SweptFrame(self._device.read(), position, settled=False)
            is_locked = False
        if not is_locked:
            for control in _AUTOMATICS:
                self._take(control)
            self._locked_since = now

    @contextmanager
    def _manual_focus(self) -> Iterator[None]:
        self._take(Control.AUTO_FOCUS)
        try:
            yield
        finally:
            # It may be that the camera is lost, which is why this ends.
            with suppress(CameraDeviceError):
                self._give_back((*_AUTOMATICS, Control.AUTO_FOCUS))

    def _take(self, control: Control) -> None:
        """Switch an automatic off; a camera that has none keeps still by itself."""
        before = self._device.get(control)
        if before == 0.0 or math.isnan(before):
            return
        if self._device.set(control, 0.0):
            self._given[control] = before
        else:
            self._report("control refused", f"{control.value} cannot be switched off")

    def _give_back(self, controls: Sequence[Control]) -> None:
        for control in controls:
            if control in self._given:
                self._device.set(control, self._given.pop(control))
