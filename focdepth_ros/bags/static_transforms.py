"""How the frames of a robot lie that do not move against each other: the topic ``/tf_static``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from focdepth_ros.bags.message_types import TRANSFORMS
from focdepth_ros.bags.reading import BagReader
from focdepth_ros.bags.rigid_transform import RigidTransform
from focdepth_ros.errors import CalibrationError

TOPIC = "/tf_static"


class StaticTransforms:
    """The frames of a bag with their parents.

    Parameters
    ----------
    messages : iterable of geometry_msgs/TransformStamped messages
        A later one of a frame takes the place of an earlier one.
    """

    def __init__(self, messages: Iterable[Any] = ()) -> None:
        self._by_frame = {_name(message.child_frame_id): message for message in messages}

    @classmethod
    def of(cls, reader: BagReader) -> StaticTransforms:
        """Those of a bag; none if it has no such topic.

        Raises
        ------
        BagError
            Where the bag is damaged.
        """
        if not any(t.name == TOPIC and t.kind == TRANSFORMS for t in reader.topics):
            return cls()
        return cls(
            transform
            for _, _, message in reader.messages([TOPIC], complain=lambda reason, detail: None)
            for transform in message.transforms
        )

    def between(self, outer: str, inner: str) -> RigidTransform | None:
        """How the frame `inner` lies in the frame `outer`; None: it is not told.

        Raises
        ------
        CalibrationError
            If a transform on the way is none of a rigid body.
        """
        of_outer, of_inner = (dict(self._ancestors(_name(name))) for name in (outer, inner))
        shared = next((name for name in of_inner if name in of_outer), None)
        if shared is None:
            return None
        return of_outer[shared].inverse() @ of_inner[shared]

    def _ancestors(self, frame: str) -> Iterator[tuple[str, RigidTransform]]:
        """The frame, its parent and so on, and how the frame lies in each."""
        inner, seen = RigidTransform(), set()
        while frame not in seen:
            yield frame, inner
            seen.add(frame)
            message = self._by_frame.get(frame)
            if message is None:
                return
            inner = _transform(message, frame) @ inner
            frame = _name(message.header.frame_id)


def _name(frame: str) -> str:
    return frame.lstrip("/")  # as tf was written before ROS 2


def _transform(message: Any, frame: str) -> RigidTransform:
    t, q = message.transform.translation, message.transform.rotation
    try:
        return RigidTransform((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
    except CalibrationError as error:
        raise CalibrationError(f"{TOPIC}: frame '{frame}': {error}") from error
