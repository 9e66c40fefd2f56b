"""Thousands of sweeps through the nodes, and whether anything grows, gets lost or slows down.

python benchmarks/soak.py [--sweeps 5000] [--sweep-rate 10] [--log FOLDER]

sim_camera_node sends small images fast, depth_node answers, this process listens to all results.
A table says what was seen, and whether it is as it should be; exit code 1 if not, 2 if latencies
say nothing because other programs took much of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from soak_verdicts import LOST_SWEEPS, Answer, Run, Sample, judged, table

from focdepth_ros.cli.progress import progress
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.msg import SweepInfo
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue
from focdepth_ros.ros.node_support.node_runner import signals_deferred

SLICES, WIDTH, HEIGHT = 5, 96, 72
SAMPLE_PERIOD = 1.0  # seconds
PATIENCE = 30.0  # seconds without an answer
# Frames and answers that wait: 20 s of frames, since what is overwritten there nobody can count.
QUEUE = 1000
OTHERS = {
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "confidence/image": Image,
    "all_in_focus/image": Image,
    "points": PointCloud2,
}


class Observer:
    """Listens to everything that depth_node says."""

    def __init__(self) -> None:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("soak_observer")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self.answers: list[Answer] = []
        self.figures: dict[str, str] = {}
        self.received = dict.fromkeys(OTHERS, 0)
        qos = QoSProfile(depth=QUEUE)
        self._node.create_subscription(SweepInfo, "sweep_info", self._on_info, qos)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        for topic, kind in OTHERS.items():
            self._node.create_subscription(kind, topic, self._counter(topic), qos, raw=True)

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def spin_once(self) -> None:
        with signals_deferred():
            self._executor.spin_once(timeout_sec=0.1)

    def count(self, name: str) -> int:
        """A count on ``/diagnostics``."""
        return int(self.figures.get(name, "0"))

    def _counter(self, topic: str) -> Callable[[bytes], None]:
        def count(message: bytes) -> None:
            self.received[topic] += 1

        return count

    def _on_info(self, info: Any) -> None:
        delay = 1e-9 * (time.time_ns() - stamp_of(info.header))
        latency = info.latency_after_last_frame
        self.answers.append(Answer(info.sequence, time.monotonic(), latency, delay))

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name.startswith("depth_node: "):
                self.figures = {item.key: item.value for item in status.values}


def main() -> int:
    options = parsed()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.log is None:
            with tempfile.TemporaryDirectory() as folder:
                run = soak(options, Path(folder))
        else:
            options.log.mkdir(parents=True, exist_ok=True)
            run = soak(options, options.log)
            (options.log / "run.json").write_text(json.dumps(asdict(run)), encoding="utf-8")
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130
    except RuntimeError as error:
        console.print(f"error: {error}", markup=False)
        return 1
    verdicts = judged(run)
    console.print(table(verdicts, run))
    if any(verdict.is_good is False for verdict in verdicts):
        return 1
    if any(verdict.is_good is None for verdict in verdicts):
        console.print("unsure: other programs were at work; run it again on an idle machine")
        return 2
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", type=int, default=5000, help="how many (default 5000)")
    parser.add_argument(
        "--sweep-rate", type=float, default=10.0, help="sweeps per second (default 10)"
    )
    parser.add_argument("--backend", default="graph_cut", help="of depth_node (default graph_cut)")
    parser.add_argument("--log", type=Path, help="folder for the logs and all figures")
    options = parser.parse_args()
    if options.sweeps < 100:
        parser.error(f"--sweeps is {options.sweeps}; under 100 nothing can be said")
    return options


def soak(options: argparse.Namespace, logs: Path) -> Run:
    """Run the nodes until all sweeps are accounted for, or nothing comes any more."""
    camera: dict[str, ParameterValue] = {
        "width": WIDTH,
        "height": HEIGHT,
        "slices": SLICES,
        "frame_rate": SLICES * options.sweep_rate,
        "sweeps": options.sweeps,
        "wait_for_subscribers": 1,
        "start_delay": 3.0,
        **reliable("publisher", "image_raw", "focus_state"),
    }
    depth: dict[str, ParameterValue] = {
        "backend": options.backend,
        **reliable("subscription", "image_raw", "focus_state"),
        **reliable("publisher", "sweep_info", *OTHERS),
    }
    observer = Observer()
    try:
        with (
            NodeProcess("focdepth_ros.ros.depth_node", depth, logs / "depth_node.log") as node,
            NodeProcess(
                "focdepth_ros.ros.sim_camera_node", camera, logs / "sim_camera_node.log"
            ) as camera_node,
            progress("sweeps", options.sweeps) as advance,
        ):
            samples = watch(observer, node, camera_node, options.sweeps, advance)
            exit_codes = {process.name: process.stop() for process in (node, camera_node)}
    finally:
        observer.close()
    return Run(
        options.sweeps,
        SLICES,
        observer.answers,
        samples,
        observer.figures,
        observer.received,
        exit_codes,
    )


def reliable(end: str, *topics: str) -> dict[str, ParameterValue]:
    """So that nothing is lost on the wire: each sweep must be accounted for."""
    parameters: dict[str, ParameterValue] = {}
    for topic in topics:
        parameters[f"qos_overrides./{topic}.{end}.reliability"] = "reliable"
        parameters[f"qos_overrides./{topic}.{end}.depth"] = QUEUE
    return parameters


def watch(
    observer: Observer,
    node: NodeProcess,
    camera: NodeProcess,
    sweeps: int,
    advance: Callable[[], None],
) -> list[Sample]:
    samples: list[Sample] = []
    shown, next_sample, last = 0, time.monotonic(), time.monotonic()
    while True:
        observer.spin_once()
        now = time.monotonic()
        if len(observer.answers) > shown:
            last = now
        for _ in range(shown, len(observer.answers)):
            advance()
        shown = len(observer.answers)
        if now >= next_sample:
            next_sample = now + SAMPLE_PERIOD
            usage = node.usage()
            if usage is not None and shown:
                ours = usage.cpu_seconds + camera.cpu_seconds() + time.process_time()
                samples.append(Sample(now, usage, busy_seconds() - ours))
        for process in (node, camera):
            if process.exit_code is not None:
                raise RuntimeError(f"{process.name} has ended:\n{process.last_words()}")
        lost = sum(observer.count(reason) for reason in LOST_SWEEPS)
        # The counts come once per second: what was lost last is known a little later.
        if shown + lost >= sweeps and now - last > 3.0:
            return samples
        if now - last > PATIENCE:
            if not shown:
                raise RuntimeError(f"no sweep was answered:\n{node.last_words()}")
            return samples


def busy_seconds() -> float:
    """Processor time of all programs on this machine since it was booted."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, soft_irq = map(int, fields[:7])
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
