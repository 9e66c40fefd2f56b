"""The description of a focal stack folder, ``stack.yaml``: read and checked, key by key."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from focdepth_ros.errors import CalibrationError, StackFileError
from focdepth_ros.files.yaml_files import parse_yaml
from focdepth_ros.stack import CameraIntrinsics, Lens

STACK_YAML = "stack.yaml"
#: Keys of the files that hold a ground truth.
TRUTHS = ("depth", "all_in_focus")

_KEYS = (
    "focus_distances",
    "images",
    "lens_positions",
    "lens",
    "intrinsics",
    *TRUTHS,
    "target_distance",
    "reference",
)
_LENS_KEYS = ("focal_length", "f_number", "pixel_pitch")
_INTRINSICS_KEYS = ("width", "height", "fx", "fy", "cx", "cy")
_DISTORTION_KEYS = ("distortion_model", "distortion")


@dataclass(frozen=True)
class StackDescription:
    """What ``stack.yaml`` says; every field may be missing.

    Parameters
    ----------
    focus_distances : tuple of float, optional
        Metres, one per image, in the order of the images.
    lens_positions : tuple of float, optional
        In the unit of the camera's driver, one per image.
    images : tuple of str, optional
        File names relative to the folder.
    lens, intrinsics
        Of the camera.
    depth : str, optional
        File name of the ground truth, relative to the folder.
    all_in_focus : str, optional
        File name of the true all-in-focus image, relative to the folder.
    target_distance : float, optional
        Metres from the lens to the flat target that the images show, for calibration; +inf allowed.
    reference : int
        Index of the reference slice in the order of the images.
    """

    focus_distances: tuple[float, ...] | None = None
    lens_positions: tuple[float, ...] | None = None
    images: tuple[str, ...] | None = None
    lens: Lens | None = None
    intrinsics: CameraIntrinsics | None = None
    depth: str | None = None
    all_in_focus: str | None = None
    target_distance: float | None = None
    reference: int = 0


def read_description(path: Path) -> StackDescription:
    """Read a ``stack.yaml``; the description is empty where there is no such file.

    Raises
    ------
    StackFileError
        If it cannot be read, is not YAML, or has an unknown key or a value of the wrong kind.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return StackDescription()
    except OSError as error:
        raise StackFileError(
            f"{path}: cannot be read: {error.strerror}; check the file and its permissions"
        ) from error
    try:
        content = parse_yaml(text)
    except yaml.YAMLError as error:
        raise StackFileError(
            f"{path}: not valid YAML ({_one_line(error)}); correct it, or remove it to read the "
            "folder as a relative stack"
        ) from error
    return _Reader(path).description({} if content is None else content)


def write_description(path: Path, description: StackDescription) -> None:
    """Write a ``stack.yaml`` that `read_description` reads back.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    content: dict[str, Any] = {}
    if description.focus_distances is not None:
        content["focus_distances"] = [float(value) for value in description.focus_distances]
    if description.lens_positions is not None:
        content["lens_positions"] = [float(value) for value in description.lens_positions]
    if description.images is not None:
        content["images"] = list(description.images)
    content["reference"] = int(description.reference)
    for key in TRUTHS:
        if getattr(description, key) is not None:
            content[key] = getattr(description, key)
    if description.target_distance is not None:
        content["target_distance"] = float(description.target_distance)
    if description.lens is not None:
        content["lens"] = {key: float(getattr(description.lens, key)) for key in _LENS_KEYS}
    intrinsics = description.intrinsics
    if intrinsics is not None:
        content["intrinsics"] = {
            "width": int(intrinsics.width),
            "height": int(intrinsics.height),
            **{key: float(getattr(intrinsics, key)) for key in ("fx", "fy", "cx", "cy")},
            "distortion_model": intrinsics.distortion_model,
            "distortion": [float(value) for value in intrinsics.distortion],
        }
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    path.write_text(text, encoding="utf-8")


def check_focus_distances(
    distances: Sequence[float], images: Sequence[Path], source: str
) -> tuple[float, ...]:
    """Focus distances that fit the images one to one.

    Parameters
    ----------
    distances : sequence of float
        Metres.
    images : sequence of Path
    source : str
        Where the distances come from, for the messages.

    Raises
    ------
    StackFileError
        If their number is not that of the images, one is not in (0, inf], or two are the same.
    """
    if len(distances) != len(images):
        raise StackFileError(
            f"{source}: {len(distances)} focus distances for {len(images)} images "
            f"({images[0].name} … {images[-1].name}); give one per image in that order, "
            f"or list the slices under images in {STACK_YAML}"
        )
    first_with: dict[float, Path] = {}
    for distance, image in zip(distances, images, strict=True):
        if not distance > 0.0:  # NaN fails this comparison too
            raise StackFileError(
                f"{source}: focus distance {distance} of {image.name} is not in (0, inf]; "
                "give metres"
            )
        if distance in first_with:
            raise StackFileError(
                f"{source}: {first_with[distance].name} and {image.name} share the focus "
                f"distance {distance} m; keep one of them"
            )
        first_with[distance] = image
    return tuple(distances)


class _Reader:
    """Turns the content of one file into a `StackDescription`, or says what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def description(self, content: Any) -> StackDescription:
        values = self._mapping("", content, (), _KEYS)
        found: dict[str, Any] = {}
        if values.get("focus_distances") is not None:
            found["focus_distances"] = self._numbers("focus_distances", values["focus_distances"])
        if values.get("lens_positions") is not None:
            found["lens_positions"] = self._finite("lens_positions", values["lens_positions"])
        if values.get("images") is not None:
            found["images"] = self._names(values["images"])
        for key in TRUTHS:
            if values.get(key) is not None:
                found[key] = self._text(key, values[key])
        if values.get("target_distance") is not None:
            distance = self._number("target_distance", values["target_distance"])
            if not distance > 0.0:  # NaN fails this comparison too
                raise self._problem(f"target_distance is {distance}", "write metres above 0")
            found["target_distance"] = distance
        if values.get("reference") is not None:
            found["reference"] = self._integer("reference", values["reference"])
        try:
            if values.get("lens") is not None:
                found["lens"] = self._lens(values["lens"])
            if values.get("intrinsics") is not None:
                found["intrinsics"] = self._intrinsics(values["intrinsics"])
        except CalibrationError as error:
            raise StackFileError(f"{self._path}: {error}") from error
        return StackDescription(**found)

    def _lens(self, content: Any) -> Lens:
        values = self._mapping("lens", content, _LENS_KEYS, _LENS_KEYS)
        return Lens(**{key: self._number(f"lens.{key}", values[key]) for key in _LENS_KEYS})

    def _intrinsics(self, content: Any) -> CameraIntrinsics:
        known = _INTRINSICS_KEYS + _DISTORTION_KEYS
        values = self._mapping("intrinsics", content, _INTRINSICS_KEYS, known)
        return CameraIntrinsics(
            width=self._integer("intrinsics.width", values["width"]),
            height=self._integer("intrinsics.height", values["height"]),
            fx=self._number("intrinsics.fx", values["fx"]),
            fy=self._number("intrinsics.fy", values["fy"]),
            cx=self._number("intrinsics.cx", values["cx"]),
            cy=self._number("intrinsics.cy", values["cy"]),
            distortion_model=self._text(
                "intrinsics.distortion_model", values.get("distortion_model") or ""
            ),
            distortion=self._numbers("intrinsics.distortion", values.get("distortion") or []),
        )

    def _mapping(
        self, key: str, value: Any, required: Sequence[str], known: Sequence[str]
    ) -> Mapping[str, Any]:
        where = f" under {key}" if key else ""
        if not isinstance(value, dict):
            raise self._problem(
                f"{key or 'content'} is {value!r}", f"write the keys {', '.join(known)}"
            )
        for found in value:
            if found not in known:
                raise self._problem(
                    f"unknown key '{found}'{where}", f"known are {', '.join(known)}"
                )
        for name in required:
            if value.get(name) is None:
                raise self._problem(f"no {name}{where}", f"needed are {', '.join(required)}")
        return value

    def _numbers(self, key: str, value: Any) -> tuple[float, ...]:
        if not isinstance(value, list):
            raise self._problem(f"{key} is {value!r}", "write a list of numbers")
        return tuple(self._number(f"{key}[{i}]", item) for i, item in enumerate(value))

    def _finite(self, key: str, value: Any) -> tuple[float, ...]:
        numbers = self._numbers(key, value)
        if not all(map(math.isfinite, numbers)):
            raise self._problem(f"{key} is {value!r}", "write finite numbers")
        return numbers

    def _number(self, key: str, value: Any) -> float:
        # YAML 1.1 takes 4e-3 and inf for text; what reads as a number is meant as one.
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                return float(value)
            except (ValueError, OverflowError):
                pass
        raise self._problem(f"{key} is {value!r}", "write a number")

    def _integer(self, key: str, value: Any) -> int:
        number = self._number(key, value)
        if not (math.isfinite(number) and number == int(number)):
            raise self._problem(f"{key} is {value!r}", "write a whole number")
        return int(number)

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self._problem(f"{key} is {value!r}", "write a name")
        return value

    def _names(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self._problem(f"images is {value!r}", "write a list of file names")
        names = tuple(self._text(f"images[{i}]", item) for i, item in enumerate(value))
        for name in names:
            if names.count(name) > 1:
                raise self._problem(
                    f"'{name}' is listed twice under images", "list every slice once"
                )
        return names

    def _problem(self, what: str, remedy: str) -> StackFileError:
        return StackFileError(f"{self._path}: {_shortened(what)}; {remedy}")


def _shortened(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error) or type(error).__name__
    where = f", line {mark.line + 1}" if mark is not None else ""
    return " ".join(problem.split()) + where
