"""Runs the simulated camera and the depth node, and collects what an observer receives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from focdepth_ros.ros.demo_observer import DemoObserver, ObservedSweep
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue
from focdepth_ros.stack import FloatImage, FocalStack

SEED = 1003  # held out: nothing was tuned on it
SIZE = {"width": 320, "height": 240}  # a quarter of the pixels, which are quicker to render

_PATIENCE = 30.0  # seconds without a sweep


@dataclass
class LiveRun:
    """What came of one run.

    Parameters
    ----------
    sweeps : list of ObservedSweep
    truth : (H, W) float32 or None
        Metres, as the camera told it.
    stack : FocalStack
        The slices of the last sweep as they came over the topics.
    exit_codes : dict of str to int
        By node, after an interrupt.
    """

    sweeps: list[ObservedSweep]
    truth: FloatImage | None
    stack: FocalStack
    exit_codes: dict[str, int]


def live_run(
    logs: Path,
    sweeps: int,
    *,
    camera: dict[str, ParameterValue] | None = None,
    depth: dict[str, ParameterValue] | None = None,
    slices: int = 0,
) -> LiveRun:
    """Let the camera send some sweeps, and wait for as many answers.

    Only answers to at least `slices` slices count: frames travel by best effort, and on a busy
    computer some are lost.
    """
    camera_parameters: dict[str, ParameterValue] = {
        "seed": SEED,
        **SIZE,
        "sweeps": sweeps,
        "wait_for_subscribers": 2,  # the depth node and this observer
        # The depth node works only once it has found this observer, too.
        "start_delay": 2.5,
        # Slow enough for a computer that is busy with something else: a sweep is dropped where
        # they come faster than they are worked on.
        "frame_rate": 20.0,
        **(camera or {}),
    }
    received: list[ObservedSweep] = []
    with (
        DemoObserver() as observer,
        NodeProcess("focdepth_ros.ros.depth_node", depth or {}, logs / "depth_node.log") as node,
        NodeProcess(
            "focdepth_ros.ros.sim_camera_node", camera_parameters, logs / "camera.log"
        ) as camera_node,
    ):
        # How long it renders is no matter of its silence.
        while camera_node.exit_code is None and "sending sweeps" not in camera_node.last_words():
            observer.spin_once()
        last = time.monotonic()
        while len(received) < sweeps:
            observer.spin_once()
            while observer.answers:
                answer = observer.answers.popleft()
                if len(answer.info.stamps) >= slices:
                    received.append(answer)
                last = time.monotonic()
            silent = time.monotonic() - last
            assert silent < _PATIENCE, (
                f"{len(received)} answers, then silence\n{node.last_words()}\n"
                f"{camera_node.last_words()}"
            )
        exit_codes = {process.name: process.stop() for process in (node, camera_node)}
        return LiveRun(received, observer.truth, observer.stack_of(received[-1]), exit_codes)
