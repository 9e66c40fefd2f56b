"""The small sweep as of a camera that tells lens positions and no metres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ros_harness import CameraDriver, Peer, pixels
from small_sweep import small_sweep

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.pipeline import DepthPipeline

STACK = small_sweep().stack
# Raw, rising towards near, as of a camera that nobody has calibrated.
POSITIONS = tuple(float(p) for p in np.round(np.linspace(230, 20, len(STACK))))
PARAMETERS = {"backend": "graph_cut", "aif_only": True, "diagnostics_period": 0.1}


def expected() -> np.ndarray:
    """The picture beside a depth in metres."""
    picture = DepthPipeline(create_backend("graph_cut")).estimate(STACK).all_in_focus
    assert picture is not None
    return picture


def sharp_as_expected(message: Any) -> bool:
    """Equal but for ties: positions may count the slices from far to near."""
    apart = np.abs(pixels(message).astype(float) - expected())
    return bool(np.mean(apart > 1.0) < 0.01)


def send_positions(
    driver: CameraDriver, peer: Peer, order: Sequence[int], *, counted: bool = True
) -> list[Any]:
    """Slices in this order with lens positions and no metres, with sweep ids or without."""
    headers = []
    driver.sweep_id += 1
    for step, number in enumerate(order):
        ids = {"sweep_id": driver.sweep_id, "sweep_step": step, "sweep_size": len(order)}
        header = driver.send(
            STACK.slices[number].image,
            math.nan,
            lens_position=POSITIONS[number],
            lens_position_unit="raw",
            **(ids if counted else {}),
        )
        headers.append(header)
        peer.spin(0.01)
    return headers
