"""What the scripts that make pictures for the docs share: panels, colours, files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pictures.depth_pictures import colour_values
from focdepth_ros.pictures.sheet import panel_grid
from focdepth_ros.stack import FloatImage, ImageArray

Panels = list[tuple[str, ImageArray]]

HEAT = cv2.COLORMAP_INFERNO

_IMAGES = Path(__file__).parent / "images"
_QUALITY = 75


def write_panels(name: str, panels: Panels, *, columns: int = 5, width: int = 260) -> None:
    """Write panels side by side as ``docs/images/<name>.jpg``."""
    picture = panel_grid(panels, columns=columns, panel_width=width)[..., ::-1]
    path = _IMAGES / f"{name}.jpg"
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def position_colours(index: FloatImage, count: int) -> ImageArray:
    """Positions in a stack of `count` slices; near is warm, as in every picture of depth."""
    return colour_values(-index, -(count - 1.0), 0.0)


def position_limits(estimate: DepthEstimate) -> tuple[float, float]:
    """Nearest and farthest position worth a colour."""
    low, high = np.nanpercentile(estimate.slice_index, (1.0, 99.0))
    return float(low), float(high)


def masked_positions(estimate: DepthEstimate, limits: tuple[float, float]) -> ImageArray:
    """Positions, darker where the confidence is below the threshold."""
    low, high = limits
    picture = colour_values(-estimate.slice_index, -high, -low)
    unsure = estimate.confidence < DEFAULT_MIN_CONFIDENCE
    picture[unsure] = picture[unsure] // 3
    return picture
