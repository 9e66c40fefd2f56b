"""What the all-in-focus image alone needs, and does not need, of the camera."""

from __future__ import annotations

from pathlib import Path

from depth_results import WITHOUT_DEPTH, DepthResults
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from ros_harness import FRAME_ID, CameraDriver, Diagnostics, Peer, image_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header
from uncalibrated_sweep import PARAMETERS, POSITIONS, STACK, send_positions, sharp_as_expected

from focdepth_ros.ros.conversions import time_message
from focdepth_ros.ros.node_process import NodeProcess


def test_who_wants_its_camera_info_is_told_what_lacks(
    domain: int, peer: Peer, tmp_path: Path
) -> None:
    with NodeProcess("focdepth_ros.ros.depth_node", PARAMETERS, tmp_path / "log"):
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer, calibrated=False)
        results = DepthResults(peer, WITHOUT_DEPTH)
        results.wait_until_served(diagnostics, driver)
        send_positions(driver, peer, range(len(STACK)))
        results.wait_for_one("all_in_focus/camera_info")
        why = "image is published, but no camera_info of it: no camera_info on /camera_info"
        peer.wait_for(lambda: why in diagnostics.message, "the reason on /diagnostics")
        assert diagnostics.level == 1


def test_positions_as_numbers_need_no_lens_map(domain: int, peer: Peer, tmp_path: Path) -> None:
    """Nor do they need focus states: a driver of which nothing is known but that number."""
    focus = {
        "focus.source": "lens_position",
        "focus.position_field": "position[0]",
        "focus.settle_time": 0.0,
    }
    with NodeProcess("focdepth_ros.ros.depth_node", {**PARAMETERS, **focus}, tmp_path / "log"):
        create, diagnostics = peer.node.create_publisher, Diagnostics(peer)
        images = create(Image, "image_raw", qos_profile_sensor_data)
        lens = create(JointState, "lens_position", QoSProfile(depth=20))
        results = DepthResults(peer, ("all_in_focus/image",))
        peer.wait_for(
            lambda: (
                images.get_subscription_count()
                and lens.get_subscription_count()
                and "all_in_focus/image" in diagnostics.value("results subscribed to")
            ),
            "the node to know camera and subscriber",
        )
        there = list(range(len(STACK)))
        for count, number in enumerate((*there, *there[-2::-1])):
            header = Header(stamp=time_message(10**12 + count * 10**8), frame_id=FRAME_ID)
            lens.publish(JointState(header=header, position=[POSITIONS[number]]))
            images.publish(image_message(STACK.slices[number].image, header))
            peer.spin(0.02)
        assert sharp_as_expected(results.wait_for_one()["all_in_focus/image"])


def test_without_the_mode_frames_without_metres_are_refused(
    domain: int, peer: Peer, tmp_path: Path
) -> None:
    usual = {"backend": "graph_cut", "diagnostics_period": 0.1}
    with NodeProcess("focdepth_ros.ros.depth_node", usual, tmp_path / "log") as process:
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("all_in_focus/image",))
        results.wait_until_served(diagnostics, driver)
        send_positions(driver, peer, range(len(STACK)))
        peer.wait_for(
            lambda: diagnostics.count("bad focus distance") == len(STACK),
            "the frames to be refused",
        )
        assert diagnostics.level == 1
        log = process.log.read_text(encoding="utf-8")
        words = "or set focus.lens_map of depth_node, or its aif_only where no depth is wanted"
        assert words in log
        assert results.received["all_in_focus/image"] == []
