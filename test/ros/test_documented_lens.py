"""The node that docs/extending.md shows for a lens without a driver."""

from __future__ import annotations

from typing import Any

import numpy as np
import rclpy
from documents import DOCS, blocks
from rclpy.signals import SignalHandlerOptions
from ros_harness import Peer, image_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from focdepth_ros.msg import FocusState


def test_it_tells_the_focus_of_every_image(peer: Peer) -> None:
    (block,) = [item for item in blocks(DOCS / "extending.md", "python") if item.mark]
    names: dict[str, Any] = {}
    exec(compile(block.text, block.where, "exec"), names)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    lens = names["LiquidLens"]()
    try:
        states = peer.collect(FocusState, "focus_state")
        images = peer.node.create_publisher(Image, "image_raw", 10)
        peer.wait_for(images.get_subscription_count, "the lens to listen")
        header = Header(frame_id="eye")
        header.stamp.sec, header.stamp.nanosec = 7, 5

        def is_told() -> bool:
            images.publish(image_message(np.zeros((4, 6, 3), np.uint8), header))
            rclpy.spin_once(lens, timeout_sec=0.05)
            return bool(states)

        peer.wait_for(is_told, "a focus state")
        assert (states[0].header, states[0].focus_distance) == (header, 0.5)
        assert states[0].settled
    finally:
        lens.destroy_node()
        rclpy.shutdown()
