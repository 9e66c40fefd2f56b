"""Publishers for the topics of a bag: their types, and their quality of service as recorded."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import cast

from ament_index_python.packages import get_packages_with_prefixes
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.type_support import check_is_valid_msg_type

from focdepth_ros.bags.reading import OfferedQos
from focdepth_ros.errors import BagError, quoted

# What a slow subscriber has not yet confirmed is sent again, as long as it is among so many.
_LEAST_DEPTH = 20


def message_class(kind: str) -> type:
    """The class of a message type such as ``sensor_msgs/msg/Image``.

    Raises
    ------
    BagError
        If it is not installed here.
    """
    package, _, name = kind.partition("/msg/")
    try:
        # To import is to run: a bag must not choose any Python package that it likes.
        if not package.isidentifier() or package not in get_packages_with_prefixes():
            raise ImportError(f"{quoted(package)} is no package of ROS 2")
        found = getattr(import_module(f"{package}.msg"), name)
        check_is_valid_msg_type(found)
    except (ImportError, AttributeError, TypeError, RuntimeError) as error:
        raise BagError(
            f"messages of type {kind} are not known here; install and source their package"
        ) from error
    return cast(type, found)


def playback_qos(offers: Sequence[OfferedQos]) -> QoSProfile:
    """Quality of service that is heard by all who heard the recorded publishers.

    Where the bag says nothing: reliable and volatile, which everybody hears.
    """
    best_effort = bool(offers) and all(o.reliability == "best_effort" for o in offers)
    latched = any(offer.durability == "transient_local" for offer in offers)
    depth = max((offer.depth for offer in offers), default=0)
    keep_all = latched and any(offer.history == "keep_all" for offer in offers)
    return QoSProfile(
        reliability=(
            QoSReliabilityPolicy.BEST_EFFORT if best_effort else QoSReliabilityPolicy.RELIABLE
        ),
        durability=(
            QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE
        ),
        history=QoSHistoryPolicy.KEEP_ALL if keep_all else QoSHistoryPolicy.KEEP_LAST,
        # Whoever comes late gets as many latched messages as were latched.
        depth=max(depth, 1 if latched else _LEAST_DEPTH),
    )
