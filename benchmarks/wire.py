"""What images cost on their way between nodes, and how many sweeps are answered in real time.

Run ``python benchmarks/wire.py`` in an environment with ROS 2. Three tables:

- messages: making, packing, unpacking and decoding one message within a process;
- wire: images at a frame rate from one process to another, as the nodes send and take them.
  Processor time is that of all threads, those of the middleware included;
- sweeps: ``sim_camera_node`` and ``depth_node``, observed by this process.

``--plain-memory`` leaves the memory of both ends of the first two as the C library has it; the
nodes call `keep_freed_memory`. Processor times are hardly disturbed by what else the machine does,
numbers of answered sweeps and latencies are: look at the load that is printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from focdepth_ros.messages.image_decoding import ImageLimits, open_image
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.msg import SweepInfo
from focdepth_ros.ros.conversions import (
    float_image_message,
    point_cloud_message,
    rgb_image_message,
)
from focdepth_ros.ros.node_process import NodeProcess, isolation
from focdepth_ros.ros.node_support.memory import keep_freed_memory
from focdepth_ros.simulation import render_random_sweep
from focdepth_ros.stack import CameraIntrinsics, ImageArray
from focdepth_ros.stack_folder.saving import save_stack

PROFILES = Path(__file__).parents[1] / "config" / "fastdds_large_images.xml"
SIZES = ((640, 480), (1280, 720), (1920, 1080))
PARTS = ("messages", "wire", "sweeps")
SLICES = 10
_SENSOR = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_RUNS = 40
_PATIENCE = 60.0  # seconds
_QUIET = 5.0  # seconds after the last frame in which answers may still come


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", action="append", choices=PARTS, help="all by default")
    parser.add_argument("--size", action="append", type=size_of, metavar="WIDTHxHEIGHT")
    parser.add_argument("--frame-rate", type=float, default=30.0, metavar="HZ")
    parser.add_argument("--images", type=int, default=150, help="per size, for wire")
    parser.add_argument("--sweeps", type=int, default=20, help="per size")
    parser.add_argument("--backend", default="graph_cut", help="of depth_node")
    parser.add_argument("--domain", type=int, default=int(os.environ.get("ROS_DOMAIN_ID", "77")))
    parser.add_argument("--plain-memory", action="store_true")
    arguments = parser.parse_args()
    os.environ.update(isolation(arguments.domain))
    os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(PROFILES))
    sizes = arguments.size or SIZES
    keeps = not arguments.plain_memory
    console = Console()
    for part in arguments.part or PARTS:
        if part == "messages":
            title = f"messages: ms each, median of {_RUNS}"
            rows = (in_a_process(message_times, size, keeps) for size in sizes)
        elif part == "wire":
            title = f"wire: rgb8 at {arguments.frame_rate:g} Hz, per message"
            rows = (wire_row(size, arguments.frame_rate, arguments.images, keeps) for size in sizes)
        else:
            title = f"sweeps of {SLICES} at {arguments.frame_rate:g} Hz, {arguments.backend}"
            rows = (
                sweeps_row(size, arguments.frame_rate, arguments.sweeps, arguments.backend)
                for size in sizes
            )
        show(console, title, sizes, rows)


def size_of(text: str) -> tuple[int, int]:
    """Width and height of ``WIDTHxHEIGHT``."""
    width, height = (int(side) for side in text.split("x"))
    return width, height


def show(
    console: Console, title: str, sizes: Sequence[tuple[int, int]], rows: Iterable[dict[str, str]]
) -> None:
    """A table of one row per size, once all are there."""
    table: Table | None = None
    for (width, height), row in zip(sizes, rows, strict=True):
        if table is None:
            table = Table("size", *row, title=title)
        table.add_row(f"{width}x{height}", *row.values())
        console.print(f"{title.partition(':')[0]}: {width}x{height} done", style="dim")
    if table is not None:
        console.print(table)
    console.print(f"load of the last minute {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def in_a_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns in a process of its own; rclpy cannot be forked."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def message_times(size: tuple[int, int], keeps_memory: bool) -> dict[str, str]:
    """Time of each step with one message, in ms."""
    if keeps_memory:
        keep_freed_memory()
    width, height = size
    image, header = noise(size), Header()
    depth = np.full((height, width), 2.0, np.float32)
    camera = CameraIntrinsics(width, height, 1e3, 1e3, width / 2, height / 2)
    message = rgb_image_message(image, header)
    packed = serialize_message(message)
    bgr = rgb_image_message(image, header)
    bgr.encoding = "bgr8"
    limits = ImageLimits()
    steps: dict[str, Callable[[], object]] = {
        "fill rgb8": lambda: rgb_image_message(image, header),
        "fill 32FC1": lambda: float_image_message(depth, header),
        "points": lambda: point_cloud_message(depth, camera, image, header),
        "serialise": lambda: serialize_message(message),
        "deserialise": lambda: deserialize_message(packed, Image),
        "decode rgb8": lambda: open_image(message, limits).decode(),
        "decode bgr8": lambda: open_image(bgr, limits).decode(),
    }
    return {name: f"{1e3 * median_time(step):.2f}" for name, step in steps.items()}


def noise(size: tuple[int, int]) -> ImageArray:
    width, height = size
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def median_time(step: Callable[[], object]) -> float:
    times = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def wire_row(
    size: tuple[int, int], frame_rate: float, count: int, keeps_memory: bool
) -> dict[str, str]:
    """Images from one process to another."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        received = pool.apply_async(receive, (count, keeps_memory))
        sent = pool.apply_async(send, (size, frame_rate, count, keeps_memory))
        sender, (receiver, latencies) = sent.get(), received.get()
    return {
        "sender CPU": f"{sender:.1f} ms",
        "receiver CPU": f"{receiver:.1f} ms",
        "arrived": f"{len(latencies)} of {count}",
        "latency": f"{statistics.median(latencies):.1f} ms",
        "95 %": f"{np.percentile(latencies, 95):.1f} ms",
    }


def send(size: tuple[int, int], frame_rate: float, count: int, keeps_memory: bool) -> float:
    """Publish images at a rate; processor time of each in ms, that of filling it included."""
    if keeps_memory:
        keep_freed_memory()
    image = noise(size)
    rclpy.init()
    node = Node("wire_sender")
    publisher = node.create_publisher(Image, "image_raw", _SENSOR)
    while not publisher.get_subscription_count():
        time.sleep(0.05)
    time.sleep(1.0)  # the receiver knows this node a little later than this node it
    before, due = processor_time(), time.monotonic()
    for _ in range(count):
        stamp = node.get_clock().now().to_msg()
        publisher.publish(rgb_image_message(image, Header(stamp=stamp)))
        due += 1.0 / frame_rate
        time.sleep(max(0.0, due - time.monotonic()))
    spent = processor_time() - before
    time.sleep(0.5)
    node.destroy_node()
    rclpy.shutdown()
    return 1e3 * spent / count


def receive(count: int, keeps_memory: bool) -> tuple[float, list[float]]:
    """Take in images; processor time of each, and latencies from stamp to callback, in ms."""
    if keeps_memory:
        keep_freed_memory()
    rclpy.init()
    node = Node("wire_receiver")
    latencies: list[float] = []
    spent: list[float] = []

    def take(message: Image) -> None:
        open_image(message, ImageLimits()).decode()
        latencies.append(1e-6 * (time.time_ns() - stamp_of(message.header)))
        spent.append(processor_time())

    node.create_subscription(Image, "image_raw", take, _SENSOR)
    last_heard, heard = time.monotonic(), 0
    while heard < count:
        rclpy.spin_once(node, timeout_sec=0.1)
        if len(latencies) > heard:
            last_heard, heard = time.monotonic(), len(latencies)
        if time.monotonic() - last_heard > (2.0 if heard else _PATIENCE):
            break
    node.destroy_node()
    rclpy.shutdown()
    if heard < 2:
        raise SystemExit(f"{heard} of {count} images arrived within {_PATIENCE:g} s")
    return 1e3 * (spent[-1] - spent[0]) / (heard - 1), latencies


def processor_time() -> float:
    """Seconds of all threads of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def sweeps_row(
    size: tuple[int, int], frame_rate: float, sweeps: int, backend: str
) -> dict[str, str]:
    """Simulated camera and depth node at work, and what becomes of the sweeps."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        width, height = size
        rendered = render_random_sweep(1003, slices=SLICES, width=width, height=height)
        save_stack(folder / "stack", rendered.expose(0))
        rclpy.init()
        try:
            return observed(folder, frame_rate, sweeps, backend)
        finally:
            rclpy.shutdown()


def observed(folder: Path, frame_rate: float, sweeps: int, backend: str) -> dict[str, str]:
    """Play the stack in a folder to the depth node."""
    node = Node("wire_observer")
    infos: list[SweepInfo] = []
    delays: list[float] = []
    counts: dict[str, str] = {}

    def take_depth(message: Image) -> None:
        delays.append(1e-6 * (time.time_ns() - stamp_of(message.header)))

    def take_diagnostics(message: DiagnosticArray) -> None:
        for status in message.status:
            counts.update((item.key, item.value) for item in status.values)

    node.create_subscription(SweepInfo, "sweep_info", infos.append, 10)
    node.create_subscription(Image, "depth/image", take_depth, 10)
    node.create_subscription(DiagnosticArray, "/diagnostics", take_diagnostics, 10)
    camera: dict[str, Any] = {
        "stack": str(folder / "stack"),
        "sweeps": sweeps,
        "frame_rate": frame_rate,
        "wait_for_subscribers": 1,
        "start_delay": 3.0,
    }
    depth: dict[str, Any] = {"backend": backend, "diagnostics_period": 0.2}
    with (
        NodeProcess("focdepth_ros.ros.depth_node", depth, folder / "depth.log") as worker,
        NodeProcess("focdepth_ros.ros.sim_camera_node", camera, folder / "camera.log") as source,
    ):

        def spin_until(is_true: Callable[[], bool], patience: float) -> bool:
            end = time.monotonic() + patience
            while not is_true() and time.monotonic() < end:
                rclpy.spin_once(node, timeout_sec=0.05)
            return is_true()

        if not spin_until(lambda: counts.get("images received", "0") != "0", _PATIENCE):
            raise SystemExit(f"no images\n{source.last_words()}\n{worker.last_words()}")
        before = worker.cpu_seconds(), source.cpu_seconds()
        duration = sweeps * SLICES / frame_rate
        spin_until(lambda: "sent all" in source.last_words(), duration + _PATIENCE)
        spent = worker.cpu_seconds() - before[0], source.cpu_seconds() - before[1]
        spin_until(lambda: False, _QUIET)
    node.destroy_node()
    latencies = [1e3 * info.latency_after_last_frame for info in infos] or [float("nan")]
    delays = delays or [float("nan")]
    frames = sweeps * SLICES
    return {
        "answered": f"{len(infos)} of {sweeps}",
        "images received": f"{counts.get('images received', '0')} of {frames}",
        "outrun": counts.get("sweep outrun", "0"),
        "latency in the node": f"{statistics.median(latencies):.0f} ms",
        "stamp to subscriber": f"{statistics.median(delays):.0f} ms",
        "CPU of depth_node": f"{1e3 * spent[0] / frames:.1f} ms/frame",
        "of the camera": f"{1e3 * spent[1] / frames:.1f} ms/frame",
    }


if __name__ == "__main__":
    main()
