"""Targets are recorded from a running camera, and calibrated from what was recorded."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import yaml
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from ros_harness import FRAME_ID, Peer, image_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from focdepth_ros.msg import FocusState
from focdepth_ros.optics import sweep_distances
from focdepth_ros.ros.conversions import time_message
from focdepth_ros.simulation import render_rgbd
from focdepth_ros.stack import FocalStack, Lens
from focdepth_ros.stack_folder.positions import with_lens_positions
from focdepth_ros.stack_folder.reading import StackFolder

LENS = Lens(focal_length=16e-3, f_number=1.4, pixel_pitch=20e-6)
DISTANCES = sweep_distances(0.3, 2.0, 12)
NOISE = 0.3


def target_sweep(distance: float) -> FocalStack:
    image = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    depth = np.full((60, 80), distance, np.float32)
    return render_rgbd(image, depth, None, LENS, DISTANCES.tolist()).stack


class Camera:
    """Sweeps for ever over a target, and tells positions but no distances."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.images = peer.node.create_publisher(Image, "image_raw", qos_profile_sensor_data)
        self.focus = peer.node.create_publisher(FocusState, "focus_state", QoSProfile(depth=20))
        self._stamp = 10**12

    def sweep(self, stack: FocalStack) -> None:
        for item, first in itertools.product(stack.slices, (True, False)):
            self._stamp += 33_333_333
            header = Header(stamp=time_message(self._stamp), frame_id=FRAME_ID)
            self.images.publish(image_message(item.image, header))
            # A sensor with noise: of two frames at a stop one is on either side.
            position = 10.0 + 40.0 * item.dioptre + (NOISE if first else -NOISE)
            self.focus.publish(
                FocusState(
                    header=header,
                    focus_distance=float("nan"),
                    lens_position=position,
                    settled=True,
                )
            )
            self.peer.spin(0.01)


@pytest.fixture
def peer(domain: int) -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def test_recorded_and_calibrated(domain: int, peer: Peer, tmp_path: Path) -> None:
    targets, output = tmp_path / "targets", tmp_path / "lens.yaml"
    command = ["calibrate", "lens", str(targets), "--output", str(output), "--live"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "focdepth_ros.cli",
            *command,
            "--ros-args",
            "-p",
            "timeout:=1.0",
            "-p",
            f"focus.position_tolerance:={3.0 * NOISE}",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ),
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    said = bytearray()

    def listen() -> None:
        while text := os.read(process.stdout.fileno(), 4096):  # type: ignore[union-attr]
            said.extend(text)

    listener = Thread(target=listen, daemon=True)
    listener.start()
    camera = Camera(peer)
    try:
        peer.wait_for(lambda: camera.images.get_subscription_count(), "the recorder")
        process.stdin.write(b"half a metre\n")
        peer.wait_for(lambda: b"is no distance" in said, "a complaint")
        wanted = [1 / d for d in (0.8, 1.3, 1.8, 2.3, 2.8)]
        for number, distance in enumerate(wanted, start=1):
            stack = target_sweep(distance)
            process.stdin.write(f"{distance}\n".encode())
            peer.wait_for(lambda n=number: said.count(b"recording; keep") == n, "recording")

            def is_written(number: int = number, stack: FocalStack = stack) -> bool:
                camera.sweep(stack)
                return said.count(b"sharpest at") == number

            peer.wait_for(is_written, "the recording")
        process.stdin.write(b"\n")
        peer.wait_for(lambda: process.poll() is not None, "the end")
        listener.join(5)
    finally:
        process.kill()
        process.wait()
    words = said.decode()
    assert process.returncode == 0, words
    assert "through 5 targets" in words
    found = yaml.safe_load(output.read_text())
    np.testing.assert_allclose(
        np.interp([50.0, 90.0, 110.0], found["positions"], found["dioptres"]),
        [1, 2, 2.5],
        rtol=0.01,
    )
    folder = with_lens_positions(StackFolder.open(sorted(targets.iterdir())[0]))
    assert folder.lens_positions is not None
    assert len(folder.lens_positions) == len(DISTANCES)


def test_without_a_camera_it_says_so_and_ends(domain: int, tmp_path: Path) -> None:
    """The end of the input ends it, as Ctrl-D does."""
    done = subprocess.run(
        [sys.executable, "-m", "focdepth_ros.ros.target_recorder", "--ros-args", "-p",
         f"output:={tmp_path / 'targets'}"],
        input=b"", capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"distance from the lens" in done.stdout
    assert not (tmp_path / "targets").exists()
