"""Messages of which any field may be anything: the node stays, small, and answers what is good."""

from __future__ import annotations

import array
import math
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from depth_results import DepthResults
from depth_rig import GOOD, DepthRig, depth_rig
from rclpy.serialization import serialize_message
from ros_harness import FRAME_ID, CameraDriver, Diagnostics, Peer, image_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from small_sweep import HEIGHT, INTRINSICS, WIDTH, small_sweep
from std_msgs.msg import Header

from focdepth_ros.msg import FocusState
from focdepth_ros.ros.conversions import camera_info_message
from focdepth_ros.ros.node_process import NodeProcess

MESSAGES = 300
MAX_GROWTH = 300 * 2**20  # bytes; what the messages claim is thousands of times as much
SIZES = [0, 1, 7, 8, WIDTH, HEIGHT, 480, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-300, 1e300, math.inf, -math.inf, math.nan]
TEXTS = ["rgb8", "mono8", "mono16", "bayer_rggb8", "uyvy", "16UC1", "8UC3", "", "rgb8\0", "\n", "é"]


@pytest.fixture(scope="module")
def rig(domain: int, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepthRig]:
    with depth_rig(peer, tmp_path_factory.mktemp("depth_node")) as rig:
        yield rig


def any_header(rng: random.Random) -> Header:
    stamp = Time(
        sec=rng.choice([0, -1, 1000, 2**31 - 1, -(2**31), rng.randrange(1000, 1010)]),
        nanosec=rng.choice([0, 10**9 - 1, 10**9, 2**32 - 1, rng.randrange(10**9)]),
    )
    return Header(stamp=stamp, frame_id=rng.choice([FRAME_ID, "", "x" * 10_000, "../..", "\n"]))


def any_image(rng: random.Random) -> Image:
    """A good one with one to three fields of another value."""
    message = image_message(GOOD, any_header(rng))
    for field in rng.sample(["height", "width", "step", "encoding", "data", "is_bigendian"], 3):
        if field == "encoding":
            message.encoding = rng.choice([*TEXTS, "y" * 10_000])
        elif field == "data":
            message.data = array.array("B", bytes(rng.choice([0, 1, 64, WIDTH * HEIGHT, 57_601])))
        elif field == "is_bigendian":
            message.is_bigendian = rng.choice([0, 1, 255])
        else:
            setattr(message, field, rng.choice(SIZES))
        if rng.random() < 0.4:
            break
    return message


def any_focus_state(rng: random.Random) -> FocusState:
    return FocusState(
        header=any_header(rng),
        focus_distance=rng.choice(NUMBERS),
        lens_position=rng.choice(NUMBERS),
        lens_position_unit=rng.choice([*TEXTS, "dioptre", "z" * 10_000]),
        settled=rng.random() < 0.7,
        **{name: rng.choice(SIZES) for name in ("sweep_id", "sweep_step", "sweep_size")},
    )


def any_camera_info(rng: random.Random) -> CameraInfo:
    message = camera_info_message(INTRINSICS, any_header(rng))
    for field in ("height", "width", "binning_x", "binning_y"):
        if rng.random() < 0.3:
            setattr(message, field, rng.choice(SIZES))
    if rng.random() < 0.5:
        message.k = [rng.choice(NUMBERS) for _ in range(9)]
    if rng.random() < 0.5:
        message.d = [rng.choice(NUMBERS) for _ in range(rng.choice([0, 1, 4, 5, 8, 100_000]))]
    message.distortion_model = rng.choice(["plumb_bob", "equidistant", "", "m" * 10_000, "\n"])
    for field in ("height", "width", "x_offset", "y_offset"):
        setattr(message.roi, field, rng.choice([0, 0, *SIZES]))
    return message


MAKERS = (any_image, any_focus_state, any_camera_info)


def send_hostile(rig: DepthRig, rng: random.Random, damage: Callable[[bytes], bytes]) -> None:
    """Messages of all topics, some with one stamp so that they come to be used."""
    publishers = dict(
        zip(MAKERS, (rig.driver.images, rig.driver.focus, rig.driver.info), strict=True)
    )
    for _ in range(MESSAGES):
        header = any_header(rng)
        for make in rng.sample(MAKERS, rng.choice([1, 2, 3])):
            message = make(rng)
            if rng.random() < 0.7:
                message.header = header
            publishers[make].publish(damage(serialize_message(message)))
        rig.peer.spin(0.003)


def recovers(rig: DepthRig, before: int) -> None:
    """Good sweeps are answered, and memory was not taken for what was only claimed."""
    rig.driver.info.publish(camera_info_message(INTRINSICS, rig.driver.next_header()))
    for _ in range(2):
        rig.assert_good_sweep()
    rig.assert_unharmed()
    usage = rig.process.usage()
    assert usage is not None
    assert usage.own_memory < before + MAX_GROWTH


def own_memory(rig: DepthRig) -> int:
    usage = rig.process.usage()
    assert usage is not None
    return usage.own_memory


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(1, 11))]


@pytest.mark.parametrize("seed", SEEDS)
def test_fields_of_any_value(rig: DepthRig, seed: int) -> None:
    before = own_memory(rig)
    send_hostile(rig, random.Random(seed), lambda serialised: serialised)
    recovers(rig, before)


@pytest.mark.parametrize("seed", SEEDS)
def test_bytes_that_are_cut_off_or_changed(rig: DepthRig, seed: int) -> None:
    rng = random.Random(seed)

    def damage(serialised: bytes) -> bytes:
        kind = rng.randrange(4)
        if kind == 0:
            return serialised[: rng.randrange(4, min(len(serialised), 300))]
        changed = bytearray(serialised)
        if kind == 1:  # within the fields before the data
            for _ in range(rng.randrange(1, 8)):
                changed[rng.randrange(4, min(len(changed), 120))] = rng.randrange(256)
        elif kind == 2:  # such as the length of a text or a sequence
            place = 4 * rng.randrange(1, min(len(changed), 120) // 4)
            changed[place : place + 4] = struct.pack("<I", rng.choice(SIZES))
        return bytes(changed)

    before = own_memory(rig)
    send_hostile(rig, rng, damage)
    recovers(rig, before)


def test_pictures_that_claim_to_be_huge(domain: int, peer: Peer, tmp_path: Any) -> None:
    """Of a few bytes OpenCV would make gigabytes."""
    parameters = {"compressed": True, "diagnostics_period": 0.1, "sweep.timeout": 0.5}
    with NodeProcess("focdepth_ros.ros.depth_node", parameters, tmp_path / "log") as process:
        driver = CameraDriver(peer, image_kind=CompressedImage, image_topic="image_raw/compressed")
        diagnostics, results = Diagnostics(peer), DepthResults(peer, ("depth/image",))
        results.wait_until_served(diagnostics, driver)
        usage = process.usage()
        assert usage is not None
        before = usage.own_memory
        for extension in (".jpg", ".png"):
            for height, width in ((65535, 65535), (2**31 - 1, 2**31 - 1), (30_000, 30_000)):
                driver.send(
                    CompressedImage(data=array.array("B", bomb(extension, height, width))), 1.0
                )
                peer.spin(0.02)
        peer.wait_for(lambda: diagnostics.count("bad image size") == 6, "all of them to be refused")
        usage = process.usage()
        assert usage is not None
        assert usage.own_memory < before + 50 * 2**20
        for half in (0, 1):
            driver.send(CompressedImage(data=array.array("B", cut_off(half))), 1.0)
        driver.send_sweep(small_sweep().stack, convert=compressed)
        results.wait_for_one()
        assert process.exit_code is None
        assert "internal error" not in process.log.read_text(encoding="utf-8")


def compressed(image: np.ndarray, extension: str = ".jpg") -> CompressedImage:
    encoded = cv2.imencode(extension, image[..., ::-1])[1].tobytes()
    return CompressedImage(format="jpeg", data=array.array("B", encoded))


def bomb(extension: str, height: int, width: int) -> bytes:
    """A small picture whose header claims another size; for a JPEG, at most 65535."""
    data = bytearray(compressed(GOOD, extension).data)
    if extension == ".png":
        data[16:24] = struct.pack(">II", width, height)
        return bytes(data)
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", min(height, 65535), min(width, 65535))
    return bytes(data)


def cut_off(half: int) -> bytes:
    """Half of a picture, the first with the end of a whole one."""
    data = bytes(compressed(GOOD).data)
    middle = len(data) // 2
    return data[:middle] + b"\xff\xd9" if half == 0 else data[middle:]
