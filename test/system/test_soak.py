"""The soak finds what it looks for, and its nodes bear a short one."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("rclpy")

from focdepth_ros.ros.node_process import ProcessUsage

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"
SWEEPS = 500


@pytest.fixture(scope="module")
def soak() -> Iterator[ModuleType]:
    """What judges a run."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        yield importlib.import_module("soak_verdicts")
    finally:
        sys.path.remove(str(SCRIPT.parent))


@pytest.fixture
def calm(soak: ModuleType) -> Any:
    """A run of ten sweeps per second in which all is as it should be."""
    usage = ProcessUsage(
        cpu_seconds=0.0, own_memory=50_000_000, memory=200_000_000, files=20, threads=10
    )
    return soak.Run(
        sent=SWEEPS,
        slices=5,
        answers=[soak.Answer(n + 1, 0.1 * n, 0.01, 0.02) for n in range(SWEEPS)],
        samples=[
            soak.Sample(float(t), replace(usage, cpu_seconds=0.3 * t), others=0.01 * t)
            for t in range(SWEEPS // 10)
        ],
        figures={"images received": str(5 * SWEEPS)},
        received={"depth/image": SWEEPS, "points": SWEEPS},
        exit_codes={"depth_node": 0},
    )


def bad(soak: ModuleType, run: Any) -> list[str]:
    return [verdict.what for verdict in soak.judged(run) if verdict.is_good is False]


def with_usage(run: Any, **rates: float) -> Any:
    """Figures of the process that rise by so much per second."""
    samples = []
    for sample in run.samples:
        changed = {
            name: int(getattr(sample.usage, name) + rate * sample.time)
            for name, rate in rates.items()
        }
        samples.append(replace(sample, usage=replace(sample.usage, **changed)))
    return replace(run, samples=samples)


def test_nothing_is_wrong_with_a_calm_run(soak: ModuleType, calm: Any) -> None:
    assert bad(soak, calm) == []


def test_what_is_wrong_is_found(soak: ModuleType, calm: Any) -> None:
    leak = with_usage(calm, own_memory=50_000.0, memory=50_000.0)
    assert bad(soak, leak) == ["growth of memory of its own"]
    assert bad(soak, with_usage(calm, files=0.1)) == ["file descriptors"]
    assert bad(soak, with_usage(calm, threads=0.1)) == ["threads"]
    slower = [replace(a, latency=0.01 + 1e-5 * a.sequence) for a in calm.answers]
    assert [what.split(",")[0] for what in bad(soak, replace(calm, answers=slower))] == [
        "latency after the last frame"
    ] * 3
    lost = replace(calm, answers=calm.answers[:100] + calm.answers[103:])
    assert "unaccounted for" in bad(soak, lost)
    figures = {"images received": str(5 * SWEEPS), "sweep outrun": "3"}
    named = replace(lost, figures=figures, received={"points": SWEEPS - 3})
    assert bad(soak, named) == []
    late = replace(calm, figures={"images received": str(5 * SWEEPS - 1)})
    assert bad(soak, late) == ["frames lost on the way to the node"]
    busy = [
        replace(s, usage=replace(s.usage, cpu_seconds=0.3 * s.time + 0.01 * s.time**2))
        for s in calm.samples
    ]
    assert bad(soak, replace(calm, samples=busy)) == ["processor time per sweep"]
    assert bad(soak, replace(calm, exit_codes={"depth_node": -6})) == ["exit codes"]


def test_latencies_on_a_busy_machine_are_not_judged(soak: ModuleType, calm: Any) -> None:
    slower = [replace(a, latency=0.01 + 1e-5 * a.sequence) for a in calm.answers]
    busy = [replace(sample, others=1000.0 * sample.time) for sample in calm.samples]
    run = replace(calm, answers=slower, samples=busy)
    assert bad(soak, run) == []
    unsure = [verdict.what for verdict in soak.judged(run) if verdict.is_good is None]
    assert unsure[-1] == "other programs"
    assert len(unsure) == 8


@pytest.mark.faults
def test_a_short_one(tmp_path: Path) -> None:
    """Of latencies and memory a busy machine says nothing in so short a time."""
    command = [sys.executable, str(SCRIPT), "--sweeps", "150", "--log", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, 1, 2), done.stderr
    run = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    lost = sum(int(run["figures"].get(name, 0)) for name in ("sweep outrun", "too few slices"))
    assert len({answer["sequence"] for answer in run["answers"]}) + lost == 150
    assert run["exit_codes"] == {"depth_node": 0, "sim_camera_node": 0}
