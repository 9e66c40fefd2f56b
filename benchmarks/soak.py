"""Thousands of sweeps through the nodes, and whether anything grows, gets lost or slows down.

python benchmarks/soak.py [--sweeps 5000] [--sweep-rate 10] [--log FOLDER]

sim_camera_node sends small images fast, depth_node answers, this process listens to all results.
A table says what was seen, and whether it is as it should be; exit code 1 if not. For the latencies
the machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from focdepth_ros.cli.progress import progress
from focdepth_ros.message_reading import stamp_of
from focdepth_ros.msg import SweepInfo
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue, ProcessUsage
from focdepth_ros.ros.node_runner import signals_deferred

SLICES, WIDTH, HEIGHT = 5, 96, 72
SAMPLE_PERIOD = 1.0  # seconds
WARM_UP = 0.2  # of the run; not looked at
WINDOW = 0.2  # of the run, at the start after the warm-up and at the end, that are compared
BLOCK = 50  # sweeps
MAX_GROWTH = 0.02
MAX_SLOWING = 0.10
PATIENCE = 30.0  # seconds without an answer
# What costs a whole sweep, not a frame of it, by the names that depth_node counts them.
LOST_SWEEPS = ("sweep outrun", "too few slices", "no depth")
QUEUE = 100
OTHERS = {
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "confidence/image": Image,
    "all_in_focus/image": Image,
    "points": PointCloud2,
}


@dataclass(frozen=True)
class Answer:
    """One answered sweep: its number, when it came, and its two latencies, in seconds.

    `latency` is from the arrival of the last frame in depth_node to the published answer,
    `delay` from the stamp of the last frame to the arrival of the answer here.
    """

    sequence: int
    received: float
    latency: float
    delay: float


@dataclass(frozen=True)
class Verdict:
    """One line of the table."""

    what: str
    seen: str
    wanted: str
    is_good: bool


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


@dataclass
class Run:
    """What was seen of a whole run; `samples` are times with what depth_node took then."""

    sent: int
    answers: list[Answer]
    samples: list[tuple[float, ProcessUsage]]
    figures: dict[str, str]
    received: dict[str, int]
    exit_codes: dict[str, int]


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
    return 0 if all(verdict.is_good for verdict in verdicts) else 1


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
        options.sweeps, observer.answers, samples, observer.figures, observer.received, exit_codes
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
) -> list[tuple[float, ProcessUsage]]:
    samples: list[tuple[float, ProcessUsage]] = []
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
                samples.append((now, usage))
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


def judged(run: Run) -> list[Verdict]:
    """All lines of the table."""
    return [*accounts(run), *stability(run), *latencies(run), at_the_end(run)]


def accounts(run: Run) -> list[Verdict]:
    answered = len({answer.sequence for answer in run.answers})
    lost = {reason: int(run.figures.get(reason, "0")) for reason in LOST_SWEEPS}
    dropped = ", ".join(f"{count} {reason}" for reason, count in lost.items() if count) or "none"
    missing = run.sent - answered - sum(lost.values())
    received = min(run.received.values())
    return [
        Verdict("sweeps sent", str(run.sent), "", True),
        Verdict("answered", f"{answered} ({answered / run.sent:.1%})", "", answered > 0),
        Verdict("dropped, with reason", dropped, "", True),
        Verdict("unaccounted for", str(missing), "0", missing == 0),
        Verdict(
            "results received of each topic", str(received), str(answered), received == answered
        ),
    ]


def stability(run: Run) -> list[Verdict]:
    samples = settled(run)
    seconds = np.array([time for time, _ in samples])
    verdicts = []
    for name, values in (
        ("memory of its own", [usage.own_memory for _, usage in samples]),
        ("memory in all", [usage.memory for _, usage in samples]),
    ):
        memory = np.array(values) / 2**20
        slope = np.polyfit(seconds - seconds[0], memory, 1)[0]
        growth = slope * (seconds[-1] - seconds[0]) / np.median(memory)
        verdicts.append(
            Verdict(
                f"growth of {name}",
                f"{growth:+.2%} of {np.median(memory):.1f} MiB",
                f"< {MAX_GROWTH:.0%}",
                growth < MAX_GROWTH,
            )
        )
    for name, counts in (
        ("file descriptors", {usage.files for _, usage in samples}),
        ("threads", {usage.threads for _, usage in samples}),
    ):
        seen = " to ".join(map(str, sorted({min(counts), max(counts)})))
        verdicts.append(Verdict(name, seen, "constant", len(counts) == 1))
    return verdicts


def latencies(run: Run) -> list[Verdict]:
    answers = run.answers[int(WARM_UP * len(run.answers)) :]
    count = int(WINDOW * len(run.answers))
    verdicts = []
    for name, values in (
        ("latency after the last frame", [answer.latency for answer in answers]),
        ("delay from stamp to subscriber", [answer.delay for answer in answers]),
    ):
        for percent in (50, 90, 99):
            start = usual_percentile(values[:count], percent)
            end = usual_percentile(values[-count:], percent)
            verdicts.append(compared(f"{name}, {percent} %", 1e3 * start, 1e3 * end, "ms"))
    return [*verdicts, cpu_time(run)]


def usual_percentile(values: list[float], percent: int) -> float:
    """The median of that of blocks: what else the machine does for some seconds does not count."""
    blocks = [values[first : first + BLOCK] for first in range(0, len(values), BLOCK)]
    return float(np.median([np.percentile(block, percent) for block in blocks]))


def cpu_time(run: Run) -> Verdict:
    """Processor time per sweep: unlike latencies, no other program on the machine adds to it."""
    times = np.array([time for time, _ in run.samples])
    used = np.array([usage.cpu_seconds for _, usage in run.samples])
    received = [answer.received for answer in run.answers]

    def per_sweep(first: float, last: float) -> float:
        count = len(received)
        begin, end = received[int(first * (count - 1))], received[int(last * (count - 1))]
        spent = np.interp(end, times, used) - np.interp(begin, times, used)
        return float(1e3 * spent / ((last - first) * count))

    start, end = per_sweep(WARM_UP, WARM_UP + WINDOW), per_sweep(1.0 - WINDOW, 1.0)
    return compared("processor time per sweep", start, end, "ms")


def compared(what: str, start: float, end: float, unit: str) -> Verdict:
    change = end / start - 1.0
    return Verdict(
        what,
        f"{start:.1f} {unit} at the start, {end:.1f} at the end ({change:+.1%})",
        f"< {MAX_SLOWING:+.0%}",
        change < MAX_SLOWING,
    )


def at_the_end(run: Run) -> Verdict:
    codes = ", ".join(f"{name} {code}" for name, code in run.exit_codes.items())
    return Verdict("exit codes", codes, "0", not any(run.exit_codes.values()))


def settled(run: Run) -> list[tuple[float, ProcessUsage]]:
    """The samples after the warm-up, and before the nodes went idle."""
    first = run.answers[int(WARM_UP * len(run.answers))].received
    last = run.answers[-1].received
    return [sample for sample in run.samples if first <= sample[0] <= last]


def table(verdicts: list[Verdict], run: Run) -> Table:
    seconds = run.answers[-1].received - run.answers[0].received
    rows = Table(title=f"{run.sent} sweeps in {seconds:.0f} s", title_justify="left")
    for heading in ("", "seen", "wanted", "verdict"):
        rows.add_column(heading)
    for verdict in verdicts:
        mark = "[green]good[/green]" if verdict.is_good else "[red]BAD[/red]"
        rows.add_row(verdict.what, verdict.seen, verdict.wanted, mark if verdict.wanted else "")
    return rows


if __name__ == "__main__":
    sys.exit(main())
