"""What a lens position means: positions in the driver's own unit against focus distances.

A lens map is a YAML file, written by ``focdepth calibrate lens`` or by hand::

    unit: raw                       # of the positions; free text
    positions: [0, 100, 200, 255]   # rising or falling, at least two
    dioptres: [0.2, 1.5, 4.0, 6.1]  # 1/m at each of them; strictly rising or falling
    magnification: [1, 1.004, 1.009, 1.012]  # optional: of the image, for focus breathing

Between its points it is linear in dioptres, since a lens that is moved by equal steps changes
its focus by about equal steps in dioptres.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

from focdepth_ros.errors import CalibrationError
from focdepth_ros.files.yaml_files import is_number, read_yaml

_KEYS = ("unit", "positions", "dioptres", "magnification")
_SLACK = 1e-6  # of the range; a position read back as float32 is still within it


@dataclass(frozen=True)
class LensMap:
    """Lens positions and the inverse focus distances that they stand for.

    Parameters
    ----------
    positions : tuple of float
        In the driver's unit; strictly rising or falling, at least two.
    dioptres : tuple of float
        Inverse focus distance at each, 1/m, 0 at infinity; strictly rising or falling.
    unit : str
        Of the positions, for people to read.
    magnification : tuple of float, optional
        Size of the image at each position over that at the first.

    Raises
    ------
    CalibrationError
        If there are fewer than two points, or they are not finite, of one direction and number.
    """

    positions: tuple[float, ...]
    dioptres: tuple[float, ...]
    unit: str = "raw"
    magnification: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check_monotonic("positions", self.positions)
        _check_monotonic("dioptres", self.dioptres)
        if min(self.dioptres) < 0.0:
            raise CalibrationError(
                f"lens map has {min(self.dioptres)} dioptres; nothing focuses beyond infinity, "
                "give 0 or more"
            )
        for name in ("dioptres", "magnification"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.positions):
                raise CalibrationError(
                    f"lens map has {len(self.positions)} positions and {len(values)} of {name}; "
                    "give one for each position"
                )
        if self.magnification is not None and not all(0.5 < m < 2.0 for m in self.magnification):
            raise CalibrationError(
                f"lens map has magnifications {self.magnification}; give factors about 1"
            )

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest position that it knows."""
        return min(self.positions), max(self.positions)

    def to_dioptres(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Inverse focus distances of positions, 1/m; NaN outside the range that is known."""
        return _interpolate(positions, self.positions, self.dioptres)

    def to_positions(self, dioptres: ArrayLike) -> NDArray[np.float64]:
        """Positions of inverse focus distances in 1/m; NaN outside the range that is known."""
        return _interpolate(dioptres, self.dioptres, self.positions)

    def to_magnification(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Magnifications at positions; 1 where they were never measured."""
        if self.magnification is None:
            return np.ones_like(np.asarray(positions, dtype=np.float64))
        return _interpolate(positions, self.positions, self.magnification)


def read_lens_map(path: Path | str) -> LensMap:
    """Read a lens map.

    Raises
    ------
    CalibrationError
        If the file cannot be read, is no YAML, or is no lens map; the message says what is wrong.
    """
    path = Path(path)
    content = read_yaml(
        path,
        "lens map",
        error=CalibrationError,
        remedy="give a file that `focdepth calibrate lens` wrote",
    )
    try:
        return _from_content(content)
    except CalibrationError as error:
        raise CalibrationError(f"'{path}': {error}") from error


def write_lens_map(path: Path | str, lens_map: LensMap, *, comment: str = "") -> None:
    """Write a lens map that `read_lens_map` reads back; `comment` goes to its top."""
    content: dict[str, Any] = {
        "unit": lens_map.unit,
        "positions": list(lens_map.positions),
        "dioptres": list(lens_map.dioptres),
    }
    if lens_map.magnification is not None:
        content["magnification"] = list(lens_map.magnification)
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    text = head + yaml.safe_dump(content, sort_keys=False, default_flow_style=None)
    Path(path).write_text(text, encoding="utf-8")


def comment_of(path: Path | str) -> str:
    """The comment at the top of a lens map, as `write_lens_map` takes it."""
    lines = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return "\n".join(lines)


def _from_content(content: object) -> LensMap:
    if not isinstance(content, dict):
        raise CalibrationError(f"lens map is {type(content).__name__}; give keys {_KEYS}")
    unknown = sorted(str(key) for key in content if key not in _KEYS)
    if unknown:
        raise CalibrationError(f"lens map has unknown keys {unknown}; known are {_KEYS}")
    missing = [key for key in ("positions", "dioptres") if key not in content]
    if missing:
        raise CalibrationError(f"lens map lacks {missing}; it needs both positions and dioptres")
    magnification = content.get("magnification")
    return LensMap(
        _numbers("positions", content["positions"]),
        _numbers("dioptres", content["dioptres"]),
        str(content.get("unit", "raw")),
        None if magnification is None else _numbers("magnification", magnification),
    )


def _numbers(name: str, values: object) -> tuple[float, ...]:
    if not isinstance(values, list) or not all(map(is_number, values)):
        raise CalibrationError(f"lens map has {name} {values!r}; give a list of numbers")
    return tuple(map(float, values))


def _check_monotonic(name: str, values: tuple[float, ...]) -> None:
    steps = np.diff(values)
    if len(values) < 2 or not np.isfinite(values).all() or not (all(steps > 0) or all(steps < 0)):
        raise CalibrationError(
            f"lens map has {name} {values}; give at least two finite ones that only rise or only "
            "fall"
        )


def _interpolate(
    at: ArrayLike, points: tuple[float, ...], values: tuple[float, ...]
) -> NDArray[np.float64]:
    x, y = np.asarray(points), np.asarray(values)
    if x[0] > x[-1]:
        x, y = x[::-1], y[::-1]
    wanted = np.asarray(at, dtype=np.float64)
    slack = _SLACK * (x[-1] - x[0])
    inside = (wanted >= x[0] - slack) & (wanted <= x[-1] + slack)
    return np.where(inside, np.interp(wanted, x, y), np.nan)


#: Of drivers that tell dioptres, as libcamera's ``LensPosition``; config/lens/dioptres.yaml.
DIOPTRES = LensMap((0.0, 100.0), (0.0, 100.0), "dioptre")
