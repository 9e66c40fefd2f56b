"""Writing a depth estimate as files that other programs and people can read.

- ``depth.npy``: (H, W) float32 in metres, NaN where not known; slice index for a relative stack
- ``depth.png``: 16-bit millimetres, 0 where not known or beyond 65.535 m; metric stacks only
- ``depth_preview.png``: colours for people, near warm, not known black, with a colour bar
- ``all_in_focus.png``: 8-bit colours
- ``confidence.npy``: (H, W) float32 in [0, 1]
- ``slice_index.npy``: (H, W) float32, fractional, near to far
- ``cloud.ply``: known points with colours in the optical frame; needs metres and intrinsics
- ``result.json``: backend, timings, metrics, warnings, versions, what was left out and why
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import focdepth_ros
from focdepth_ros.errors import CalibrationError, RelativeStackError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.files.image_io import write_image
from focdepth_ros.files.ply import write_ply
from focdepth_ros.files.whole_files import whole_file
from focdepth_ros.geometry import back_project, intrinsics_from_lens
from focdepth_ros.pictures.depth_pictures import (
    as_colour,
    colour_depth,
    depth_range,
    with_depth_bar,
)
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray

RESULT_JSON = "result.json"

_PNG_MAX = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class WrittenResults:
    """What `write_results` wrote.

    Parameters
    ----------
    folder : Path
    files : tuple of str
        Names of the files in `folder`.
    skipped : dict of str to str
        Files that could not be given, each with the reason.
    """

    folder: Path
    files: tuple[str, ...]
    skipped: dict[str, str]


def write_results(
    folder: str | os.PathLike[str],
    estimate: DepthEstimate,
    stack: FocalStack,
    *,
    metrics: Mapping[str, float] | None = None,
    details: Mapping[str, Any] | None = None,
) -> WrittenResults:
    """Write a depth estimate; see the module's description for the files.

    Parameters
    ----------
    folder : path-like
        Made where missing. Files of the same names are replaced, and those that cannot be
        given this time are removed.
    estimate : DepthEstimate
    stack : FocalStack
        From which the estimate was made.
    metrics : mapping, optional
        As from `focdepth_ros.evaluation.metrics.depth_metrics`.
    details : mapping, optional
        More entries for ``result.json``, such as the settings used.

    Raises
    ------
    OSError
        If the folder or a file in it cannot be written.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    skipped: dict[str, str] = {}

    for name in ("depth", "confidence", "slice_index"):
        np.save(path / f"{name}.npy", getattr(estimate, name), allow_pickle=False)
    write_preview(path / "depth_preview.png", estimate)
    files = ["depth.npy", "confidence.npy", "slice_index.npy", "depth_preview.png"]

    if estimate.metric:
        write_image(path / "depth.png", depth_in_millimetres(estimate.depth))
        files.append("depth.png")
    else:
        skipped["depth.png"] = "the stack is relative: without focus distances no millimetres"
    if estimate.all_in_focus is not None:
        write_image(path / "all_in_focus.png", estimate.all_in_focus)
        files.append("all_in_focus.png")
    else:
        skipped["all_in_focus.png"] = "not asked for"
    try:
        write_ply(path / "cloud.ply", *point_cloud(estimate, stack))
        files.append("cloud.ply")
    except (RelativeStackError, CalibrationError) as error:
        skipped["cloud.ply"] = str(error)

    for name in skipped:
        (path / name).unlink(missing_ok=True)
    files.append(RESULT_JSON)
    distances = [item.focus_distance for item in stack.slices] if stack.is_metric else None
    result = {
        **summary_of(estimate, len(stack), distances),
        "metrics": None if metrics is None else dict(metrics),
        "files": files,
        "skipped": skipped,
        **(details or {}),
    }
    write_result(path, result)
    return WrittenResults(path, tuple(files), skipped)


def write_preview(path: Path, estimate: DepthEstimate) -> None:
    """Write depth in colours for people, with a colour bar.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    limits = depth_range(estimate.depth)
    preview = colour_depth(estimate.depth, metric=estimate.metric, limits=limits)
    write_image(path, with_depth_bar(preview, limits, metric=estimate.metric))


def write_result(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``result.json``: `content`, and the versions of what made it.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    versions = {
        "focdepth_ros": focdepth_ros.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    result = _plain({**content, "versions": versions})
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    with whole_file(folder / RESULT_JSON) as file:
        file.write(text + "\n")


def depth_in_millimetres(depth: FloatImage) -> NDArray[np.uint16]:
    """Depth as 16-bit millimetres.

    Parameters
    ----------
    depth : (H, W) float32
        Metres.

    Returns
    -------
    (H, W) uint16
        Millimetres; 0 where not known or beyond 65.535 m.
    """
    with np.errstate(invalid="ignore"):
        millimetres = np.rint(depth * 1000.0)
        fits = (millimetres >= 0.0) & (millimetres <= _PNG_MAX)
    return np.where(fits, millimetres, 0.0).astype(np.uint16)


def point_cloud(
    estimate: DepthEstimate, stack: FocalStack
) -> tuple[NDArray[np.float32], ImageArray]:
    """Points and colours of an estimate, from the intrinsics of the stack or else its lens.

    Parameters
    ----------
    estimate : DepthEstimate
    stack : FocalStack
        From which the estimate was made.

    Returns
    -------
    points : (H, W, 3) float32
        Metres in the optical frame, NaN where the depth is not known.
    colours : (H, W, 3) uint8 RGB
        Of the all-in-focus image, or of the reference slice where there is none.

    Raises
    ------
    RelativeStackError
        If the depth is not in metres.
    CalibrationError
        If neither intrinsics nor lens are known, or the distortion model cannot be used.
    """
    if not estimate.metric:
        raise RelativeStackError(
            "the stack is relative; give focus distances in metres to get points"
        )
    intrinsics = stack.intrinsics
    if intrinsics is None:
        if stack.lens is None:
            raise CalibrationError(
                "neither camera intrinsics nor lens are known; give intrinsics or lens in "
                "stack.yaml, or the horizontal field of view"
            )
        height, width = stack.size
        intrinsics = intrinsics_from_lens(stack.lens, width, height)
    image = estimate.all_in_focus
    if image is None:
        image = as_colour(stack.slices[stack.reference].image)
    return back_project(estimate.depth, intrinsics), image


def summary_of(
    estimate: DepthEstimate, slices: int, focus_distances: Sequence[float | None] | None
) -> dict[str, Any]:
    """What ``result.json`` says of an estimate.

    Parameters
    ----------
    estimate : DepthEstimate
    slices : int
        How many the stack has.
    focus_distances : sequence of float or None
        Metres, near to far; None for a relative stack.
    """
    height, width = estimate.depth.shape
    known = estimate.depth[~np.isnan(estimate.depth)]
    return {
        "backend": estimate.backend,
        "metric": estimate.metric,
        "width": width,
        "height": height,
        "slices": slices,
        "left_out": estimate.left_out,
        "focus_distances": focus_distances,
        "coverage": known.size / estimate.depth.size,
        "nearest": float(known.min()) if known.size else None,
        "farthest": float(known.max()) if known.size else None,
        "timings": estimate.timings,
        "warnings": list(estimate.warnings),
    }


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN becomes null, infinity the text "inf"."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
