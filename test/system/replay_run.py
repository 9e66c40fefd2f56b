"""Plays a bag through `depth_node` and `evaluator_node`, each in a process of its own."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focdepth_ros.bags.writing import IMAGES, STATES
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue

_PATIENCE = 90.0  # seconds
# No frame may be lost on a busy computer; the player is as reliable as it is asked to be.
_LOSSLESS: dict[str, ParameterValue] = {
    f"qos_overrides.{topic}.subscription.{policy}": value
    for topic in (IMAGES, STATES)
    for policy, value in (("reliability", "reliable"), ("depth", 200))
}

Scores = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Replay:
    """What came of it: scores by scene, exit codes and logs by node."""

    scores: Scores
    exit_codes: dict[str, int | None]
    logs: dict[str, str]


def replay(
    bag: Path,
    folder: Path,
    *,
    depth: dict[str, ParameterValue] | None = None,
    player: dict[str, ParameterValue] | None = None,
    evaluator: dict[str, ParameterValue] | None = None,
) -> Replay:
    """Play the bag to its end, and wait for the report in ``folder / "live"``."""
    parameters: dict[str, dict[str, ParameterValue]] = {
        "depth_node": {
            "backend": "graph_cut",
            "min_confidence": 0.0,
            "max_waiting_sweeps": 20,
            "diagnostics_period": 0.2,  # by which the evaluator knows that all is answered
            **_LOSSLESS,
            **(depth or {}),
        },
        "evaluator_node": {"output": str(folder / "live"), **(evaluator or {})},
        "bag_player_node": {
            "bag": str(bag),
            "wait_for_subscribers": 1,
            "start_delay": 1.5,
            **(player or {}),
        },
    }
    processes = {
        name: NodeProcess(f"focdepth_ros.ros.{name}", values, folder / f"{name}.log")
        for name, values in parameters.items()
    }
    end = time.monotonic() + _PATIENCE
    try:
        while processes["evaluator_node"].exit_code is None:
            words = "\n".join(process.last_words() for process in processes.values())
            assert time.monotonic() < end, f"no end after {_PATIENCE} s\n{words}"
            time.sleep(0.1)
        exit_codes = {"evaluator_node": processes["evaluator_node"].exit_code}
    finally:
        stopped = {name: process.stop() for name, process in processes.items()}
    logs = {name: process.log.read_text(encoding="utf-8") for name, process in processes.items()}
    return Replay(scores_in(folder / "live"), {**stopped, **exit_codes}, logs)


def scores_in(folder: Path) -> Scores:
    """Scores of an evaluation, by scene."""
    lines = (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    return {score["scene"]: score for score in map(json.loads, lines)}
