"""Files with settings of depth from defocus that go together, such as those of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.errors import FocdepthError, OptionError
from focdepth_ros.files.yaml_files import read_yaml
from focdepth_ros.stack import Lens

LENS_POSITIONS: Literal["lens_positions"] = "lens_positions"
PRESETS = Path(__file__).parent / "presets"

_KEYS = ("options", "lens", "focus_distances")
_LENS_KEYS = tuple(item.name for item in fields(Lens))


@dataclass(frozen=True)
class DefocusSettings:
    """What a file of settings says.

    Parameters
    ----------
    options : dict of str to anything
        Fields of `DefocusConfig`.
    lens : Lens or None
        Of the camera, if it tells one.
    focus_distances : tuple of float or "lens_positions"
        Of the slices that were, or are to be, taken or synthesised [m]; empty if it tells none.
        ``lens_positions``: those of the slices of a relative sweep stand for them, in a unit that
        the lens is in as well.
    """

    options: dict[str, Any] = field(default_factory=dict)
    lens: Lens | None = None
    focus_distances: tuple[float, ...] | Literal["lens_positions"] = ()

    @property
    def config(self) -> DefocusConfig:
        """The settings with the defaults of those that are not told."""
        return DefocusConfig(**self.options)

    def applied_to(self, config: DefocusConfig) -> DefocusConfig:
        """A config completed by these; what differs from the default in it is left as it is."""
        default = DefocusConfig()
        untouched = {
            name: value
            for name, value in self.options.items()
            if getattr(config, name) == getattr(default, name)
        }
        return replace(config, **untouched)


def preset_names() -> tuple[str, ...]:
    """Names of the files that come with the package."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))


def load_settings(name: str) -> DefocusSettings:
    """Read a file of settings; there are none in that of an empty name.

    Parameters
    ----------
    name : str
        One of `preset_names`, or the path of a YAML file with any of the keys ``options``,
        ``lens`` and ``focus_distances``.

    Raises
    ------
    OptionError
        If there is no such file, or it says what cannot be.
    """
    if not name:
        return DefocusSettings()
    path = PRESETS / f"{name}.yaml" if name in preset_names() else Path(name)
    remedy = f"give a file, or one of {', '.join(preset_names())}"
    content = read_yaml(path, "settings of defocus", error=OptionError, remedy=remedy)
    if not isinstance(content, Mapping) or not set(content) <= set(_KEYS):
        raise OptionError(f"settings of defocus '{path}': give a mapping of {', '.join(_KEYS)}")
    try:
        return _settings(content)
    except (FocdepthError, TypeError, ValueError) as error:
        raise OptionError(f"settings of defocus '{path}': {error}") from error


def _settings(content: Mapping[str, Any]) -> DefocusSettings:
    options = dict(content.get("options") or {})
    known = {item.name for item in fields(DefocusConfig)} - {"settings"}
    if unknown := set(options) - known:
        raise OptionError(f"there is no option {', '.join(map(repr, sorted(unknown)))}")
    DefocusConfig(**options)  # whether the values can be
    lens = content.get("lens")
    if lens is not None:
        if not isinstance(lens, Mapping) or set(lens) != set(_LENS_KEYS):
            raise OptionError(f"lens is {lens}; give {', '.join(_LENS_KEYS)}")
        lens = Lens(**{name: float(value) for name, value in lens.items()})
    distances = content.get("focus_distances") or ()
    if distances != LENS_POSITIONS:
        distances = tuple(float(distance) for distance in distances)
    return DefocusSettings(options, lens, distances)
