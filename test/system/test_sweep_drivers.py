"""Simulated driver → sweep_node and depth_node: depth as good as that of an ideal camera."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import Peer, pixels
from simulated_drivers import DRIVERS
from small_sweep import INTRINSICS, LENS, slope
from sweep_rig import FAR, IMAGES, NEAR, sweep_rig

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.optics import sweep_distances
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.simulation import render_rgbd
from focdepth_ros.stack import FocalStack

STEPS = 8
SWEEPS = 2


def ideal_abs_rel(gain: float) -> float:
    """Of a camera that is exactly where it should be, as bright; mean of several exposures."""
    image, depth = slope()
    distances = sweep_distances(NEAR, FAR, STEPS).tolist()
    simulated = render_rgbd(image, depth, INTRINSICS, LENS, distances)
    pipeline = DepthPipeline(create_backend("graph_cut"), min_confidence=DEFAULT_MIN_CONFIDENCE)
    errors = []
    for seed in range(SWEEPS):
        stack = simulated.expose(seed)
        slices = [replace(s, image=(s.image * gain).astype(np.uint8)) for s in stack.slices]
        estimate = pipeline.estimate(FocalStack(slices, INTRINSICS, LENS, stack.reference))
        errors.append(depth_metrics(estimate.depth, depth)["abs_rel"])
    return float(np.mean(errors))


@pytest.mark.parametrize(
    "driver",
    [
        "camera_ros",
        # test_sweep_node.py has what differs: whether the frames show what is said of them.
        *(pytest.param(name, marks=pytest.mark.slow) for name in DRIVERS if name != "camera_ros"),
    ],
)
def test_depth_is_as_good_as_that_of_an_ideal_camera(
    domain: int, tmp_path: Path, driver: str
) -> None:
    peer = Peer("observer")
    depth_parameters = {"backend": "graph_cut", "sweep.timeout": 3.0}
    image_topic = IMAGES[driver]
    remappings = {
        "image_raw": image_topic,
        "camera_info": image_topic.replace("image_raw", "camera_info"),
    }
    results = DepthResults(peer, ("depth/image", "sweep_info"))
    with (
        NodeProcess(
            "focdepth_ros.ros.depth_node",
            depth_parameters,
            tmp_path / "depth.log",
            remappings=remappings,
        ) as node,
        sweep_rig(peer, driver, tmp_path, steps=STEPS) as rig,
    ):
        depths, infos = results.received["depth/image"], results.received["sweep_info"]

        def whole() -> list[Any]:
            """Depth of all slices: of the first sweep some may be missed."""
            stamps = {stamp_of(info.header) for info in infos if len(info.stamps) == STEPS}
            return [depth for depth in depths if stamp_of(depth.header) in stamps]

        rig.wait(
            lambda: len(whole()) >= SWEEPS and rig.settled_with_truth(),
            f"{SWEEPS} answers\n{node.last_words()}",
        )
    peer.close()
    assert all(info.end_reason == "complete" for info in infos[1:])
    assert infos[-1].fallback_reason == ""
    _, truth = slope()
    found = [depth_metrics(pixels(depth), truth) for depth in whole()]
    gain = rig.settled_with_truth()[-1][1].lens_position
    ideal = ideal_abs_rel(gain)
    live = float(np.mean([measures["abs_rel"] for measures in found]))
    print(f"{driver}: abs_rel {live:.5f}, of an ideal camera {ideal:.5f}")
    assert ideal < 0.02
    assert live < 1.1 * ideal
    assert min(measures["coverage"] for measures in found) > 0.5
