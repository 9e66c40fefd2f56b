"""Records sweeps of a target at distances that the user tells, for `focdepth calibrate lens`.

It asks for a distance, takes the next whole sweep of the running camera, writes it to a folder,
says how it is, and asks for the next distance.
"""

from __future__ import annotations

if __name__ == "__main__":
    from focdepth_ros.ros.early_signals import end_at_once_on_signals

    end_at_once_on_signals()

import math
import os
import select
import sys
import time
from collections import deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from focdepth_ros.calibration.focus_peak import find_peak, focus_curve, sharpness
from focdepth_ros.classical.focus_operators import create_focus_measure
from focdepth_ros.errors import CalibrationError, MessageError, OptionError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.messages.image_decoding import (
    ImageLimits,
    IncomingImage,
    open_compressed_image,
    open_image,
)
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.ros.focus_sources import create_focus_source
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.node_support.node_runner import NodeFinished, log_at, run_node
from focdepth_ros.ros.node_support.qos_events import overridable
from focdepth_ros.ros.node_support.self_report import report_unforeseen
from focdepth_ros.ros.parameters.focus import FOCUS_PREFIX, FocusParameters
from focdepth_ros.ros.params import declare_parameters, parameter, warn_of_unknown_parameters
from focdepth_ros.stack import ImageArray, Slice
from focdepth_ros.stack_folder.description import STACK_YAML, StackDescription, write_description
from focdepth_ros.sweep import FocusSample, SweepAssembler, SweepConfig, SweepFinished

_INPUT_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_POLL_PERIOD = 0.1  # seconds
_STATUS_PERIOD = 5.0  # seconds between two lines on what is coming in
_SILENCE = 3.0  # seconds
_MAX_POSITIONS = 300  # of a sweep
_MAX_PIXELS = 1_000_000  # of an image that is kept; larger ones are scaled down
_SWEEPS = 2  # that are waited for: the first was under way already
_SINGLE = 4.0  # seconds after one sweep in which no second has begun
_UNDER_WAY = 4  # images of a second one


@dataclass(frozen=True)
class TargetRecorderParameters:
    """All parameters of `target_recorder` but those of the focus source."""

    output: str = parameter("targets", "Folder in which a folder for each distance is made.")
    compressed: bool = parameter(
        False, "Subscribe to image_raw/compressed (JPEG or PNG) in place of image_raw."
    )
    timeout: float = parameter(
        2.0, "Without a new position for this long, a sweep is ended [s].", minimum=0.1
    )

    def __post_init__(self) -> None:
        if not self.output:
            raise OptionError("parameter 'output' is empty; give a folder for the recordings")


class TargetRecorder:
    """Asks for distances, and records a sweep at each.

    Parameters
    ----------
    node : Node

    Raises
    ------
    FocdepthError
        If a parameter is out of range.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._health = NodeHealth(self._log)
        self._parameters = parameters = declare_parameters(node, TargetRecorderParameters)
        focus = declare_parameters(node, FocusParameters, FOCUS_PREFIX)
        warn_of_unknown_parameters(node)
        self._limits = ImageLimits(max_pixels=100_000_000, bit_depth=16)
        self._measure = create_focus_measure()
        self._lines = _Lines(sys.stdin.fileno())
        self._distance: float | None = None
        self._finished: list[tuple[Slice, ...]] = []
        self._position_tolerance = focus.position_tolerance
        self._assembler = self._new_assembler()
        self._last_image = self._last_sweep = self._last_status = time.monotonic()
        kind, topic, opened = (
            (CompressedImage, "image_raw/compressed", open_compressed_image)
            if parameters.compressed
            else (Image, "image_raw", open_image)
        )
        self._image_topic = self._subscribe(kind, topic, partial(self._on_image, opened))
        self._focus = create_focus_source(
            node,
            focus,
            None,  # what positions mean is yet to be found out
            subscribe=self._subscribe,
            take=self._on_focus,
            health=self._health,
        )
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_POLL_PERIOD, self._poll, clock=clock)
        _say(f"recording from {self._image_topic} and {self._focus.topic} to {parameters.output}")
        self._ask()

    def close(self) -> None:
        """Nothing has to be ended."""

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""
        report_unforeseen(self.node, self._health, error)

    def _subscribe(self, kind: type, topic: str, callback: Any) -> str:
        self.node.create_subscription(
            kind, topic, callback, copy(_INPUT_QOS), qos_overriding_options=overridable()
        )
        return str(self.node.resolve_topic_name(topic))

    def _on_image(self, opened: Any, message: Any) -> None:
        self._last_image = now = time.monotonic()
        if self._distance is None:
            return
        try:
            stamp = stamp_of(message.header)
            image: IncomingImage = opened(message, self._limits)
        except MessageError as error:
            self._health.problem(error.reason, str(error))
            return
        size = _kept_size(image.size)
        self._handle(
            self._assembler.add_image(
                stamp,
                lambda: _scaled(image.decode(), size),
                size=size,
                encoding=image.encoding,
                now=now,
            )
        )
        self._focus.add_image(stamp)

    def _on_focus(self, sample: FocusSample) -> None:
        if self._distance is not None:
            # What distance a position is is yet to be found out, whatever the source says.
            sample = replace(sample, focus_distance=math.nan, lack=None)
            self._handle(self._assembler.add_focus(sample, now=time.monotonic()))

    def _handle(self, events: Sequence[Any]) -> None:
        for event in events:
            if isinstance(event, SweepFinished):
                self._finished.append(event.sweep.slices)
                self._last_sweep = time.monotonic()

    def _poll(self) -> None:
        self._focus.poll()
        if self._distance is None:
            line = self._lines.next()
            if line is not None:
                self._take_answer(line.strip())
            return
        now = time.monotonic()
        self._handle(self._assembler.poll(now=now))
        is_under_way = self._assembler.images_held >= _UNDER_WAY
        alone = self._finished and not is_under_way and now - self._last_sweep > _SINGLE
        if alone or len(self._finished) >= _SWEEPS:
            self._write(max(self._finished, key=len))
        elif now - self._last_status > _STATUS_PERIOD:
            self._last_status = now
            self._say_status(now)

    def _take_answer(self, answer: str) -> None:
        if not answer:
            raise NodeFinished
        try:
            distance = float(answer)
        except ValueError:
            distance = math.nan
        if not distance > 0.0:
            _say(f"'{answer}' is no distance; give metres, like 0.5, or inf")
            self._ask()
            return
        self._distance, self._finished = distance, []
        self._assembler = self._new_assembler()
        self._last_status = time.monotonic()
        _say("recording; keep camera and target still")

    def _say_status(self, now: float) -> None:
        if now - self._last_image > _SILENCE:
            _say(f"no images on {self._image_topic}; start the camera driver, or remap image_raw")
            return
        lack = self._focus.lack(silent_since=now - _SILENCE)
        held = self._assembler.images_held
        dropped = ", ".join(f"{n} by '{reason}'" for reason, n in self._assembler.dropped.items())
        _say(lack or f"{held} images so far; left out: {dropped or 'none'}")

    def _write(self, slices: tuple[Slice, ...]) -> None:
        assert self._distance is not None
        folder = _free_folder(Path(self._parameters.output), f"{self._distance:g}m")
        folder.mkdir(parents=True)
        positions = np.array([item.lens_position for item in slices], np.float64)
        order = np.argsort(positions)
        names = tuple(f"{number:03d}.png" for number in range(len(slices)))
        for name, i in zip(names, order, strict=True):
            write_image(folder / name, slices[i].image)
        write_description(
            folder / STACK_YAML,
            StackDescription(
                images=names,
                lens_positions=tuple(positions[order].tolist()),
                target_distance=self._distance,
            ),
        )
        low, high = positions.min(), positions.max()
        _say(f"{folder}: {len(slices)} positions from {low:g} to {high:g}; {self._quality(slices)}")
        self._distance = None
        self._assembler = self._new_assembler()
        self._ask()

    def _quality(self, slices: tuple[Slice, ...]) -> str:
        """Where the target is sharpest, or why that cannot be told."""
        try:
            values = np.array([sharpness(item.image, self._measure) for item in slices])
            positions = np.array([item.lens_position for item in slices], np.float64)
            peak = find_peak(focus_curve(positions, values))
        except CalibrationError as error:
            return f"not of much use: {error}"
        return f"sharpest at {peak.position:.4g}"

    def _new_assembler(self) -> SweepAssembler:
        return SweepAssembler(
            SweepConfig(
                min_slices=5,
                max_slices=_MAX_POSITIONS,
                timeout=self._parameters.timeout,
            ),
            needs_metres=False,
            position_tolerance=self._position_tolerance,
        )

    def _ask(self) -> None:
        _say("distance from the lens to the target in metres, or nothing to end: ", end="")

    def _log(self, level: Level, text: str) -> None:
        log_at(level, self.node.get_logger(), text)


class _Lines:
    """Lines of a file without waiting for them; its end is an empty line."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._text = b""
        self._lines: deque[str] = deque()

    def next(self) -> str | None:
        """The next line, or None if it is not there yet."""
        if not self._lines and select.select([self._file], [], [], 0.0)[0]:
            read = os.read(self._file, 4096)
            *lines, self._text = (self._text + read).split(b"\n")
            self._lines.extend(line.decode(errors="replace") for line in lines)
            if not read:
                return ""
        return self._lines.popleft() if self._lines else None


def _kept_size(size: tuple[int, int]) -> tuple[int, int]:
    factor = math.ceil(math.sqrt(size[0] * size[1] / _MAX_PIXELS))
    return max(1, size[0] // max(factor, 1)), max(1, size[1] // max(factor, 1))


def _scaled(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _free_folder(parent: Path, name: str) -> Path:
    """A folder of this name, or with a number after it, that does not exist."""
    number, folder = 1, parent / name
    while folder.exists():
        number += 1
        folder = parent / f"{name}_{number}"
    return folder


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


def main(args: Sequence[str] | None = None) -> int:
    """Run `target_recorder` until the user ends it; the exit code is returned."""
    return run_node("target_recorder", TargetRecorder, args)


if __name__ == "__main__":
    sys.exit(main())
