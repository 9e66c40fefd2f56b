"""Whatever comes in, the node says what is wrong with it, and answers the next good sweep."""

from __future__ import annotations

import array
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from depth_rig import GOOD, DepthRig, depth_rig
from rclpy.serialization import serialize_message
from ros_harness import FRAME_ID, Peer, focus_fields, image_message
from sensor_msgs.msg import Image
from small_sweep import small_sweep
from std_msgs.msg import Header

from focdepth_ros.msg import FocusState


@pytest.fixture(scope="module")
def rig(domain: int, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepthRig]:
    with depth_rig(peer, tmp_path_factory.mktemp("depth_node")) as rig:
        yield rig


def too_little_data(rig: DepthRig) -> None:
    rig.send_image(data=array.array("B", bytes(17)))


def too_short_step(rig: DepthRig) -> None:
    rig.send_image(step=3)


def unknown_encoding(rig: DepthRig) -> None:
    rig.send_image(encoding="nonsense")


def absurd_dimensions(rig: DepthRig) -> None:
    rig.send_image(height=2**32 - 1, width=2**32 - 1, step=2**32 - 1)


def endless_rows(rig: DepthRig) -> None:
    """Few pixels, but much that has to be held while it waits."""
    rig.send_image(height=8, width=8, step=100_000, data=array.array("B", bytes(800_000)))


def encoding_that_fills_the_log(rig: DepthRig) -> None:
    rig.send_image(encoding="x" * 100_000)


def encoding_of_several_lines(rig: DepthRig) -> None:
    rig.send_image(encoding="rgb8\n[FATAL] [depth_node]: run rm -rf\x1b[2J")


def image_of_impossible_stamp(rig: DepthRig) -> None:
    header = Header(stamp=Time(sec=2**31 - 1, nanosec=2**32 - 1), frame_id=FRAME_ID)
    rig.driver.images.publish(image_message(GOOD, header))


def focus_state_of_impossible_stamp(rig: DepthRig) -> None:
    header = Header(stamp=Time(sec=-(2**31), nanosec=10**9), frame_id=FRAME_ID)
    rig.driver.focus.publish(FocusState(header=header, **focus_fields(1.0)))


def stamp_at_the_end_of_time(rig: DepthRig) -> None:
    header = Header(stamp=Time(sec=2**31 - 1, nanosec=10**9 - 1), frame_id=FRAME_ID)
    rig.driver.send(GOOD, 1.0, header)


def stamp_before_all_time(rig: DepthRig) -> None:
    rig.driver.send(GOOD, 1.0, Header(stamp=Time(sec=-(2**31)), frame_id=FRAME_ID))


def empty_image(rig: DepthRig) -> None:
    rig.driver.send(Image(encoding="rgb8"), 1.0)


def single_pixel(rig: DepthRig) -> None:
    rig.driver.send(np.zeros((1, 1, 3), np.uint8), 1.0)


def bad_distance(distance: float) -> Callable[[DepthRig], None]:
    def send(rig: DepthRig) -> None:
        rig.driver.send(GOOD, distance)

    return send


def mismatched_stamps(rig: DepthRig) -> None:
    header, other = rig.driver.next_header(), rig.driver.next_header()
    rig.driver.images.publish(image_message(GOOD, header))
    rig.driver.focus.publish(FocusState(header=other, **focus_fields(1.0)))


def repeated_stamps(rig: DepthRig) -> None:
    header = rig.driver.next_header()
    for _ in range(2):
        rig.driver.images.publish(image_message(GOOD, header))


def sweep_of_one_frame(rig: DepthRig) -> None:
    rig.driver.send_sweep(small_sweep().stack, small_sweep().stack.slices[:1])


def sweep_that_breaks_off(rig: DepthRig) -> None:
    rig.driver.send_sweep(small_sweep().stack, small_sweep().stack.slices[:2])


def encoding_that_is_no_text(rig: DepthRig) -> None:
    header = rig.driver.next_header()
    serialised = serialize_message(image_message(GOOD, header))
    rig.driver.images.publish(serialised.replace(b"rgb8", b"\xff\xfe\xfd\xfc", 1))


def too_short_to_be_a_message(rig: DepthRig) -> None:
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
    (endless_rows, "wrong size of image data", "a step of 100000 bytes, more data than"),
    (encoding_that_fills_the_log, "unknown encoding", "xxx'... (100000 characters) is not known"),
    (encoding_of_several_lines, "unknown encoding", r"rm -rf\x1b[2J' is not known"),
    (image_of_impossible_stamp, "bad stamp", "stamp has 4294967295 ns beside 2147483647 s"),
    (focus_state_of_impossible_stamp, "bad stamp", "stamp has 1000000000 ns beside -2147483648 s"),
    (stamp_at_the_end_of_time, "too few slices", "has 1 focus distances, needs 3"),
    (stamp_before_all_time, "too few slices", "has 1 focus distances, needs 3"),
    (empty_image, "bad image size", "image is 0x0 px"),
    (single_pixel, "bad image size", "image is 1x1 px"),
    (bad_distance(math.nan), "bad focus distance", "focus distance nan m"),
    (bad_distance(-1.0), "bad focus distance", "focus distance -1.0 m"),
    (bad_distance(0.0), "bad focus distance", "focus distance 0.0 m"),
    (bad_distance(-math.inf), "bad focus distance", "focus distance -inf m"),
    (bad_distance(1e-320), "bad focus distance", "focus distance 1e-320 m"),
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
    rig: DepthRig, fault: Callable[[DepthRig], None], reason: str, detail: str
) -> None:
    before = rig.diagnostics.count(reason)
    fault(rig)
    rig.peer.wait_for(
        lambda: rig.diagnostics.count(reason) > before and detail in rig.diagnostics.message,
        f"'{reason}: … {detail}' on /diagnostics",
    )
    assert rig.diagnostics.level == 1
    assert f"{reason}: " in rig.diagnostics.message
    assert f"{reason}: " in rig.log

    messages = rig.assert_good_sweep()
    dropped = dict(
        zip(
            messages["sweep_info"].dropped_reasons,
            messages["sweep_info"].dropped_counts,
            strict=True,
        )
    )
    # /diagnostics may be heard later than the answer, but says the same in the end.
    rig.peer.wait_for(
        lambda: rig.diagnostics.count(reason) >= dropped[reason], "the count on /diagnostics"
    )
    assert dropped[reason] == rig.diagnostics.count(reason)


def test_faults_in_great_number_are_logged_once(rig: DepthRig) -> None:
    def lines() -> list[str]:
        return [line for line in rig.log.splitlines() if "unknown encoding" in line]

    before, count_before = len(lines()), rig.diagnostics.count("unknown encoding")
    for _ in range(100):
        rig.send_image(encoding="nonsense")
        rig.peer.spin(0.002)
    rig.peer.wait_for(
        lambda: rig.diagnostics.count("unknown encoding") >= count_before + 90, "90 bad images"
    )
    assert len(lines()) <= before + 1


def test_a_frame_id_of_any_length_and_kind(rig: DepthRig) -> None:
    for frame_id in ("x" * 1_000_000, "../../etc/passwd", "\n\t{}%s\x1b[2J", ""):
        rig.results.clear()
        rig.driver.sweep_id += 1
        for step, item in enumerate(small_sweep().stack.slices):
            header = rig.driver.next_header()
            header.frame_id = frame_id
            fields = {"sweep_id": rig.driver.sweep_id, "sweep_step": step, "sweep_size": 8}
            assert item.focus_distance is not None
            rig.driver.send(item.image, item.focus_distance, header, **fields)
            rig.peer.spin(0.01)
        answer = rig.results.wait_for_one()["depth/image"]
        assert answer.header == header
        rig.peer.wait_for(
            lambda wanted=frame_id[:256]: rig.diagnostics.status.hardware_id == wanted,
            "the frame, in short, on /diagnostics",
        )


def test_no_word_of_an_internal_error(rig: DepthRig) -> None:
    rig.assert_unharmed()
    # Every line is of the node, or goes on with what the node says.
    assert not any(line.startswith("[FATAL]") for line in rig.log.splitlines())
    assert max(map(len, rig.log.splitlines())) < 1000
