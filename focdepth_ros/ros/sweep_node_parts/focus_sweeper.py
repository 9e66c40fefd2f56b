"""The work of `sweep_node`: takes a camera in hand, sweeps its focus, tries again on failure."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from focdepth_ros.errors import DriverError
from focdepth_ros.lens.driver_table import DriverTable, Switch
from focdepth_ros.lens.focus_schedule import (
    FocusSchedule,
    FocusStep,
    LensUnit,
    metres_of,
    plan_focus,
)
from focdepth_ros.lens.settling import Settling
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.parameters.sweep import SweepNodeParameters
from focdepth_ros.ros.sweep_node_parts.focus_driver import FocusDriver
from focdepth_ros.ros.sweep_node_parts.stepping import until

_LONGEST_DELAY = 8.0  # seconds between two tries


@dataclass(frozen=True)
class SweepAnswer:
    """What became of a sweep that was asked for."""

    success: bool
    message: str


class FocusSweeper:
    """Sends the lens from stop to stop as the mode says, and waits for the frames there.

    Parameters
    ----------
    table : DriverTable
    driver : FocusDriver
    settling : Settling
        Is told where the lens is sent; the frames are told to it by whoever receives them.
    health : NodeHealth
    parameters : SweepNodeParameters
    frame_topic : str
        Its full name, for the messages.
    """

    def __init__(
        self,
        table: DriverTable,
        driver: FocusDriver,
        settling: Settling,
        health: NodeHealth,
        parameters: SweepNodeParameters,
        frame_topic: str,
    ) -> None:
        self._table = table
        self._driver = driver
        self._settling = settling
        self._health = health
        self._frame_topic = frame_topic
        self._requests: list[Callable[[SweepAnswer], None]] = []
        self._first_frame = self._last_frame = -math.inf
        self._sweep_id = 0
        self._sweeps_of_session = 0
        self._position: float | None = None  # of the lens, None where it is not known
        #: May be replaced by changed ones at any time.
        self.parameters = parameters
        #: What is being done, in words.
        self.stage = "starts"

    @property
    def requests_waiting(self) -> int:
        """How many sweeps were asked for that are not made yet."""
        return len(self._requests)

    def note_frame(self, now: float) -> None:
        """A frame has come, at a time in monotonic seconds."""
        if self._is_silent(now):
            self._first_frame = now
        self._last_frame = now

    def request(self, answer: Callable[[SweepAnswer], None]) -> None:
        """Ask for a sweep from its beginning on; `answer` is called when it is made or failed."""
        self._requests.append(answer)

    def refuse_requests(self, message: str) -> None:
        """Answer all that is asked for."""
        self._answer(self._requests, SweepAnswer(False, message))

    async def work(self) -> None:
        """Sweep whenever it is wanted; after a failure wait and set up everything anew."""
        failures = 0
        while True:
            self.stage = "idle"
            await until(self._is_wanted, math.inf)
            try:
                await self._session()
                failures = 0
            except DriverError as error:
                failures = 0 if self._sweeps_of_session else failures
                self._health.condition("driver", str(error), Level.ERROR)
                self._health.count("failures")
                self.refuse_requests(str(error))
                await self._pause(self.parameters.retry_delay * 2**failures)
                failures += 1

    async def _session(self) -> None:
        """Take the camera in hand, sweep as long as it is wanted, and give it back."""
        self._sweeps_of_session = 0
        try:
            self.stage = "waits for frames"
            await self._frames_and_exposure()
            self.stage = "sets up the camera"
            self._position = None
            unit = await self._driver.take(self._locks())
            while self._is_wanted():
                await self._sweep(unit)
        except DriverError:
            self._settling.rest()
            await self._driver.try_to_give_back()
            raise
        self._settling.rest()
        self.stage = "gives the camera back"
        await self._driver.give_back()

    async def _frames_and_exposure(self) -> None:
        """Wait until frames come and the camera has had time to find its exposure."""
        limit = self.parameters.move_timeout
        if not await until(lambda: not self._is_silent(time.monotonic()), limit):
            raise self._no_frames()
        exposed_for = time.monotonic() - self._first_frame
        await until(lambda: False, self.parameters.converge_time - exposed_for)

    async def _sweep(self, unit: LensUnit) -> None:
        """One sweep, from stop to stop."""
        parameters, asked_for = self.parameters, list(self._requests)
        schedule = plan_focus(unit, parameters.near, parameters.far, parameters.steps)
        self._tell(schedule)
        self._sweep_id = sweep_id = self._sweep_id % (2**32 - 1) + 1
        backwards = parameters.mode == "ping_pong" and self._is_at_far_end(schedule)
        started = time.monotonic()
        for step in schedule.sweep(sweep_id, far_to_near=backwards):
            if self.parameters.mode == "paused":
                self._health.count("sweeps broken off")
                return
            self.stage = f"sweep {sweep_id}, {step.index + 1} of {step.count}"
            await self._stop(step, parameters.frames_per_step)
        duration = time.monotonic() - started
        self._sweeps_of_session += 1
        self._health.count("sweeps made")
        self._health.set_value("time of the last sweep [s]", f"{duration:.2f}")
        self._health.condition("driver", None)
        made = f"sweep {sweep_id}: {len(schedule.positions)} {self._span(schedule)}"
        self._answer(asked_for, SweepAnswer(True, f"{made} in {duration:.2f} s"))

    async def _stop(self, step: FocusStep, frames: int) -> None:
        """Send the lens to a stop and take the frames there."""
        parameters = self.parameters
        moves = self._position != step.position
        self._settling.aim(step, frames, moves=moves)
        for attempt in range(parameters.tries):
            if moves or attempt > 0:
                self._position = None
                await self._driver.move(step.position)
                self._settling.confirmed(time.monotonic())
            if await self._frames_taken(frames):
                self._position = step.position
                return
        raise DriverError(
            f"the lens was sent to {step.position:g} {self._table.unit} {parameters.tries} times, "
            f"but by the frames it is at {self._settling.last_position:g}; is it blocked?"
        )

    async def _frames_taken(self, frames: int) -> bool:
        """Wait for the frames of a stop; False if the lens does not arrive there."""
        limit, started = self.parameters.move_timeout, time.monotonic()

        def has_ended() -> bool:
            now = time.monotonic()
            is_late = not self._settling.has_arrived and now > started + limit
            return self._settling.taken >= frames or is_late or self._is_silent(now, started)

        await until(has_ended, math.inf)
        if self._settling.taken < frames and self._is_silent(time.monotonic(), started):
            raise self._no_frames()
        return self._settling.taken >= frames

    async def _pause(self, seconds: float) -> None:
        """Wait after a failure, but only until the driver is back or a sweep is asked for."""
        self.stage = "waits to try again"
        was_there = self._driver.is_there

        def has_ended() -> bool:
            is_back = self._driver.is_there and not was_there
            return is_back or bool(self._requests)

        await until(has_ended, min(seconds, _LONGEST_DELAY))

    def _is_wanted(self) -> bool:
        mode = self.parameters.mode
        return bool(self._requests) if mode == "on_demand" else mode != "paused"

    def _is_at_far_end(self, schedule: FocusSchedule) -> bool:
        if self._position is None:
            return False
        near, far = schedule.positions[0], schedule.positions[-1]
        return abs(self._position - far) < abs(self._position - near)

    def _is_silent(self, now: float, since: float = -math.inf) -> bool:
        return now - max(self._last_frame, since) > self.parameters.move_timeout

    def _locks(self) -> list[tuple[Switch, ...]]:
        parameters, table = self.parameters, self._table
        locks = (
            (parameters.lock_exposure, table.exposure),
            (parameters.lock_white_balance, table.white_balance),
        )
        return [switches for is_wanted, switches in locks if is_wanted]

    def _tell(self, schedule: FocusSchedule) -> None:
        self._health.condition("limits", "; ".join(schedule.remarks) or None)
        self._health.set_value("sweep", self._span(schedule))
        positions = " ".join(f"{position:.4g}" for position in schedule.positions)
        self._health.set_value(f"lens positions [{self._table.unit}]", positions)

    def _span(self, schedule: FocusSchedule) -> str:
        """From where to where the sweep goes."""
        near, far = (metres_of(schedule.dioptres[i]) for i in (0, -1))
        if math.isnan(near):
            ends = f"{schedule.positions[0]:g} to {schedule.positions[-1]:g} {self._table.unit}"
            return f"lens positions from {ends}"
        farthest = "infinity" if math.isinf(far) else f"{far:.3g} m"
        return f"focus distances from {near:.3g} m to {farthest}"

    def _no_frames(self) -> DriverError:
        return DriverError(
            f"no frames on {self._frame_topic} for {self.parameters.move_timeout:g} s; start the "
            "camera driver, remap the topic, or set the parameter frames"
        )

    def _answer(
        self, requests: Sequence[Callable[[SweepAnswer], None]], answer: SweepAnswer
    ) -> None:
        for request in list(requests):
            if request in self._requests:
                self._requests.remove(request)
                request(answer)
