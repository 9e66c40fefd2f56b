"""Pictures of depth, confidence and error for people: colour maps, colour bars, point clouds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.stack import CameraIntrinsics, FloatImage, ImageArray

#: Colour of pixels that are not known; none of the colour maps reaches it.
UNKNOWN_COLOUR = (0, 0, 0)

_BACKGROUND = (24, 24, 24)
_TEXT_COLOUR = (235, 235, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# The ends of the map are dark and could pass for unknown.
_LOWEST, _HIGHEST = 20, 245
_SHARE_IN_VIEW = 97.0  # percent of the points of a cloud


def colour_values(
    values: NDArray[np.floating[Any]], low: float, high: float, colour_map: int = cv2.COLORMAP_TURBO
) -> ImageArray:
    """Colours of an image of numbers.

    Parameters
    ----------
    values : (H, W) float
        NaN is shown in `UNKNOWN_COLOUR`.
    low, high : float
        Values at the two ends of the map; what lies beyond takes the colour of the end.
    colour_map : int
        One of OpenCV's ``COLORMAP_*``.

    Returns
    -------
    (H, W, 3) uint8 RGB
    """
    known = ~np.isnan(values)
    scale = (_HIGHEST - _LOWEST) / (high - low) if high > low else 0.0
    with np.errstate(invalid="ignore"):
        levels = np.clip((values - low) * scale + _LOWEST, _LOWEST, _HIGHEST)
    levels = np.where(known, levels, 0).astype(np.uint8)
    picture = np.ascontiguousarray(cv2.applyColorMap(levels, colour_map)[..., ::-1], np.uint8)
    picture[~known] = UNKNOWN_COLOUR
    return picture


def depth_range(depth: FloatImage) -> tuple[float, float]:
    """Nearest and farthest depth worth a colour: the 1st and 99th percentile of the finite ones.

    Parameters
    ----------
    depth : (H, W) float32
        Metres, or slice indices.

    Returns
    -------
    near, far : float
        1 and 2 where nothing is known.
    """
    known = depth[np.isfinite(depth)]
    if known.size == 0:
        return 1.0, 2.0
    near, far = np.percentile(known, (1.0, 99.0))
    return float(near), float(far)


def colour_depth(
    depth: FloatImage, *, metric: bool, limits: tuple[float, float] | None = None
) -> ImageArray:
    """Depth in colours, near warm and far cold, not known black.

    Metres are coloured evenly in dioptres, in which depth from focus is evenly exact.

    Parameters
    ----------
    depth : (H, W) float32
        Metres, or slice indices if not `metric`; +inf allowed.
    metric : bool
    limits : (float, float), optional
        Nearest and farthest depth of the colours; `depth_range` by default.

    Returns
    -------
    (H, W, 3) uint8 RGB
    """
    near, far = depth_range(depth) if limits is None else limits
    closeness = _closeness(metric)
    return colour_values(closeness(depth), float(closeness(far)), float(closeness(near)))


def colour_confidence(confidence: FloatImage) -> ImageArray:
    """Confidence in [0, 1] in colours, (H, W) float32 to (H, W, 3) uint8 RGB."""
    return colour_values(confidence, 0.0, 1.0, cv2.COLORMAP_VIRIDIS)


def colour_error(depth: FloatImage, truth: FloatImage, *, limit: float = 0.2) -> ImageArray:
    """Relative error of depth in colours, not known in either black.

    Parameters
    ----------
    depth, truth : (H, W) float32
        Metres.
    limit : float
        Relative error that takes the last colour of the map.

    Returns
    -------
    (H, W, 3) uint8 RGB
    """
    with np.errstate(invalid="ignore"):
        error = np.abs(depth - truth) / truth
    return colour_values(error, 0.0, limit)


def with_depth_bar(picture: ImageArray, limits: tuple[float, float], *, metric: bool) -> ImageArray:
    """A depth picture with a colour bar at its right, ticks in metres or slice indices.

    Parameters
    ----------
    picture : (H, W, 3) uint8 RGB
        As from `colour_depth` with the same `limits`.
    limits : (float, float)
        Nearest and farthest depth of the colours.
    metric : bool

    Returns
    -------
    (H, W + bar, 3) uint8 RGB
    """
    height = picture.shape[0]
    unit = max(12, height // 24)
    near, far = limits
    closeness = _closeness(metric)
    first, last = float(closeness(near)), float(closeness(far))
    bar = np.full((height, 6 * unit, 3), _BACKGROUND, np.uint8)
    top, bottom = unit, height - unit
    ramp = np.linspace(first, last, max(bottom - top, 2))[:, np.newaxis]
    bar[top:bottom, unit // 2 : unit + unit // 2] = colour_values(ramp, last, first)[: bottom - top]
    for share in np.linspace(0.0, 1.0, 6):
        level = first + share * (last - first)
        value = _depth_of(level, metric)
        label = f"{value:.3g} m" if metric else f"{value:.3g}"
        put_text(bar, label, (2 * unit, round(top + share * (bottom - top)) + unit // 3), unit)
    return np.hstack([picture, bar])


def css_gradient(*, reverse: bool = False, colour_map: int = cv2.COLORMAP_TURBO) -> str:
    """The colours of `colour_values` from low to high, or the `reverse`, as a CSS gradient."""
    levels = np.linspace(0.0, 1.0, 13)[np.newaxis]
    colours = colour_values(levels[:, ::-1] if reverse else levels, 0.0, 1.0, colour_map)[0]
    return f"linear-gradient(90deg,{','.join('#' + bytes(colour).hex() for colour in colours)})"


def as_colour(image: ImageArray) -> ImageArray:
    """An image as (H, W, 3) uint8 RGB, whether it is mono or RGB."""
    if image.ndim == 3:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)


def put_text(picture: ImageArray, text: str, origin: tuple[int, int], height: int) -> None:
    """Write ASCII text into a picture, its lower left corner at `origin` (x, y), in place.

    It is made smaller where it would not fit.
    """
    scale = cv2.getFontScaleFromHeight(_FONT, max(height * 6 // 10, 4))
    thickness = max(1, height // 16)
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    room = picture.shape[1] - origin[0] - 2  # strokes are a little wider than what is told
    scale *= min(1.0, max(room, 1) / max(width, 1))
    cv2.putText(picture, text, origin, _FONT, scale, _TEXT_COLOUR, thickness, cv2.LINE_AA)


def render_cloud(
    points: NDArray[np.float32],
    colours: ImageArray,
    intrinsics: CameraIntrinsics,
    *,
    yaw: float = 20.0,
    pitch: float = 12.0,
    splat: int = 2,
) -> ImageArray:
    """View of a point cloud from beside and above the camera.

    The virtual camera turns about the median point, so that depth shows as parallax, and
    steps back where needed until nearly all points are in view.

    Parameters
    ----------
    points : (H, W, 3) float32
        Metres in the optical frame; NaN where not known.
    colours : (H, W, 3) uint8 RGB
    intrinsics : CameraIntrinsics
        Of the virtual camera; lens distortion is ignored.
    yaw, pitch : float
        How far the camera moves to the right and up about the scene, in degrees.
    splat : int
        Side of the square that a point covers, in pixels.

    Returns
    -------
    (height, width, 3) uint8 RGB
    """
    width, height = intrinsics.width, intrinsics.height
    view = np.full((height, width, 3), _BACKGROUND, np.uint8)
    known = np.isfinite(points).all(axis=-1)
    cloud, paint = points[known].astype(np.float64), colours[known]
    if len(cloud) == 0:
        return view
    pivot = np.median(cloud, axis=0)
    across, down = np.radians([yaw, pitch])
    turn_y = cv2.Rodrigues(np.array([0.0, across, 0.0]))[0]
    turn_x = cv2.Rodrigues(np.array([down, 0.0, 0.0]))[0]
    turned = (cloud - pivot) @ np.asarray(turn_x @ turn_y).T
    middle = np.array([width - 1, height - 1]) / 2.0
    focal_length = np.array([intrinsics.fx, intrinsics.fy])
    # A point is in view from where |x| f / z is at most half the width.
    distance = (np.abs(turned[:, :2]) * focal_length / middle).max(axis=1) - turned[:, 2]
    turned[:, 2] += max(np.percentile(distance, _SHARE_IN_VIEW), np.linalg.norm(pivot))
    in_front = turned[:, 2] > 0.0
    turned, paint = turned[in_front], paint[in_front]

    rays = turned[:, :2] / turned[:, 2:]
    pixels = np.rint(rays * focal_length + middle).astype(np.int64)
    # Painter's algorithm: far points first. NumPy assigns repeated indices in order, so the
    # nearest point of a pixel is what stays.
    order = np.argsort(-turned[:, 2], kind="stable")
    offsets = np.arange(splat)
    rows = (pixels[order, 1, np.newaxis, np.newaxis] + offsets[:, np.newaxis]).repeat(splat, axis=2)
    columns = (pixels[order, 0, np.newaxis, np.newaxis] + offsets).repeat(splat, axis=1)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    source = np.broadcast_to(order[:, np.newaxis, np.newaxis], inside.shape)[inside]
    view[rows[inside], columns[inside]] = paint[source]
    return view


def _closeness(metric: bool) -> Callable[[Any], Any]:
    """What grows towards the camera evenly with the colours: dioptres, or minus the index."""
    if not metric:
        return np.negative

    def dioptres(depth: Any) -> Any:
        with np.errstate(divide="ignore"):
            return 1.0 / np.asarray(depth)

    return dioptres


def _depth_of(closeness: float, metric: bool) -> float:
    if not metric:
        return -closeness
    return 1.0 / closeness if closeness > 0.0 else float("inf")
