"""Whatever comes in, the node says what is wrong with it, and answers the next good sweep."""

from __future__ import annotations

import array
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from depth_results import DepthResults
from rclpy.serialization import serialize_message
from ros_harness import CameraDriver, Diagnostics, Peer, focus_fields, image_message, pixels
from sensor_msgs.msg import Image
from small_sweep import small_sweep

from focdepth_ros.msg import FocusState
from focdepth_ros.ros.node_process import NodeProcess

PARAMETERS = {"diagnostics_period": 0.1, "sweep.timeout": 0.5, "max_image_pixels": 100_000}
GOOD = small_sweep().stack.slices[0].image


@dataclass
class Rig:
    """A depth node at work, with all that is needed to talk to it."""

    process: NodeProcess
    peer: Peer
    driver: CameraDriver
    diagnostics: Diagnostics
    results: DepthResults

    def send_image(self, **changes: Any) -> None:
        """Send an image of which some fields are wrong, with a good focus state."""
        header = self.driver.next_header()
        message = image_message(GOOD, header)
        for field, value in changes.items():
            setattr(message, field, value)
        self.driver.send(message, 1.0, header)


@pytest.fixture(scope="module")
def rig(domain: int, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    log = tmp_path_factory.mktemp("depth_node") / "log"
    with NodeProcess("focdepth_ros.ros.depth_node", PARAMETERS, log) as process:
        driver, diagnostics = CameraDriver(peer), Diagnostics(peer)
        results = DepthResults(peer, ("depth/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        # Just after it was subscribed to, the node puts up with images without focus state.
        peer.spin(1.2)
        yield Rig(process, peer, driver, diagnostics, results)


def too_little_data(rig: Rig) -> None:
    rig.send_image(data=array.array("B", bytes(17)))


def too_short_step(rig: Rig) -> None:
    rig.send_image(step=3)


def unknown_encoding(rig: Rig) -> None:
    rig.send_image(encoding="nonsense")


def absurd_dimensions(rig: Rig) -> None:
    rig.send_image(height=2**32 - 1, width=2**32 - 1, step=2**32 - 1)


def empty_image(rig: Rig) -> None:
    rig.driver.send(Image(encoding="rgb8"), 1.0)


def single_pixel(rig: Rig) -> None:
    rig.driver.send(np.zeros((1, 1, 3), np.uint8), 1.0)


def bad_distance(distance: float) -> Callable[[Rig], None]:
    def send(rig: Rig) -> None:
        rig.driver.send(GOOD, distance)

    return send


def mismatched_stamps(rig: Rig) -> None:
    header, other = rig.driver.next_header(), rig.driver.next_header()
    rig.driver.images.publish(image_message(GOOD, header))
    rig.driver.focus.publish(FocusState(header=other, **focus_fields(1.0)))


def repeated_stamps(rig: Rig) -> None:
    header = rig.driver.next_header()
    for _ in range(2):
        rig.driver.images.publish(image_message(GOOD, header))


def sweep_of_one_frame(rig: Rig) -> None:
    rig.driver.send_sweep(small_sweep().stack, small_sweep().stack.slices[:1])


def sweep_that_breaks_off(rig: Rig) -> None:
    rig.driver.send_sweep(small_sweep().stack, small_sweep().stack.slices[:2])


def encoding_that_is_no_text(rig: Rig) -> None:
    header = rig.driver.next_header()
    serialised = serialize_message(image_message(GOOD, header))
    rig.driver.images.publish(serialised.replace(b"rgb8", b"\xff\xfe\xfd\xfc", 1))


def too_short_to_be_a_message(rig: Rig) -> None:
    """The middleware drops such a thing, so the node can only go on after it."""
    rig.driver.images.publish(b"\x00\x01\x00\x00\x07")
    unknown_encoding(rig)


FAULTS = [
    (too_little_data, "wrong size of image data", "has 17 bytes of data"),
    (too_short_step, "wrong size of image data", "step of 3 bytes"),
    (unknown_encoding, "unknown encoding", "'nonsense' is not known; use one of mono8"),
    (encoding_that_is_no_text, "unknown encoding", "is not known"),
    (too_short_to_be_a_message, "unknown encoding", "'nonsense' is not known"),
    (absurd_dimensions, "bad image size", "more than max_image_pixels 100000"),
    (empty_image, "bad image size", "image is 0x0 px"),
    (single_pixel, "bad image size", "image is 1x1 px"),
    (bad_distance(math.nan), "bad focus distance", "focus distance nan m"),
    (bad_distance(-1.0), "bad focus distance", "focus distance -1.0 m"),
    (bad_distance(0.0), "bad focus distance", "focus distance 0.0 m"),
    (mismatched_stamps, "no focus state", "of stamp"),
    (repeated_stamps, "repeated stamp", "two images have the stamp"),
    (sweep_of_one_frame, "too few slices", "has 1 focus distances, needs 3"),
    (sweep_that_breaks_off, "too few slices", "has 2 focus distances, needs 3"),
]


@pytest.mark.parametrize(
    ("fault", "reason", "detail"),
    FAULTS,
    ids=lambda value: getattr(value, "__name__", None),
)
def test_fault_is_named_and_the_next_sweep_answered(
    rig: Rig, fault: Callable[[Rig], None], reason: str, detail: str
) -> None:
    before = rig.diagnostics.count(reason)
    fault(rig)
    rig.peer.wait_for(
        lambda: rig.diagnostics.count(reason) > before and detail in rig.diagnostics.message,
        f"'{reason}: … {detail}' on /diagnostics",
    )
    assert rig.diagnostics.level == 1
    assert f"{reason}: " in rig.diagnostics.message
    assert f"{reason}: " in rig.process.log.read_text(encoding="utf-8")

    rig.results.clear()
    headers = rig.driver.send_sweep(small_sweep().stack)
    messages = rig.results.wait_for_one()
    assert messages["depth/image"].header == headers[-1]
    assert np.isfinite(pixels(messages["depth/image"])).mean() > 0.9
    dropped = dict(
        zip(
            messages["sweep_info"].dropped_reasons,
            messages["sweep_info"].dropped_counts,
            strict=True,
        )
    )
    assert dropped[reason] == rig.diagnostics.count(reason)


def test_faults_in_great_number_are_logged_once(rig: Rig) -> None:
    def lines() -> list[str]:
        log = rig.process.log.read_text(encoding="utf-8")
        return [line for line in log.splitlines() if "unknown encoding" in line]

    before, count_before = len(lines()), rig.diagnostics.count("unknown encoding")
    for _ in range(100):
        rig.send_image(encoding="nonsense")
        rig.peer.spin(0.002)
    rig.peer.wait_for(
        lambda: rig.diagnostics.count("unknown encoding") >= count_before + 90, "90 bad images"
    )
    assert len(lines()) <= before + 1


def test_no_word_of_an_internal_error(rig: Rig) -> None:
    assert rig.process.exit_code is None
    log = rig.process.log.read_text(encoding="utf-8")
    assert "internal error" not in log
    assert "Traceback" not in log
