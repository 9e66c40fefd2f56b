"""One picture that shows a whole estimate: slices, all-in-focus, depth, confidence, cloud."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.geometry import back_project
from focdepth_ros.pictures.depth_pictures import (
    as_colour,
    colour_confidence,
    colour_depth,
    colour_error,
    depth_range,
    put_text,
    render_cloud,
    with_depth_bar,
)
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray

_SLICES = 4
_GAP = 8
_CAPTION_HEIGHT = 26
_BACKGROUND = (24, 24, 24)
_ERROR_LIMIT = 0.2


def picture_sheet(
    stack: FocalStack,
    estimate: DepthEstimate,
    *,
    truth: FloatImage | None = None,
    title: str = "",
    panel_width: int = 400,
) -> ImageArray:
    """Compose what went into an estimate and what came out, each panel with a caption.

    First come slices from near to far, then the all-in-focus image, the depth,
    the ground truth and the relative error where `truth` is given, the confidence, and the
    cloud from a shifted viewpoint where the stack has intrinsics and is metric.

    Parameters
    ----------
    stack : FocalStack
    estimate : DepthEstimate
        Of `stack`.
    truth : (H, W) float32, optional
        Metres, NaN where not known.
    title : str
        One line of ASCII text above the panels.
    panel_width : int
        Pixels.

    Returns
    -------
    (H', W', 3) uint8 RGB
    """
    panels = [*_slice_panels(stack)]
    picture = (
        estimate.all_in_focus
        if estimate.all_in_focus is not None
        else as_colour(stack.slices[stack.reference].image)
    )
    panels.append(("all-in-focus" if estimate.all_in_focus is not None else "reference", picture))

    metric = estimate.metric
    limits = depth_range(estimate.depth if truth is None or not metric else truth)
    known = np.count_nonzero(np.isfinite(estimate.depth)) / estimate.depth.size
    depth = colour_depth(estimate.depth, metric=metric, limits=limits)
    unit = "depth" if metric else "slice index"
    caption = f"{unit}, {estimate.backend}, {100 * known:.0f} % known"
    panels.append((caption, with_depth_bar(depth, limits, metric=metric)))
    if truth is not None and metric:
        true_depth = colour_depth(truth, metric=True, limits=limits)
        panels.append(("ground truth", with_depth_bar(true_depth, limits, metric=True)))
        error = colour_error(estimate.depth, truth, limit=_ERROR_LIMIT)
        panels.append((f"relative error, 0 to {100 * _ERROR_LIMIT:.0f} %", error))
    panels.append(("confidence", colour_confidence(estimate.confidence)))
    if metric and stack.intrinsics is not None:
        points = back_project(estimate.depth, stack.intrinsics)
        panels.append(("cloud, from the side", render_cloud(points, picture, stack.intrinsics)))
    return panel_grid(panels, title=title, panel_width=panel_width)


def panel_grid(
    panels: Sequence[tuple[str, ImageArray]],
    *,
    title: str = "",
    panel_width: int = 400,
    columns: int = 5,
) -> ImageArray:
    """Pictures side by side, each with a caption above it.

    Parameters
    ----------
    panels : sequence of (str, (H, W, 3) uint8 RGB)
        ASCII captions and pictures; those of another shape than the first are fitted into it.
    title : str
        One line of ASCII text above the panels.
    panel_width : int
        Pixels.
    columns : int

    Returns
    -------
    (H', W', 3) uint8 RGB
    """
    cells = []
    height = round(panel_width * panels[0][1].shape[0] / panels[0][1].shape[1])
    for caption, picture in panels:
        cell = np.full((_CAPTION_HEIGHT + height, panel_width, 3), _BACKGROUND, np.uint8)
        put_text(cell, caption, (2, _CAPTION_HEIGHT - 8), 20)
        scale = min(panel_width / picture.shape[1], height / picture.shape[0])
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        cell[_CAPTION_HEIGHT : _CAPTION_HEIGHT + size[1], : size[0]] = shrunk
        cells.append(cell)
    rows = -(-len(cells) // columns)
    top = _CAPTION_HEIGHT + _GAP if title else 0
    cell_height, cell_width = cells[0].shape[:2]
    sheet = np.full(
        (
            top + rows * (cell_height + _GAP) + _GAP,
            columns * (cell_width + _GAP) + _GAP,
            3,
        ),
        _BACKGROUND,
        np.uint8,
    )
    if title:
        put_text(sheet, title, (_GAP, _CAPTION_HEIGHT), 26)
    for i, cell in enumerate(cells):
        row, column = divmod(i, columns)
        y = top + _GAP + row * (cell_height + _GAP)
        x = _GAP + column * (cell_width + _GAP)
        sheet[y : y + cell_height, x : x + cell_width] = cell
    return sheet


def _slice_panels(stack: FocalStack) -> list[tuple[str, ImageArray]]:
    count = min(_SLICES, len(stack))
    panels = []
    for index in np.linspace(0, len(stack) - 1, count).round().astype(int):
        item = stack.slices[index]
        where = "" if item.focus_distance is None else f", {item.focus_distance:.3g} m"
        panels.append((f"slice {index + 1} of {len(stack)}{where}", as_colour(item.image)))
    return panels
