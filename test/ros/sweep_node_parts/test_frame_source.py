"""Which frames are taken."""

from __future__ import annotations

from typing import Any, cast

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import Header

from focdepth_ros.options import option_infos
from focdepth_ros.ros.conversions import time_message
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.parameters.sweep import SweepNodeParameters
from focdepth_ros.ros.sweep_node_parts import frame_source
from focdepth_ros.ros.sweep_node_parts.frame_source import FrameSource, SeenFrame


def test_the_parameter_offers_what_there_is() -> None:
    (info,) = (info for info in option_infos(SweepNodeParameters) if info.name == "frames")
    assert info.choices is not None
    assert set(info.choices) == {"auto", "diagnostics", *frame_source._TOPICS}


class OneSubscription:
    """Instead of a node: keeps the callback."""

    def create_subscription(
        self, kind: type, topic: str, callback: Any, qos: Any, **options: Any
    ) -> None:
        self.send = callback


@pytest.mark.parametrize(
    ("hardware_id", "taken", "level"), [("", [1], Level.ERROR), ("b", [2, 4], Level.OK)]
)
def test_of_several_cameras_none_is_taken_unless_it_is_named(
    hardware_id: str, taken: list[int], level: Level
) -> None:
    node, frames = OneSubscription(), list[SeenFrame]()
    health = NodeHealth(lambda level, text: None)
    FrameSource(
        cast(Node, node),
        "diagnostics",
        key="LensPosition",
        hardware_id=hardware_id,
        health=health,
        on_frame=frames.append,
    )
    for stamp, camera in enumerate("abab", start=1):
        status = DiagnosticStatus(
            hardware_id=camera, values=[KeyValue(key="LensPosition", value="1.0")]
        )
        header = Header(stamp=time_message(stamp))
        node.send(DiagnosticArray(header=header, status=[status]))
    assert [frame.stamp for frame in frames] == taken
    assert health.report("").level == level
