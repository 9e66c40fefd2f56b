"""What is to be known of a camera driver to move its focus: a small YAML file, checked key by key.

``config/drivers/`` has one for each supported driver, and they say by comments what the keys mean::

    node: camera              # usual name of the driver's node
    prefix: ""                # optional: before all names of its parameters
    focus:
      position: LensPosition  # parameter with the lens position
      type: double            # of it, or integer
      unit: dioptre           # of it; any other, such as raw, needs a lens map
      range: [0, 32]          # optional: for drivers whose descriptor has none
      manual:                 # optional: what switches auto-focus off, or alternatives of it
        - set: {AfMode: 0}
          auto: {AfMode: 2}   # optional: what gives it back where nothing was set before
      together: true          # whether that is set with the position, in one call
      tolerance: 0.02         # of the position
    frame_position: LensPosition  # optional: key on /diagnostics with the position of each frame
    frames_between_calls: 2   # optional: frames that must pass from one call to the next
    settle_time: 0.0          # s from the read-back on in which the lens may still move
    settle_frames: 1          # further frames that are not used
    exposure:                 # optional: what locks it, like `manual`
      - set: {AeEnable: false}
        hold: [ExposureTime]  # optional: parameters set to what the newest frame tells of them
    white_balance: []         # optional: likewise
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focdepth_ros.errors import DriverTableError
from focdepth_ros.files.yaml_files import is_number, read_yaml

#: Of a parameter, as YAML and rclpy have it.
Value = bool | int | float | str | list[float]

DIOPTRE = "dioptre"
_TYPES = ("double", "integer")
_KEYS = (
    "node", "prefix", "focus", "frame_position", "frames_between_calls", "settle_time",
    "settle_frames", "exposure", "white_balance",
)  # fmt: skip
_FOCUS_KEYS = ("position", "type", "unit", "range", "manual", "together", "tolerance")
_SWITCH_KEYS = ("set", "hold", "auto")


@dataclass(frozen=True)
class Switch:
    """Parameters that take something out of the camera's own hands.

    Parameters
    ----------
    set : mapping
        Their names and values.
    hold : tuple of str
        Parameters that are set along with them to what the newest frame tells of them.
    auto : mapping
        Values that undo it, for those of which nothing else is known.
    """

    set: Mapping[str, Value]
    hold: tuple[str, ...] = ()
    auto: Mapping[str, Value] | None = None


@dataclass(frozen=True)
class DriverTable:
    """What is to be known of a camera driver; the top of this file says it field by field.

    Names of parameters are complete, with the prefix. The switches are alternatives: the first
    whose parameters the driver has is meant.
    """

    node: str
    position: str
    is_integer: bool
    unit: str
    range: tuple[float, float] | None
    manual: tuple[Switch, ...]
    together: bool
    tolerance: float
    frame_position: str
    frames_between_calls: int
    settle_time: float
    settle_frames: int
    exposure: tuple[Switch, ...]
    white_balance: tuple[Switch, ...]

    @property
    def is_dioptre(self) -> bool:
        """Whether the position needs no lens map."""
        return self.unit == DIOPTRE


def read_driver_table(driver: str, folder: Path, prefix: str = "") -> DriverTable:
    """Read the table of a driver.

    Parameters
    ----------
    driver : str
        Name of a file in `folder` without its suffix, or the path of any file.
    folder : Path
        With the tables that are shipped.
    prefix : str
        Of the driver's parameters, in place of that in the table; that of the table if empty.

    Raises
    ------
    DriverTableError
        If there is no such table, or it is not valid; the message says what is wrong.
    """
    is_path = "/" in driver or driver.endswith((".yaml", ".yml"))
    path = Path(driver) if is_path else folder / f"{driver}.yaml"
    if not is_path and not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise DriverTableError(
            f"there is no table of the driver '{driver}'; give one of {known}, or the path of a "
            "table of your own"
        )
    content = read_yaml(path, "driver table", error=DriverTableError, remedy="check the path")
    return _Reader(path).table(content, prefix)


def fits_parameter(value: int) -> bool:
    """Whether a parameter of a node can have this value."""
    return -(2**63) <= value < 2**63


class _Reader:
    """Turns the content of one file into a `DriverTable`, or says what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def table(self, content: Any, prefix: str) -> DriverTable:
        values = self._mapping("content", content, ("node", "focus"), _KEYS)
        prefix = prefix or self._text("prefix", values.get("prefix", ""))
        needed = ("position", "type", "unit", "together", "tolerance")
        focus = self._mapping("focus", values["focus"], needed, _FOCUS_KEYS)
        kind = self._text("focus.type", focus["type"])
        if kind not in _TYPES:
            raise self._problem(f"focus.type is '{kind}'", f"write one of {', '.join(_TYPES)}")
        if not isinstance(focus["together"], bool):
            raise self._problem(f"focus.together is {focus['together']!r}", "write true or false")
        return DriverTable(
            node=self._text("node", values["node"]),
            position=prefix + self._text("focus.position", focus["position"]),
            is_integer=kind == "integer",
            unit=self._text("focus.unit", focus["unit"]),
            range=self._range(focus.get("range")),
            manual=self._switches("focus.manual", focus.get("manual", []), prefix),
            together=focus["together"],
            tolerance=self._number("focus.tolerance", focus["tolerance"]),
            frame_position=self._text("frame_position", values.get("frame_position", "")),
            frames_between_calls=self._count(
                "frames_between_calls", values.get("frames_between_calls", 0)
            ),
            settle_time=self._number("settle_time", values.get("settle_time", 0.0)),
            settle_frames=self._count("settle_frames", values.get("settle_frames", 0)),
            exposure=self._switches("exposure", values.get("exposure", []), prefix),
            white_balance=self._switches("white_balance", values.get("white_balance", []), prefix),
        )

    def _switches(self, key: str, content: Any, prefix: str) -> tuple[Switch, ...]:
        if not isinstance(content, list):
            raise self._problem(f"{key} is {content!r}", "write a list of alternatives")
        return tuple(self._switch(f"{key}[{i}]", item, prefix) for i, item in enumerate(content))

    def _switch(self, key: str, content: Any, prefix: str) -> Switch:
        values = self._mapping(key, content, ("set",), _SWITCH_KEYS)
        hold = values.get("hold", [])
        if not isinstance(hold, list):
            raise self._problem(f"{key}.hold is {hold!r}", "write a list of parameters")
        auto = values.get("auto")
        return Switch(
            set=self._parameters(f"{key}.set", values["set"], prefix),
            hold=tuple(prefix + self._text(f"{key}.hold[{i}]", n) for i, n in enumerate(hold)),
            auto=None if auto is None else self._parameters(f"{key}.auto", auto, prefix),
        )

    def _parameters(self, key: str, content: Any, prefix: str) -> dict[str, Value]:
        if not isinstance(content, dict) or not content:
            raise self._problem(f"{key} is {content!r}", "write parameters and their values")
        for name, value in content.items():
            if not isinstance(value, bool | int | float | str):
                raise self._problem(f"{key}.{name} is {value!r}", "write a value of one element")
            if isinstance(value, int) and not fits_parameter(value):
                raise self._problem(f"{key}.{name} is {value}", "write one of at most 64 bits")
        return {prefix + self._text(key, name): value for name, value in content.items()}

    def _mapping(
        self, key: str, value: Any, required: Sequence[str], known: Sequence[str]
    ) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._problem(f"{key} is {value!r}", f"write the keys {', '.join(known)}")
        for found in value:
            if found not in known:
                raise self._problem(
                    f"unknown key '{found}' in {key}", f"known are {', '.join(known)}"
                )
        for name in required:
            if value.get(name) is None:
                raise self._problem(f"no {name} in {key}", f"needed are {', '.join(required)}")
        return value

    def _range(self, value: Any) -> tuple[float, float] | None:
        if value is None:
            return None
        if isinstance(value, list) and len(value) == 2:
            least, greatest = (self._number("focus.range", item, signed=True) for item in value)
            if least < greatest:
                return least, greatest
        raise self._problem(f"focus.range is {value!r}", "write [LEAST, GREATEST]")

    def _number(self, key: str, value: Any, *, signed: bool = False) -> float:
        if is_number(value) and math.isfinite(value) and (signed or value >= 0):
            return float(value)
        raise self._problem(f"{key} is {value!r}", "write a number" + ", 0 or more" * (not signed))

    def _count(self, key: str, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise self._problem(f"{key} is {value!r}", "write a whole number, 0 or more")

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self._problem(f"{key} is {value!r}", "write a name")
        return value

    def _problem(self, what: str, remedy: str) -> DriverTableError:
        shortened = what if len(what) <= 200 else f"{what[:200]}…"
        return DriverTableError(f"driver table '{self._path}': {shortened}; {remedy}")
