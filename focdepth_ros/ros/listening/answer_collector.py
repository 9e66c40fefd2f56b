"""The messages that `depth_node` publishes of one sweep, put together again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from focdepth_ros.errors import MessageError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.messages.depth_decoding import depth_image, float_image
from focdepth_ros.messages.image_decoding import ImageLimits, open_image
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.msg import SweepInfo

DEPTH, CONFIDENCE, ALL_IN_FOCUS, INFO = (
    "depth/image",
    "confidence/image",
    "all_in_focus/image",
    "sweep_info",
)
#: Types of the topics of an answer.
KINDS: dict[str, type] = {
    DEPTH: Image,
    CONFIDENCE: Image,
    ALL_IN_FOCUS: Image,
    INFO: SweepInfo,
}

# Seconds after which what has not come does not come any more. The picture may be missing of the
# first sweep, which was begun before somebody wanted it.
_PICTURE_PATIENCE, _PATIENCE = 1.0, 5.0


@dataclass
class CollectedAnswer:
    """Messages of one sweep by topic; `since` is when the first came, in seconds."""

    stamp: int
    since: float
    messages: dict[str, Any] = field(default_factory=dict)

    @property
    def info(self) -> Any:
        """The `SweepInfo`, or None where it is missing."""
        return self.messages.get(INFO)

    def missing(self, topics: Iterable[str]) -> list[str]:
        """Which of these topics has not come."""
        return [topic for topic in topics if topic not in self.messages]

    def estimate(self) -> DepthEstimate:
        """What was answered; the topics do not tell positions in the stack.

        Raises
        ------
        MessageError
            If a message is missing, damaged, or of another size than the others.
        """
        missing = self.missing((DEPTH, CONFIDENCE, INFO))
        if missing:
            raise MessageError(f"no {' and no '.join(missing)} came of it", reason="missing answer")
        depth = depth_image(self.messages[DEPTH], DEPTH)
        confidence = float_image(self.messages[CONFIDENCE], CONFIDENCE)
        if confidence.shape != depth.shape:
            raise MessageError(
                f"{CONFIDENCE} is of shape {confidence.shape} and {DEPTH} of {depth.shape}; they "
                "must be of one size"
            )
        picture = self.messages.get(ALL_IN_FOCUS)
        return DepthEstimate(
            depth=depth,
            confidence=confidence,
            slice_index=np.full_like(depth, np.nan),
            backend=self.info.backend,
            metric=True,
            all_in_focus=None if picture is None else open_image(picture, ImageLimits()).decode(),
        )


class AnswerCollector:
    """Collects messages by their stamp.

    Parameters
    ----------
    topics : iterable of str
        Of `KINDS`, those that are subscribed to.
    """

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = tuple(topics)
        self._needed = tuple(topic for topic in self._topics if topic != ALL_IN_FOCUS)
        self._open: dict[int, CollectedAnswer] = {}

    def __len__(self) -> int:
        """Number of answers of which something may still come."""
        return len(self._open)

    def add(self, topic: str, message: Any, now: float) -> None:
        """Take in a message, at this time in seconds."""
        stamp = stamp_of(message.header)
        answer = self._open.setdefault(stamp, CollectedAnswer(stamp, now))
        answer.messages[topic] = message

    def take(self, now: float | None = None) -> list[CollectedAnswer]:
        """Those that are whole, or will not become so any more at this time; None: all."""
        taken = [
            answer for answer in self._open.values() if now is None or self._is_due(answer, now)
        ]
        for answer in taken:
            del self._open[answer.stamp]
        return taken

    def _is_due(self, answer: CollectedAnswer, now: float) -> bool:
        if not answer.missing(self._topics):
            return True
        patience = _PATIENCE if answer.missing(self._needed) else _PICTURE_PATIENCE
        return now - answer.since > patience
