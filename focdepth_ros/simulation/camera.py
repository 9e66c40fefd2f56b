"""A simulated auto-focus camera: frames in time, sweep after sweep, without ROS."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.renderer import SimulatedStack
from focdepth_ros.stack import CameraIntrinsics, FloatImage, FocalStack, ImageArray, Lens

SweepPattern = Literal["near_to_far", "far_to_near", "ping_pong"]


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """One image and what the driver of a real camera would know of it.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8
        Shared between frames: not to be written to.
    focus_distance : float
        Metres, +inf allowed; NaN where the stack is relative.
    lens_position : float
        Dioptres; NaN where the stack is relative.
    settled : bool
        False while the lens was still on its way.
    sweep_id : int
        Counts sweeps from 1.
    sweep_step, sweep_size : int
        Position in the sweep from 0, and number of positions. Frames during which the lens
        is on its way bear the step that it is on its way to.
    stamp : int
        Nanoseconds.
    """

    image: ImageArray
    focus_distance: float
    lens_position: float
    settled: bool
    sweep_id: int
    sweep_step: int
    sweep_size: int
    stamp: int


class SimulatedCamera:
    """A camera that plays a focal stack over and over.

    Everything is computed beforehand; a frame costs no more than handing it out.

    Parameters
    ----------
    source : SimulatedStack or FocalStack
        A rendered sweep, whose noise differs from sweep to sweep, or a recorded one.
    pattern : {"near_to_far", "far_to_near", "ping_pong"}
        Order of the positions. In ping-pong every direction is a sweep of its own, and the
        position at the turn is exposed in both.
    frame_rate : float
        Frames per second.
    step_settling, jump_settling : int
        Frames during which the lens is on its way after a step to the next position, and
        after the jump back to the first. Such a frame shows the slice that is nearest to where
        the lens is.
    exposures : int
        Number of different noises of a simulated stack; they repeat after as many sweeps.
    seed : int
        Of the noise.

    Raises
    ------
    OptionError
        If an option is out of range.
    """

    def __init__(
        self,
        source: SimulatedStack | FocalStack,
        *,
        pattern: SweepPattern = "near_to_far",
        frame_rate: float = 30.0,
        step_settling: int = 0,
        jump_settling: int = 0,
        exposures: int = 4,
        seed: int = 0,
    ) -> None:
        if pattern not in get_args(SweepPattern):
            raise OptionError(
                f"sweep pattern '{pattern}' is not known; use {', '.join(get_args(SweepPattern))}"
            )
        if not (math.isfinite(frame_rate) and frame_rate > 0.0):
            raise OptionError(f"frame rate is {frame_rate} Hz; it must be above 0 and finite")
        if step_settling < 0 or jump_settling < 0:
            raise OptionError(
                f"settling takes {min(step_settling, jump_settling)} frames; give 0 or more"
            )
        if exposures < 1:
            raise OptionError(f"{exposures} exposures; give at least 1")
        if isinstance(source, SimulatedStack):
            self._stacks = [source.expose(seed + i) for i in range(exposures)]
            self.depth: FloatImage | None = source.depth
        else:
            self._stacks = [source]
            self.depth = None
        self._pattern = pattern
        self._frame_rate = frame_rate
        self._step_settling = step_settling
        self._jump_settling = jump_settling

    @property
    def intrinsics(self) -> CameraIntrinsics | None:
        """Of the camera that recorded the stack, where known."""
        return self._stacks[0].intrinsics

    @property
    def lens(self) -> Lens | None:
        """Of the camera that recorded the stack, where known."""
        return self._stacks[0].lens

    def frames(self, start_stamp: int = 0, *, sweeps: int | None = None) -> Iterator[CameraFrame]:
        """Frames in the order of time.

        Parameters
        ----------
        start_stamp : int
            Stamp of the first frame in nanoseconds.
        sweeps : int, optional
            After how many sweeps to stop; never by default.
        """
        count = len(self._stacks[0])
        number = 0
        previous: int | None = None
        for sweep_id in itertools.count(1) if sweeps is None else range(1, sweeps + 1):
            stack = self._stacks[(sweep_id - 1) % len(self._stacks)]
            for step, target in enumerate(self._order(sweep_id)):
                path = [*self._way(previous, target), float(target)]
                for i, position in enumerate(path):
                    distance, lens_position = _focus_at(stack, position)
                    yield CameraFrame(
                        image=stack.slices[round(position)].image,
                        focus_distance=distance,
                        lens_position=lens_position,
                        settled=i == len(path) - 1,
                        sweep_id=sweep_id,
                        sweep_step=step,
                        sweep_size=count,
                        stamp=start_stamp + round(number * 1e9 / self._frame_rate),
                    )
                    number += 1
                previous = target

    def _order(self, sweep_id: int) -> range:
        count = len(self._stacks[0])
        backwards = self._pattern == "far_to_near" or (
            self._pattern == "ping_pong" and sweep_id % 2 == 0
        )
        return range(count - 1, -1, -1) if backwards else range(count)

    def _way(self, previous: int | None, target: int) -> list[float]:
        """Positions, in slices, that the lens passes before it has settled on the target."""
        if previous is None or previous == target:
            return []
        frames = self._step_settling if abs(target - previous) == 1 else self._jump_settling
        return [previous + (target - previous) * (i + 1) / (frames + 1) for i in range(frames)]


def _focus_at(stack: FocalStack, position: float) -> tuple[float, float]:
    """Focus distance in metres and dioptres between two slices, interpolated in dioptres."""
    if not stack.is_metric:
        return math.nan, math.nan
    below = math.floor(position)
    above = min(below + 1, len(stack) - 1)
    share = position - below
    if share == 0.0:
        distance = stack.slices[below].focus_distance
        assert distance is not None
        return distance, 1.0 / distance
    dioptre = float((1.0 - share) * stack.dioptres[below] + share * stack.dioptres[above])
    return 1.0 / dioptre, dioptre
