"""What around a node may be wrong: another node of its name, a clock that does not come."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

_PERIOD = 2.0  # seconds


def namesake_warning(node: Node) -> str | None:
    """What to say where other nodes have the name of this one; None: there are none.

    Parameters and services then reach either, and nobody knows which.
    """
    name = (node.get_name(), node.get_namespace())
    count = node.get_node_names_and_namespaces().count(name)
    if count < 2:
        return None
    return (
        f"{count} nodes are called {node.get_fully_qualified_name()}; end all but one, or start "
        "them under other names (--ros-args -r __node:=NAME) or namespaces (-r __ns:=/NAME). One "
        "that was killed counts for another 20 s or so"
    )


def clock_warning(node: Node) -> str | None:
    """What to say where the node is to use the time of ``/clock`` and has none; None: it has."""
    if not node.get_parameter("use_sim_time").value or node.get_clock().now().nanoseconds:
        return None
    return (
        "use_sim_time is true, but no time comes on /clock; start what publishes it (a simulator, "
        "`ros2 bag play --clock`), or set use_sim_time to false"
    )


def warn_of_surroundings(node: Node) -> None:
    """Let a node log it whenever something is wrong around it; for nodes without diagnostics."""
    checks: tuple[Callable[[Node], str | None], ...] = (namesake_warning, clock_warning)
    said: set[Callable[[Node], str | None]] = set()

    def look() -> None:
        for check in checks:
            warning = check(node)
            if warning is None:
                said.discard(check)
            elif check not in said:
                said.add(check)
                node.get_logger().warning(warning)

    node.create_timer(_PERIOD, look, clock=Clock(clock_type=ClockType.STEADY_TIME))
