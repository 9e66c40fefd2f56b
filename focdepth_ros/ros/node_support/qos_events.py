"""Says so when two nodes do not hear each other because of their quality of service."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import (
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

# What the parameters qos_overrides may set.
_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)
# Seconds after which a peer that did not fit is in the lists of the topic, if it is still there.
_SETTLING = 2.0


def overridable() -> QoSOverridingOptions:
    """Whoever runs a node may set reliability, durability, history and depth of a topic."""
    return QoSOverridingOptions(_OVERRIDABLE)


class Report(Protocol):
    """Called with the topic and what does not fit and what to do, or None when that is over."""

    def __call__(self, topic: str, detail: str | None, /) -> None: ...


class QosWatch:
    """Reports publishers and subscribers that do not fit those of a node.

    That one does not fit is told by an event; that it has gone is told by none, so that `recheck`
    is to be called now and then.

    Parameters
    ----------
    node : Node
    report : Report
    """

    def __init__(self, node: Node, report: Report) -> None:
        self._node = node
        self._report = report
        # Topic → when it was reported, and what says whether it is still so.
        self._misfits: dict[str, tuple[float, Callable[[], bool]]] = {}

    def subscription_events(self, topic: str, qos: QoSProfile) -> SubscriptionEventCallbacks:
        """Event callbacks for the subscription of a topic (its full name) with this profile."""

        def is_unheard() -> bool:
            publishers = self._node.get_publishers_info_by_topic(topic)
            return any(_is_misfit(other.qos_profile, qos) for other in publishers)

        def incompatible(event: Any) -> None:
            policy = _policy_name(event)
            self._misfits[topic] = time.monotonic(), is_unheard
            self._report(
                topic,
                f"a publisher of {topic} offers another {policy} than is asked for, so nothing "
                f"comes from it; {_remedy(f'{topic}.subscription', policy)}that of the publisher",
            )

        return SubscriptionEventCallbacks(incompatible_qos=incompatible)

    def publisher_events(self, topic: str, qos: QoSProfile) -> PublisherEventCallbacks:
        """Event callbacks for the publisher of a topic (its full name) with this profile."""

        def is_unserved() -> bool:
            subscribers = self._node.get_subscriptions_info_by_topic(topic)
            return any(_is_misfit(qos, other.qos_profile) for other in subscribers)

        def incompatible(event: Any) -> None:
            policy = _policy_name(event)
            self._misfits[topic] = time.monotonic(), is_unserved
            self._report(
                topic,
                f"a subscriber to {topic} asks for another {policy} than is offered, so it gets "
                f"nothing; {_remedy(f'{topic}.publisher', policy)}that of the subscriber",
            )

        return PublisherEventCallbacks(incompatible_qos=incompatible)

    def recheck(self) -> None:
        """Take back what was reported of those that have gone."""
        for topic, (since, is_still_so) in list(self._misfits.items()):
            if time.monotonic() - since > _SETTLING and not is_still_so():
                del self._misfits[topic]
                self._report(topic, None)


def _is_misfit(offered: QoSProfile, asked: QoSProfile) -> bool:
    compatibility, _ = qos_check_compatible(offered, asked)
    return bool(compatibility == QoSCompatibility.ERROR)


def _remedy(end: str, policy: str) -> str:
    if policy in (kind.name.lower() for kind in _OVERRIDABLE):
        return f"set the parameter qos_overrides.{end}.{policy} of this node, or "
    return "set "


def _policy_name(event: Any) -> str:
    return str(qos_policy_name_from_kind(event.last_policy_kind)).lower()
