"""What depthimage_to_laserscan (branch ros2, ``DepthImageToLaserScan``) makes of a depth image.

Written anew from its source, loop for loop, to see our messages as it sees them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scan:
    """A ``sensor_msgs/LaserScan``: angles in rad, ranges in m."""

    angle_min: float
    angle_increment: float
    ranges: np.ndarray

    def angles(self) -> np.ndarray:
        return self.angle_min + self.angle_increment * np.arange(len(self.ranges))


def laserscan(
    depth: Any, info: Any, *, scan_height: int = 1, range_min: float = 0.45, range_max: float = 10.0
) -> Scan:
    """The scan of a depth image message and its ``camera_info``."""
    assert depth.encoding == "32FC1"
    assert not depth.is_bigendian
    # image_geometry takes fx, cx and cy of the projection matrix.
    fx, cx, cy = info.p[0], info.p[2], info.p[6]
    assert fx != 0.0
    if scan_height / 2 > cy or scan_height / 2 > depth.height - cy:
        raise ValueError(f"scan_height ({scan_height} pixels) is too large for the image height.")
    angle_max = math.atan2(cx, fx)
    angle_min = -math.atan2(depth.width - 1 - cx, fx)
    increment = (angle_max - angle_min) / (depth.width - 1)
    ranges = np.full(depth.width, np.nan)
    rows = np.frombuffer(depth.data, np.float32).reshape(depth.height, depth.step // 4)
    offset = int(cy - scan_height / 2.0)
    for v in range(offset, offset + scan_height):
        for u in range(depth.width):
            z = float(rows[v, u])
            th = -math.atan2(u - cx, fx)
            index = int((th - angle_min) / increment)
            r = math.hypot((u - cx) * z / fx, z) if math.isfinite(z) else z
            if _use_point(r, ranges[index], range_min, range_max):
                ranges[index] = r
    return Scan(angle_min, increment, ranges)


def _use_point(new: float, old: float, range_min: float, range_max: float) -> bool:
    if not math.isfinite(new) and not math.isfinite(old):
        return not math.isnan(new)  # infinity tells more than NaN
    if not range_min <= new <= range_max:
        return False
    return not math.isfinite(old) or new < old
