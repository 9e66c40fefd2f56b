"""Takes the focus of a camera in hand through its driver, moves it, and gives it back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import yaml

from focdepth_ros.errors import DriverError
from focdepth_ros.files.yaml_files import is_number, parse_yaml
from focdepth_ros.lens.driver_table import DriverTable, Switch, Value, fits_parameter
from focdepth_ros.lens.focus_schedule import WHOLE, LensUnit, PositionGrid
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.ros.sweep_node_parts.parameter_client import ParameterClient
from focdepth_ros.ros.sweep_node_parts.stepping import until

_FRAME_PATIENCE = 1.0  # seconds for the frames that must pass between two calls


class FocusDriver:
    """One camera driver, as its table tells how it is to be handled.

    Parameters
    ----------
    table : DriverTable
    parameters : ParameterClient
        Of the driver's node.
    lens_map : LensMap, optional
    frame_count : callable
        How many frames have come so far.
    frame_values : callable
        What the driver told of the newest frame, as text by name.

    Notes
    -----
    All async methods raise `DriverError`.
    """

    def __init__(
        self,
        table: DriverTable,
        parameters: ParameterClient,
        lens_map: LensMap | None,
        frame_count: Callable[[], int],
        frame_values: Callable[[], Mapping[str, str]],
    ) -> None:
        self._table = table
        self._parameters = parameters
        self._lens_map = lens_map
        self._frame_count = frame_count
        self._frame_values = frame_values
        self._frames_at_call = -table.frames_between_calls
        # What the parameters were before; kept until they are given back, whatever fails.
        self._found: dict[str, Any] = {}
        self._switched: list[Switch] = []
        self._has_moved = False
        self._was_gone = False

    @property
    def is_there(self) -> bool:
        """Whether the driver's node is there."""
        is_ready = self._parameters.is_ready
        self._was_gone = self._was_gone or not is_ready
        return is_ready

    @property
    def locked(self) -> tuple[str, ...]:
        """Names of the parameters that are kept from changing by themselves."""
        return tuple(name for switch in self._switched for name in switch.set)

    async def take(self, locks: Iterable[tuple[Switch, ...]]) -> LensUnit:
        """Lock what is to be locked and switch auto-focus off; remember how all that was.

        Parameters
        ----------
        locks : iterable of tuple of Switch
            Alternatives for each thing to be locked, such as exposure.

        Returns
        -------
        LensUnit
            Of the positions that the driver takes.
        """
        table = self._table
        if not self.is_there:
            await self._parameters.wait_until_ready()
        if self._was_gone:  # it was started anew, with the settings of its user
            self._found, self._has_moved = {}, False
        self._was_gone = False
        self._switched = []
        names = await self._parameters.names()
        if table.position not in names:
            raise DriverError(
                f"{self._parameters.target} has no parameter {table.position}; is it the driver "
                "that the parameter 'driver' names, and has its camera a lens that moves?"
            )
        chosen = [_first_known(alternatives, names) for alternatives in locks]
        manual = _first_known(table.manual, names)
        switches = [switch for switch in (*chosen, manual) if switch is not None]
        await self._remember(switches, names)
        unit = await self._unit()
        locking = [s for s in chosen if s is not None and not self._was_so_before(s)]
        if locking:
            held = self._held(locking, names)
            self._switched += locking  # before: who knows what a call without an answer has done
            await self._set({**_merged(switch.set for switch in locking), **held})
        if manual is not None:
            self._switched.append(manual)
            if not table.together:
                await self._set(manual.set)
        return unit

    async def move(self, position: float) -> None:
        """Send the lens to a position, and see that the driver has taken it."""
        table = self._table
        value: Value = round(position) if table.is_integer else float(position)
        switches = [s for s in self._switched if table.together and s in table.manual]
        self._has_moved = True
        await self._set({**_merged(switch.set for switch in switches), table.position: value})
        wanted = {**_merged(switch.set for switch in self._switched), table.position: value}
        found = await self._parameters.get(wanted)
        for name, expected in wanted.items():
            if name == table.position:
                continue
            if found[name] != expected:
                raise DriverError(
                    f"{name} of {self._parameters.target} is {found[name]}, it was set to "
                    f"{expected}: the driver was started anew, or somebody else sets it, too"
                )
        told = found[table.position]
        if not isinstance(told, int | float) or abs(told - position) > table.tolerance:
            raise DriverError(
                f"{table.position} of {self._parameters.target} is {told} after it was set to "
                f"{value}; does anything else set it, or limit it?"
            )

    async def give_back(self) -> None:
        """Set all that was changed to what it was before."""
        table, found = self._table, self._found
        if not self._switched and not self._has_moved:
            return
        values: dict[str, Any] = {}
        was_manual = True
        for switch in self._switched:
            if self._was_so_before(switch):
                continue
            was_manual = was_manual and switch not in table.manual
            for name in switch.set:
                before = found.get(name)
                values[name] = (switch.auto or {}).get(name) if before is None else before
        before = found.get(table.position)
        if self._has_moved and was_manual and before is not None:
            values[table.position] = before
        values = {name: value for name, value in values.items() if value is not None}
        if values:
            await self._set(values)
        self._found, self._switched, self._has_moved = {}, [], False

    async def try_to_give_back(self) -> None:
        """As `give_back`, after a failure: another one tells nothing new."""
        with suppress(DriverError):
            await self.give_back()

    async def _remember(self, switches: Iterable[Switch], names: set[str]) -> None:
        wanted = [self._table.position, *(name for switch in switches for name in switch.set)]
        unknown = [name for name in wanted if name in names and name not in self._found]
        if unknown:
            self._found.update(await self._parameters.get(unknown))

    async def _unit(self) -> LensUnit:
        table = self._table
        grid = WHOLE if table.is_integer else None
        told = await self._parameters.range_of(table.position)
        if told is not None:
            limits = told.least, told.greatest
            if told.step:
                grid = PositionGrid(told.step, told.least)
        elif table.range is not None:
            limits = table.range
        elif self._lens_map is not None:
            limits = self._lens_map.range
        else:
            raise DriverError(
                f"{self._parameters.target} does not tell the range of {table.position}; give it "
                "as focus.range in a driver table of your own"
            )
        return LensUnit(limits, grid, self._lens_map, table.is_dioptre)

    def _was_so_before(self, switch: Switch) -> bool:
        return all(self._found.get(name) == value for name, value in switch.set.items())

    def _held(self, switches: Iterable[Switch], names: set[str]) -> dict[str, Value]:
        """What the newest frame tells of the parameters that are to stay as they are."""
        told = self._frame_values()
        held = {}
        for name in (name for switch in switches for name in switch.hold):
            value = _parsed(told.get(name, ""))
            if name in names and value is not None:
                held[name] = value
        return held

    async def _set(self, values: Mapping[str, Value]) -> None:
        needed = self._table.frames_between_calls
        await until(lambda: self._frame_count() - self._frames_at_call >= needed, _FRAME_PATIENCE)
        try:
            await self._parameters.set(values)
        finally:
            self._frames_at_call = self._frame_count()


def _first_known(alternatives: Iterable[Switch], names: set[str]) -> Switch | None:
    return next((switch for switch in alternatives if names.issuperset(switch.set)), None)


def _merged(tables: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    return {name: value for table in tables for name, value in table.items()}


def _parsed(text: str) -> Value | None:
    """A number or a list of numbers as libcamera writes them; None if it is neither."""
    try:
        value = parse_yaml(text[:200])
    except yaml.YAMLError:
        return None
    elements = value if isinstance(value, list) else [value]
    if not elements or not all(is_number(item) and math.isfinite(item) for item in elements):
        return None
    if isinstance(value, int) and not fits_parameter(value):
        return None
    return [float(item) for item in value] if isinstance(value, list) else value
