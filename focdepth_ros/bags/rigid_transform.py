"""How one camera lies beside another: translation and rotation, read as people write them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import CalibrationError
from focdepth_ros.files.yaml_files import is_number, read_yaml

_NORM_TOLERANCE = 0.01  # of a quaternion, which messages and people round
_EXAMPLE = "0.05,0,0,0,0,0,1"

_Points = NDArray[np.float64]


@dataclass(frozen=True)
class RigidTransform:
    """How a frame lies in another one: ``p = R q + t`` for a point q of the inner frame.

    Parameters
    ----------
    translation : tuple of float
        x, y, z in metres.
    rotation : tuple of float
        Unit quaternion x, y, z, w.

    Raises
    ------
    CalibrationError
        If a number is not finite, or the quaternion is not of norm 1 within 1 %.
    """

    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        for name, count, unit in (("translation", 3, "metres"), ("rotation", 4, "x, y, z, w")):
            values = getattr(self, name)
            if len(values) != count or not all(math.isfinite(value) for value in values):
                raise CalibrationError(
                    f"{name} is {_listed(values)}; it must be {count} finite numbers, {unit}"
                )
        norm = math.hypot(*self.rotation)
        if abs(norm - 1.0) > _NORM_TOLERANCE:
            raise CalibrationError(
                f"rotation {_listed(self.rotation)} has the norm {norm:.4g}; give a unit "
                "quaternion x, y, z, w"
            )

    def __str__(self) -> str:
        return f"{_listed(self.translation)} m, rotation {_listed(self.rotation)}"

    @property
    def matrix(self) -> _Points:
        """The rotation R as (3, 3)."""
        norm = math.hypot(*self.rotation)
        x, y, z, w = (value / norm for value in self.rotation)
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )

    def inverse(self) -> RigidTransform:
        """How the outer frame lies in the inner one."""
        x, y, z, w = self.rotation
        back = -self.matrix.T @ np.array(self.translation)
        return RigidTransform(_three(back), (-x, -y, -z, w))

    def __matmul__(self, inner: RigidTransform) -> RigidTransform:
        """Of the frame that lies in this one as `inner` says, in the outermost one."""
        ax, ay, az, aw = self.rotation
        bx, by, bz, bw = inner.rotation
        rotation = np.array(
            [
                aw * bx + ax * bw + ay * bz - az * by,
                aw * by - ax * bz + ay * bw + az * bx,
                aw * bz + ax * by - ay * bx + az * bw,
                aw * bw - ax * bx - ay * by - az * bz,
            ]
        )
        moved = self.matrix @ np.array(inner.translation) + np.array(self.translation)
        return RigidTransform(_three(moved), _four(rotation / np.linalg.norm(rotation)))


def read_transform(text: str) -> RigidTransform:
    """A transform that somebody gave.

    Parameters
    ----------
    text : str
        Seven numbers ``x,y,z,qx,qy,qz,qw``, or the path of a YAML file with ``translation`` and
        ``rotation``, each a list, or a mapping of x, y, z (and w) as ROS prints it.

    Raises
    ------
    CalibrationError
        If it is neither, or its numbers are none of a rigid transform.
    """
    parts = text.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return _from_file(Path(text))
    if len(numbers) != 7:
        raise CalibrationError(
            f"extrinsic '{text}' has {len(numbers)} numbers; write seven, x,y,z in metres and a "
            f"quaternion qx,qy,qz,qw, like {_EXAMPLE}, or the path of a YAML file"
        )
    return RigidTransform(_three(numbers), _four(numbers[3:]))


def _from_file(path: Path) -> RigidTransform:
    remedy = f"write seven numbers like {_EXAMPLE}, or the path of a YAML file"
    content = read_yaml(path, "extrinsic", error=CalibrationError, remedy=remedy)
    if not isinstance(content, Mapping):
        raise CalibrationError(f"{path}: holds no keys translation and rotation; write them")
    translation = _values(path, content, "translation", "xyz")
    rotation = _values(path, content, "rotation", "xyzw")
    try:
        return RigidTransform(_three(translation), _four(rotation))
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from error


def _values(path: Path, content: Mapping[Any, Any], key: str, names: str) -> list[float]:
    given = content.get(key)
    if isinstance(given, Mapping):
        given = [given.get(name) for name in names]
    if (
        not isinstance(given, Sequence)
        or len(given) != len(names)
        or not all(map(is_number, given))
    ):
        raise CalibrationError(
            f"{path}: {key} is {content.get(key)!r}; it must be the {len(names)} numbers "
            f"{', '.join(names)}"
        )
    return [float(value) for value in given]


def _three(values: Sequence[float] | _Points) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _four(values: Sequence[float] | _Points) -> tuple[float, float, float, float]:
    return float(values[0]), float(values[1]), float(values[2]), float(values[3])


def _listed(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
