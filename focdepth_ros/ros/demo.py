"""The demonstration: a simulated camera and `depth_node` at work, watched from a third process.

``make demo``, or ``python -m focdepth_ros.ros.demo --help``.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from focdepth_ros.errors import FocdepthError, MessageError, RelativeStackError
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.files.image_io import write_image
from focdepth_ros.files.ply import write_ply
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.ros.demo_observer import DemoObserver, ObservedSweep
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue, isolation
from focdepth_ros.stack_folder.reading import StackFolder

_PATIENCE = 30.0  # seconds without an answer after which the demonstration gives up
_LAST_PATIENCE = 8.0  # the same, once the camera has sent everything
_RATE = 30.0  # images per second
_SLOWEST_RATE = 5.0  # that is tried on a computer too slow for more
_ISOLATED_DOMAINS = range(1, 102)


def main() -> int:
    """Run the demonstration; the exit code is returned."""
    options = _parse()
    console = Console()
    # To be terminated is to be interrupted: the nodes are ended, too. SIGINT is ignored at first
    # where a script has started this in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    # Nodes of a robot nearby must neither hear nor disturb this.
    os.environ.update(isolation(_free_domain()))
    try:
        has_intrinsics = options.stack is None or _has_intrinsics(options.stack)
        options.output.mkdir(parents=True, exist_ok=True)
        return _demonstrate(options, has_intrinsics, console)
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130
    except (FocdepthError, OSError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}")
        return 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m focdepth_ros.ros.demo",
        description="Simulated auto-focus camera and depth node at work.",
    )
    parser.add_argument("--sweeps", type=int, default=10, help="how many to watch (default 10)")
    parser.add_argument("--backend", default="auto", help="see `focdepth backends`")
    parser.add_argument("--seed", type=int, default=1004, help="of the simulated scene")
    parser.add_argument("--stack", type=Path, help="play this focal stack folder instead")
    parser.add_argument("--pattern", default="near_to_far", help="or far_to_near, ping_pong")
    parser.add_argument(
        "--rate",
        type=float,
        help=f"images per second (default {_RATE:g}; less on a computer that is too slow for it)",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo_output"), help="folder for pictures and cloud"
    )
    options = parser.parse_args()
    if options.sweeps < 1:
        parser.error(f"--sweeps is {options.sweeps}; it must be at least 1")
    if options.stack is not None:
        options.stack = options.stack.resolve()
    return options


def _free_domain() -> int:
    """A ROS domain that no process on this machine is in; any, if all are taken."""
    domains = random.sample(_ISOLATED_DOMAINS, len(_ISOLATED_DOMAINS))
    for domain in domains:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # Where the first participant of a domain listens (DDSI-RTPS 2.2, 9.6.1.1).
                probe.bind(("", 7410 + 250 * domain))
            except OSError:
                continue
            return domain
    return domains[0]


def _has_intrinsics(stack: Path) -> bool:
    folder = StackFolder.open(stack)
    if folder.focus_distances is None:
        raise RelativeStackError(
            f"{stack} has no focus distances, so no depth can come of it; "
            "write them into its stack.yaml"
        )
    return folder.intrinsics is not None


def _demonstrate(options: argparse.Namespace, has_intrinsics: bool, console: Console) -> int:
    """Watch the sweeps, at lower rates where all else went well but some were not answered."""
    rate = _RATE if options.rate is None else options.rate
    while True:
        with tempfile.TemporaryDirectory() as logs:
            unanswered = _watch(options, rate, has_intrinsics, Path(logs), console)
        if not unanswered:
            return 1 if unanswered is None else 0
        said = f"{unanswered} of {options.sweeps} sweeps have no answer"
        slower = rate / 2.0
        if options.rate is not None or slower < _SLOWEST_RATE:
            console.print(
                f"[red]{said}; where sweeps come faster than this computer works, slow the "
                f"camera down: --rate {slower:g}[/red]"
            )
            return 1
        console.print(
            f"[yellow]{said}: at {rate:g} images per second they come faster than this computer "
            f"works; trying again at {slower:g}[/yellow]"
        )
        rate = slower


def _watch(
    options: argparse.Namespace, rate: float, has_intrinsics: bool, logs: Path, console: Console
) -> int | None:
    """How many sweeps were not answered; None where something failed, which has been told."""
    camera_parameters: dict[str, ParameterValue] = {
        "seed": options.seed,
        "stack": "" if options.stack is None else str(options.stack),
        "pattern": options.pattern,
        "frame_rate": rate,
        "sweeps": options.sweeps,
        "wait_for_subscribers": 2,  # the depth node and this observer
        "start_delay": 1.0,
    }
    console.print("starting sim_camera_node and depth_node …")
    with (
        DemoObserver(points=has_intrinsics) as observer,
        NodeProcess(
            "focdepth_ros.ros.depth_node", {"backend": options.backend}, logs / "depth_node.log"
        ) as depth_node,
        NodeProcess(
            "focdepth_ros.ros.sim_camera_node", camera_parameters, logs / "camera.log"
        ) as camera,
    ):
        nodes = (depth_node, camera)
        meter = CpuMeter(nodes)
        sweeps: list[ObservedSweep] = []
        last = time.monotonic()
        while len(sweeps) < options.sweeps and time.monotonic() - last < _PATIENCE:
            all_sent = observer.sweeps_sent >= options.sweeps
            if sweeps and all_sent and observer.silence > _LAST_PATIENCE:
                break
            observer.spin_once()
            if any(node.exit_code is not None for node in nodes):
                break
            while observer.answers:
                sweeps.append(observer.answers.popleft())
                last = time.monotonic()
                if len(sweeps) == 1:
                    meter.start()
                    console.print(f"[bold]{_HEADINGS}[/bold]")
                console.print(_row(sweeps[-1], observer.truth))
        shares = meter.shares()
        for node in nodes:
            if node.exit_code is not None:
                console.print(f"[red]{node.name} has died:[/red]")
                _quote(node, console)
                return None
        if not sweeps:
            console.print(f"[red]no depth came in {_PATIENCE:.0f} s; what the nodes said:[/red]")
            for node in nodes:
                _quote(node, console)
            return None
        exit_codes = {node.name: node.stop() for node in nodes}
        _summarise(sweeps, observer.sweeps_sent, rate, shares, console)
        try:
            _leave_pictures(sweeps[-1], observer, options.output, console)
        except MessageError as error:
            if error.reason != "frames lost" or len(sweeps) == options.sweeps:
                raise
            # What is too fast for the depth node can be too fast for the observer, too.
            console.print(f"[yellow]no pictures: {escape(str(error))}[/yellow]")
    unclean = {name: code for name, code in exit_codes.items() if code != 0}
    if unclean:
        console.print(f"[red]did not end cleanly: {unclean}[/red]")
        return None
    unanswered: int = options.sweeps - len(sweeps)
    return unanswered


def _quote(node: NodeProcess, console: Console) -> None:
    # Brackets in a log line are not markup.
    console.print(node.last_words(), markup=False, highlight=False, soft_wrap=True)


class CpuMeter:
    """Processor time of nodes since `start`, as a share of one core."""

    def __init__(self, nodes: tuple[NodeProcess, ...]) -> None:
        self._nodes = nodes
        self._started = time.monotonic()
        self._before = [0.0 for _ in nodes]

    def start(self) -> None:
        """Count from now on."""
        self._started = time.monotonic()
        self._before = [node.cpu_seconds() for node in self._nodes]

    def shares(self) -> dict[str, float]:
        """By the name of the node."""
        elapsed = max(time.monotonic() - self._started, 1e-9)
        return {
            node.name: (node.cpu_seconds() - before) / elapsed
            for node, before in zip(self._nodes, self._before, strict=True)
        }


_HEADINGS = "sweep  backend     slices  latency  received   answered  abs_rel   rmse"
_EXPLANATION = (
    "latency: in depth_node, from the arrival of the last frame to the answer. received: from the "
    "stamp of the last frame until its depth was in this process. answered: share of the pixels; "
    "abs_rel and rmse are over these."
)


def _row(
    sweep: ObservedSweep, truth: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None
) -> str:
    info = sweep.info
    line = (
        f"{info.sequence:5d}  {info.backend:10}  {len(info.stamps):6d}  "
        f"{1e3 * info.latency_after_last_frame:4.0f} ms   {1e3 * sweep.delay:4.0f} ms   "
        f"{info.coverage:8.1%}"
    )
    if truth is None:
        return line
    error = depth_metrics(sweep.depth, truth)
    return f"{line}  {error['abs_rel']:7.4f}  {error['rmse']:6.3f} m"


def _summarise(
    sweeps: list[ObservedSweep],
    sent: int,
    rate: float,
    shares: dict[str, float],
    console: Console,
) -> None:
    latencies = 1e3 * np.array([sweep.info.latency_after_last_frame for sweep in sweeps])
    delays = 1e3 * np.array([sweep.delay for sweep in sweeps])
    duration = 1e3 * max(len(sweep.info.stamps) for sweep in sweeps) / rate
    in_time = int(np.count_nonzero(delays < duration))
    last = sweeps[-1].info
    dropped = dict(zip(last.dropped_reasons, last.dropped_counts, strict=True))
    table = Table(show_header=False, box=None)
    table.add_row("sweeps sent, answered", f"{sent}, {len(sweeps)}")
    table.add_row(
        "dropped", ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "nothing"
    )
    table.add_row(
        "latency after the last frame",
        f"median {np.median(latencies):.0f} ms, largest {latencies.max():.0f} ms",
    )
    table.add_row(
        "depth received after the last frame",
        f"median {np.median(delays):.0f} ms, largest {delays.max():.0f} ms",
    )
    table.add_row(
        f"depth out before the next sweep ended ({duration:.0f} ms)",
        "yes" if in_time == len(sweeps) else f"no, for {len(sweeps) - in_time} of {len(sweeps)}",
    )
    for name, share in shares.items():
        table.add_row(f"CPU of {name}", f"{share:.0%} of one core")
    console.print(table)
    console.print(_EXPLANATION, style="dim")


def _leave_pictures(
    sweep: ObservedSweep, observer: DemoObserver, output: Path, console: Console
) -> None:
    info = sweep.info
    stack = observer.stack_of(sweep)
    sheet = picture_sheet(
        stack,
        sweep.estimate(),
        truth=observer.truth,
        title=f"focdepth_ros demo: sweep {info.sequence}, backend {info.backend}, "
        f"{1e3 * info.latency_after_last_frame:.0f} ms after the last frame",
    )
    write_image(output / "sheet.png", sheet)
    cloud = sweep.points()
    if cloud is None:
        console.print(f"left {output / 'sheet.png'}; without intrinsics there are no points")
        return
    write_ply(output / "cloud.ply", *cloud)
    console.print(f"left {output / 'sheet.png'} and {output / 'cloud.ply'}")


if __name__ == "__main__":
    sys.exit(main())
