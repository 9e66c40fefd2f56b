"""One focal stack and its estimate as one HTML page that opens without a network."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import focdepth_ros
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.report import page_template
from focdepth_ros.evaluation.report_tables import figure_rows
from focdepth_ros.files.image_io import encode_image
from focdepth_ros.pictures.depth_pictures import (
    as_colour,
    colour_confidence,
    colour_depth,
    depth_range,
    with_depth_bar,
)
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray

_LONGEST_SIDE = 1200  # px; of the large pictures
_PERCENTILES = (5, 25, 50, 75, 95)


def write_stack_report(
    path: Path,
    title: str,
    stack: FocalStack,
    estimate: DepthEstimate,
    *,
    truth: FloatImage | None = None,
    metrics: Mapping[str, float] | None = None,
    settings: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    sheet: ImageArray | None = None,
) -> None:
    """Write the page: what came out, how, how sure and how right it is, with pictures.

    Parameters
    ----------
    path : Path
        Of the file to write.
    title : str
    stack : FocalStack
    estimate : DepthEstimate
        Of `stack`.
    truth : (H, W) float32, optional
        Metres, NaN where not known; it is left out beside an estimate that is not in metres.
    metrics : mapping of str to float, optional
        Errors against `truth`.
    settings : mapping of str to anything, optional
        How the estimate was asked for; mappings may hold mappings.
    notes : sequence of str
        What is to be said beside the warnings of the estimate.
    sheet : (H, W, 3) uint8, optional
        From `picture_sheet`, where that was drawn before.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    if sheet is None:
        sheet = picture_sheet(stack, estimate, truth=truth if estimate.metric else None)
    page = page_template("stack_report.html.j2").render(
        title=title,
        about=_about(stack, estimate),
        warnings=[*notes, *estimate.warnings],
        depth=_depth_rows(estimate),
        unit="m" if estimate.metric else "slice, from 0",
        errors=figure_rows(metrics or {}),
        times=estimate.timings,
        settings=dict(_flat(settings or {})),
        pictures=[(caption, _inline(picture)) for caption, picture in _large(stack, estimate)],
        sheet=_inline(sheet, longest_side=None),
        slices=_slice_rows(stack, estimate),
    )
    path.write_text(page, encoding="utf-8")


def _about(stack: FocalStack, estimate: DepthEstimate) -> dict[str, str]:
    height, width = estimate.depth.shape
    known = ~np.isnan(estimate.depth)
    distances = [item.focus_distance for item in stack.slices]
    about = {
        "backend": estimate.backend,
        "images": f"{len(stack)} of {width}×{height} px",
        "focus distances": "not known: depth is the place in the stack, and no metres",
    }
    if estimate.metric:
        about["focus distances"] = f"{_metres(distances[0])} to {_metres(distances[-1])}"
    if estimate.left_out:
        about["left out"] = f"{estimate.left_out} that could not be aligned"
    about["reference"] = f"slice {stack.reference + 1}, on whose pixels the answer lies"
    if stack.intrinsics is not None:
        camera = stack.intrinsics
        view = 2.0 * math.degrees(math.atan(camera.width / (2.0 * camera.fx)))
        about["camera"] = (
            f"fx {camera.fx:.1f}, fy {camera.fy:.1f}, cx {camera.cx:.1f}, cy {camera.cy:.1f} px; "
            f"{view:.1f}° across; distortion {camera.distortion_model or 'none'}"
        )
    if stack.lens is not None:
        lens = stack.lens
        about["lens"] = (
            f"{1e3 * lens.focal_length:.3g} mm, f/{lens.f_number:.3g}, "
            f"pixels of {1e6 * lens.pixel_pitch:.3g} µm"
        )
    answered = 100.0 * np.count_nonzero(known) / known.size
    about["answered"] = f"{answered:.1f} % of the pixels"
    if known.any():
        about["confidence there"] = f"{float(np.mean(estimate.confidence[known])):.2f} in the mean"
    about["focdepth_ros"] = focdepth_ros.__version__
    return about


def _depth_rows(estimate: DepthEstimate) -> list[tuple[str, str]]:
    """How the known depth is spread."""
    known = estimate.depth[np.isfinite(estimate.depth)]
    if not known.size:
        return []
    spread = np.percentile(known, _PERCENTILES)
    rows = [("nearest", float(known.min()))]
    rows += [
        ("median" if share == 50 else f"{share} % are nearer than", float(value))
        for share, value in zip(_PERCENTILES, spread, strict=True)
    ]
    rows += [("farthest", float(known.max())), ("mean", float(known.mean(dtype=np.float64)))]
    return [(name, f"{value:.3f}") for name, value in rows]


def _slice_rows(stack: FocalStack, estimate: DepthEstimate) -> list[dict[str, str]]:
    """Each slice, and how much of what is known is sharpest in it."""
    known = ~np.isnan(estimate.depth)
    index = np.clip(np.rint(estimate.slice_index[known]), 0, len(stack) - 1).astype(np.int64)
    counts = np.bincount(index, minlength=len(stack))
    shares = 100.0 * counts / max(index.size, 1)
    return [
        {
            "number": str(number),
            "distance": "" if item.focus_distance is None else _metres(item.focus_distance),
            "dioptres": "" if item.focus_distance is None else f"{item.dioptre:.2f}",
            "share": f"{share:.1f}",
            "bar": f"{100.0 * share / max(shares.max(), 1e-9):.0f}",
        }
        for number, (item, share) in enumerate(zip(stack.slices, shares, strict=True), 1)
    ]


def _large(stack: FocalStack, estimate: DepthEstimate) -> list[tuple[str, ImageArray]]:
    limits = depth_range(estimate.depth)
    colours = colour_depth(estimate.depth, metric=estimate.metric, limits=limits)
    sharp = estimate.all_in_focus
    return [
        ("All in focus", sharp)
        if sharp is not None
        else ("Reference slice", as_colour(stack.slices[stack.reference].image)),
        (
            "Depth; black: not known well enough",
            with_depth_bar(colours, limits, metric=estimate.metric),
        ),
        ("Confidence, from 0 (dark) to 1 (yellow)", colour_confidence(estimate.confidence)),
    ]


def _inline(picture: ImageArray, longest_side: int | None = _LONGEST_SIDE) -> str:
    """A picture as a data URL."""
    scale = 1.0 if longest_side is None else longest_side / max(picture.shape[:2])
    if scale < 1.0:
        size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return "data:image/jpeg;base64," + b64encode(encode_image(picture, ".jpg")).decode("ascii")


def _metres(distance: float | None) -> str:
    if distance is None:
        return "not known"
    return "infinity" if math.isinf(distance) else f"{distance:.3g} m"


def _flat(settings: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Settings one per line, without those that are empty."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{within}{name} ")
        elif value not in ("", None):
            yield f"{within}{name}", str(value)
