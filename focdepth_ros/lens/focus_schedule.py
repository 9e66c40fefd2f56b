"""Where the lens goes in a focus sweep, and in which order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from focdepth_ros.errors import DriverError, OptionError
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.optics import sweep_distances

_LIMIT_SLACK = 1e-3  # 1/m; by so much a limit may be missed without a word


@dataclass(frozen=True)
class FocusStep:
    """One stop of the lens.

    Parameters
    ----------
    position : float
        In the driver's unit.
    dioptre : float
        Inverse focus distance, 1/m, 0 at infinity.
    sweep_id : int
        Counts sweeps from 1.
    index, count : int
        Which stop of the sweep it is, from 0, and how many there are.
    """

    position: float
    dioptre: float
    sweep_id: int
    index: int
    count: int


@dataclass(frozen=True)
class PositionGrid:
    """The positions of a lens that cannot go to all between two: whole steps from one of them.

    Parameters
    ----------
    step : float
        More than 0.
    origin : float
    """

    step: float = 1.0
    origin: float = 0.0

    def nearest(self, position: float, least: float, greatest: float) -> float:
        """The position of the grid nearest to any other, within limits."""
        first = math.ceil((least - self.origin) / self.step)
        last = math.floor((greatest - self.origin) / self.step)
        number = min(max(round((position - self.origin) / self.step), first), last)
        return self.origin + self.step * number


WHOLE = PositionGrid()


@dataclass(frozen=True)
class LensUnit:
    """Lens positions of one camera: what they mean, and which there are.

    Parameters
    ----------
    range : tuple of float
        Least and greatest position that the driver takes.
    grid : PositionGrid or None
        Of those that it takes; None: it takes all in the range.
    lens_map : LensMap, optional
    is_dioptre : bool
        Whether positions are dioptres where there is no lens map; else they mean nothing then.
    """

    range: tuple[float, float]
    grid: PositionGrid | None
    lens_map: LensMap | None = None
    is_dioptre: bool = True

    @property
    def is_metric(self) -> bool:
        """Whether focus distances are known."""
        return self.is_dioptre or self.lens_map is not None

    @property
    def reach(self) -> tuple[float, float]:
        """Inverse focus distances of the farthest and the nearest focus, 1/m.

        Raises
        ------
        DriverError
            If the lens map is for other positions than the driver takes.
        """
        least, greatest = self.range
        if self.lens_map is not None:
            least, greatest = (
                max(least, self.lens_map.range[0]),
                min(greatest, self.lens_map.range[1]),
            )
            if not least < greatest:
                raise DriverError(
                    f"the driver takes lens positions from {self.range[0]:g} to "
                    f"{self.range[1]:g}, the lens map has {self.lens_map.range[0]:g} to "
                    f"{self.lens_map.range[1]:g}; give the lens map of this camera"
                )
        ends = self.to_dioptre(least), self.to_dioptre(greatest)
        return max(min(ends), 0.0), max(ends)

    def to_dioptre(self, position: float) -> float:
        """Inverse focus distance of a position, 1/m; NaN where it is not known."""
        if self.lens_map is None:
            return position
        return float(self.lens_map.to_dioptres(position))

    def to_position(self, dioptre: float) -> float:
        """Position nearest to an inverse focus distance within the reach."""
        position = dioptre if self.lens_map is None else float(self.lens_map.to_positions(dioptre))
        if self.grid is None:
            return position
        least, greatest = self.range
        if self.lens_map is not None:
            least, greatest = (
                max(least, self.lens_map.range[0]),
                min(greatest, self.lens_map.range[1]),
            )
        return self.grid.nearest(position, least, greatest)


@dataclass(frozen=True)
class FocusSchedule:
    """The stops of a sweep, uniform in dioptres, near to far.

    Where focus distances are not known they are uniform in positions, from the greatest to the
    least: for most cameras that is from near to far.

    Parameters
    ----------
    positions, dioptres : tuple of float
        In the driver's unit, and 1/m; NaN where they are not known.
    remarks : tuple of str
        In what they are not what was asked for.
    """

    positions: tuple[float, ...]
    dioptres: tuple[float, ...]
    remarks: tuple[str, ...] = field(default=())

    def sweep(self, sweep_id: int, *, far_to_near: bool = False) -> Iterator[FocusStep]:
        """The stops of one sweep in order."""
        stops = list(zip(self.positions, self.dioptres, strict=True))
        if far_to_near:
            stops.reverse()
        for index, (position, dioptre) in enumerate(stops):
            yield FocusStep(position, dioptre, sweep_id, index, len(stops))


def plan_focus(unit: LensUnit, near: float, far: float, steps: int) -> FocusSchedule:
    """Stops between two distances, as far as the lens goes.

    Parameters
    ----------
    unit : LensUnit
    near, far : float
        Metres; 0: as near, and as far, as the lens goes. `far` may be +inf. Where focus distances
        are not known the lens goes all its way.
    steps : int

    Raises
    ------
    DriverError
        If the lens goes nowhere between the two, or has too few positions there.
    """
    if not unit.is_metric:
        return _plan_positions(unit, near, far, steps)
    farthest, nearest = unit.reach
    wanted_near = 1.0 / near if near > 0.0 else nearest
    wanted_far = 1.0 / far if far > 0.0 else farthest
    first, last = min(wanted_near, nearest), max(wanted_far, farthest)
    if not first > last:
        raise DriverError(
            f"the lens focuses from {_metres(nearest)} to {_metres(farthest)}, asked for are "
            f"{_metres(wanted_near)} to {_metres(wanted_far)}; set near and far within its range"
        )
    remarks = [
        f"{name} is {_metres(wanted)}, but the lens goes to {_metres(got)} only"
        for name, wanted, got in (("near", wanted_near, first), ("far", wanted_far, last))
        if abs(wanted - got) > _LIMIT_SLACK
    ]
    with np.errstate(divide="ignore"):
        distances = sweep_distances(1.0 / first, float(np.divide(1.0, last)), steps)
    positions = [unit.to_position(1.0 / float(distance)) for distance in distances]
    distinct = list(dict.fromkeys(positions))
    if len(distinct) < 2:
        raise DriverError(
            f"the lens has {len(distinct)} position from {_metres(first)} to {_metres(last)}; set "
            "near and far farther apart"
        )
    if len(distinct) < steps:
        remarks.append(_too_few(steps, len(distinct), "between near and far"))
    dioptres = tuple(max(unit.to_dioptre(position), 0.0) for position in distinct)
    return FocusSchedule(tuple(distinct), dioptres, tuple(remarks))


def _plan_positions(unit: LensUnit, near: float, far: float, steps: int) -> FocusSchedule:
    """Stops all over the range of a lens whose focus distances are not known."""
    least, greatest = unit.range
    try:
        positions = (
            tuple(float(value) for value in np.linspace(greatest, least, steps))
            if unit.grid is None
            else even_positions(least, greatest, steps, unit.grid)
        )
    except OptionError as error:
        raise DriverError(str(error)) from error
    remarks = []
    if near > 0.0 or far > 0.0:
        remarks.append("near and far need a lens map, without one the lens goes all its way")
    if len(positions) < steps:
        remarks.append(_too_few(steps, len(positions), f"from {least:g} to {greatest:g}"))
    return FocusSchedule(positions, (math.nan,) * len(positions), tuple(remarks))


def _too_few(steps: int, count: int, where: str) -> str:
    return f"steps is {steps}, but the lens has only {count} positions {where}"


def even_positions(
    least: float, greatest: float, count: int, grid: PositionGrid = WHOLE
) -> tuple[float, ...]:
    """Positions of a sweep whose focus distances are not known, each once.

    They go from the greatest to the least: for most cameras that is from near to far.

    Raises
    ------
    OptionError
        If there are not two of them.
    """
    even = np.linspace(greatest, least, count)
    positions = tuple(dict.fromkeys(grid.nearest(value, least, greatest) for value in even))
    if len(positions) < 2:
        raise OptionError(
            f"between {least:g} and {greatest:g} there are no two focus positions in steps of "
            f"{grid.step:g}; give a larger range"
        )
    return positions


def metres_of(dioptre: float) -> float:
    """Focus distance in metres; +inf at 0, NaN where it is not known."""
    return math.inf if dioptre == 0.0 else 1.0 / dioptre


def _metres(dioptre: float) -> str:
    return "infinity" if dioptre <= 0.0 else f"{1.0 / dioptre:.3g} m"
