"""What a node says of its own state, and of errors that nobody has foreseen."""

from __future__ import annotations

import os
import traceback

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import Header

from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.node_support.surroundings import namesake_warning

_LONGEST_ID = 256  # characters


class StatusPublisher:
    """Publishes the health of a node as one status on ``/diagnostics``.

    Parameters
    ----------
    node : Node
    health : NodeHealth
    subject : str
        What the status is about; follows the name of the node.
    """

    def __init__(self, node: Node, health: NodeHealth, subject: str) -> None:
        self._node = node
        self._health = health
        self._name = f"{node.get_fully_qualified_name().lstrip('/')}: {subject}"
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def publish(self, summary: str, *, hardware_id: str = "") -> None:
        """Publish the state; `summary` is what to say where nothing is wrong."""
        self._health.condition("namesakes", namesake_warning(self._node))
        report = self._health.report(summary)
        status = DiagnosticStatus(
            level=bytes([report.level]),
            name=self._name,
            message=report.message,
            hardware_id=hardware_id[:_LONGEST_ID],
            values=[KeyValue(key=key, value=value) for key, value in report.values.items()],
        )
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._publisher.publish(DiagnosticArray(header=header, status=[status]))


def report_unforeseen(node: Node, health: NodeHealth, error: Exception) -> None:
    """Report an error that nobody has foreseen, with the place that raised it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"
    node.get_logger().debug("".join(traceback.format_exception(error)))
    health.problem("internal error", f"{type(error).__name__}: {error} ({where})", Level.ERROR)
