"""Settings of depth from defocus for one dataset or camera: a small YAML file, checked key by key.

``config/defocus/`` has those of three datasets. All keys are optional::

    options: {epochs: 40, near: 0.1}     # of the backend, as `focdepth backends defocus` lists them
    lens: {focal_length: 0.05, f_number: 8.0, pixel_pitch: 12.0e-6}   # m; where a sweep has none
    focus_distances: [1.0, 1.5, 2.5]     # m, near to far; or lens_positions: those of the slices
    size: [640, 480]                     # px, width and height that the pixel pitch belongs to
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.errors import CalibrationError, OptionError
from focdepth_ros.options import OptionValue, option_infos
from focdepth_ros.shared_files import config_folder
from focdepth_ros.stack import Lens
from focdepth_ros.yaml_files import read_yaml

LENS_POSITIONS: Literal["lens_positions"] = "lens_positions"

_KEYS = ("options", "lens", "focus_distances", "size")
_LENS_KEYS = tuple(item.name for item in fields(Lens))
_OPTIONS = {info.name: info for info in option_infos(DefocusConfig) if info.name != "settings"}


@dataclass(frozen=True)
class DefocusSettings:
    """What a settings file says; every field may be missing.

    Parameters
    ----------
    options : mapping
        Fields of `DefocusConfig`.
    lens : Lens, optional
    focus_distances : tuple of float or "lens_positions", optional
        Metres, near to far; or that the lens positions of the slices are meant, in whatever unit
        the lens is in as well.
    size : (int, int), optional
        Height and width in pixels of the images that the pixel pitch belongs to.
    """

    options: Mapping[str, OptionValue] = field(default_factory=dict)
    lens: Lens | None = None
    focus_distances: tuple[float, ...] | Literal["lens_positions"] | None = None
    size: tuple[int, int] | None = None

    def applied_to(self, config: DefocusConfig) -> DefocusConfig:
        """The config with these options, but where it differs from the default."""
        defaults = DefocusConfig()
        own = {
            name: getattr(config, name)
            for name in _OPTIONS
            if getattr(config, name) != getattr(defaults, name)
        }
        return DefocusConfig(**{**self.options, **own, "settings": config.settings})

    def lens_at(self, height: int, width: int) -> Lens | None:
        """The lens for images of a size: made smaller, they have larger pixels.

        Raises
        ------
        CalibrationError
            If the image has another shape than that of the settings.
        """
        if self.lens is None or self.size is None:
            return self.lens
        if abs(self.size[0] * width - self.size[1] * height) > max(self.size):
            raise CalibrationError(
                f"images are {width}x{height} px, the lens of the settings is for images of the "
                f"shape of {self.size[1]}x{self.size[0]}; correct size in the settings"
            )
        pitch = self.lens.pixel_pitch * self.size[1] / width
        return replace(self.lens, pixel_pitch=pitch)


def settings_names() -> tuple[str, ...]:
    """Names of the settings that come with the package."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def load_settings(name_or_path: str) -> DefocusSettings:
    """Read settings; empty ones for an empty name.

    Parameters
    ----------
    name_or_path : str
        One of `settings_names`, or the path of a file: what has a slash or ends in .yaml or .yml.

    Raises
    ------
    OptionError
        If there are none, or a file is not valid; the message says what is wrong.
    """
    if not name_or_path:
        return DefocusSettings()
    is_path = "/" in name_or_path or name_or_path.endswith((".yaml", ".yml"))
    path = Path(name_or_path) if is_path else _folder() / f"{name_or_path}.yaml"
    if not is_path and not path.is_file():
        known = ", ".join(settings_names()) or "none"
        raise OptionError(
            f"there are no defocus settings '{name_or_path}'; give one of {known}, or the path of "
            "a YAML file of your own"
        )
    content = read_yaml(path, "settings file", error=OptionError, remedy="check the path")
    return _Reader(path).settings({} if content is None else content)


def _folder() -> Path:
    return config_folder() / "defocus"


class _Reader:
    """Turns the content of one file into `DefocusSettings`, or says what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def settings(self, content: Any) -> DefocusSettings:
        values = self._mapping("content", content, _KEYS)
        found: dict[str, Any] = {}
        if values.get("options") is not None:
            found["options"] = self._options(values["options"])
        if values.get("lens") is not None:
            found["lens"] = self._lens(values["lens"])
        if values.get("focus_distances") is not None:
            found["focus_distances"] = self._focus_distances(values["focus_distances"])
        if values.get("size") is not None:
            found["size"] = self._size(values["size"])
        return DefocusSettings(**found)

    def _options(self, content: Any) -> dict[str, OptionValue]:
        values = self._mapping("options", content, tuple(_OPTIONS))
        options: dict[str, Any] = {}
        try:
            for name, value in values.items():
                info = _OPTIONS[name]
                wanted = self._number(name, value) if isinstance(info.default, float) else value
                options[name] = info.checked(wanted, f"option '{name}'")
            DefocusConfig(**options)  # how the values go together
        except OptionError as error:
            raise OptionError(f"{self._path}: {error}") from error
        return options

    def _lens(self, content: Any) -> Lens:
        values = self._mapping("lens", content, _LENS_KEYS)
        missing = [key for key in _LENS_KEYS if values.get(key) is None]
        if missing:
            raise self._problem(
                f"no {', '.join(missing)} under lens", f"needed are {', '.join(_LENS_KEYS)}"
            )
        try:
            return Lens(**{key: self._number(f"lens.{key}", values[key]) for key in _LENS_KEYS})
        except CalibrationError as error:
            raise OptionError(f"{self._path}: {error}") from error

    def _focus_distances(self, value: Any) -> tuple[float, ...] | Literal["lens_positions"]:
        if value == LENS_POSITIONS:
            return LENS_POSITIONS
        if not isinstance(value, list):
            raise self._problem(
                f"focus_distances is {value!r}", f"write a list of metres, or {LENS_POSITIONS}"
            )
        distances = tuple(self._number("focus_distances", item) for item in value)
        rising = all(near < far for near, far in pairwise(distances))
        if len(distances) < 2 or not distances[0] > 0.0 or not rising:
            raise self._problem(
                f"focus_distances is {value!r}", "write at least 2 above 0, near to far"
            )
        return distances

    def _size(self, value: Any) -> tuple[int, int]:
        if (
            not isinstance(value, list)
            or len(value) != 2
            or not all(type(side) is int and side > 0 for side in value)
        ):
            raise self._problem(f"size is {value!r}", "write width and height in pixels")
        return value[1], value[0]

    def _mapping(self, key: str, value: Any, known: Sequence[str]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._problem(f"{key} is {value!r}", f"write the keys {', '.join(known)}")
        for name in value:
            if name not in known:
                raise self._problem(f"unknown key '{name}'", f"known are {', '.join(known)}")
        return value

    def _number(self, key: str, value: Any) -> float:
        # YAML 1.1 takes 4e-3 and inf for text; what reads as a number is meant as one.
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                number = math.nan
            if not math.isnan(number):
                return number
        raise self._problem(f"{key} is {value!r}", "write a number")

    def _problem(self, what: str, remedy: str) -> OptionError:
        return OptionError(f"{self._path}: {what[:200]}; {remedy}")
