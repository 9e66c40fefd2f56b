"""Says so when two nodes do not hear each other because of their quality of service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import qos_policy_name_from_kind

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

#: Called with the topic and a text that says what does not fit and what to do.
Report = Callable[[str, str], None]


def subscription_events(topic: str, report: Report) -> SubscriptionEventCallbacks:
    """Event callbacks for the subscription of a topic (its full name)."""

    def incompatible(event: Any) -> None:
        policy = _policy_name(event)
        report(
            topic,
            f"a publisher of {topic} offers another {policy} than is asked for, so nothing "
            f"comes from it; set the parameter qos_overrides.{topic}.subscription.{policy} of this "
            "node, or that of the publisher",
        )

    return SubscriptionEventCallbacks(incompatible_qos=incompatible)


def publisher_events(topic: str, report: Report) -> PublisherEventCallbacks:
    """Event callbacks for the publisher of a topic (its full name)."""

    def incompatible(event: Any) -> None:
        policy = _policy_name(event)
        report(
            topic,
            f"a subscriber to {topic} asks for another {policy} than is offered, so it gets "
            f"nothing; set the parameter qos_overrides.{topic}.publisher.{policy} of this node, "
            "or that of the subscriber",
        )

    return PublisherEventCallbacks(incompatible_qos=incompatible)


def _policy_name(event: Any) -> str:
    return str(qos_policy_name_from_kind(event.last_policy_kind)).lower()
