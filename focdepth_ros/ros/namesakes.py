"""Two nodes of one name: parameters and services then reach either, and nobody knows which."""

from __future__ import annotations

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

_PERIOD = 2.0  # seconds


def namesake_warning(node: Node) -> str | None:
    """What to say where other nodes have the name of this one; None: there are none."""
    name = (node.get_name(), node.get_namespace())
    count = node.get_node_names_and_namespaces().count(name)
    if count < 2:
        return None
    return (
        f"{count} nodes are called {node.get_fully_qualified_name()}; end all but one, or start "
        "them under other names (--ros-args -r __node:=NAME) or namespaces (-r __ns:=/NAME). One "
        "that was killed counts for another 20 s or so"
    )


def warn_of_namesakes(node: Node) -> None:
    """Let a node log it, once, whenever another one of its name appears."""
    before: str | None = None

    def look() -> None:
        nonlocal before
        warning = namesake_warning(node)
        if warning is not None and before is None:
            node.get_logger().warning(warning)
        before = warning

    node.create_timer(_PERIOD, look, clock=Clock(clock_type=ClockType.STEADY_TIME))
