"""Frames out of a ROS 2 bag: SQLite or MCAP, a folder or a single file, also compressed.

Only the bytes of a message are touched until its image is asked for, and those of mono8 and
rgb8 are used where they lie.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from focdepth_ros.bags.message_types import (
    COMPRESSED_IMAGE,
    READ,
    message_types,
    require_rosbags,
)
from focdepth_ros.bags.unpacking import (
    METADATA,
    ReadableBag,
    lacks_messages_because,
    salvaged,
    state_of,
    unpacked,
)
from focdepth_ros.errors import BagError, MessageError
from focdepth_ros.messages.depth_decoding import depth_image
from focdepth_ros.messages.image_decoding import (
    ImageLimits,
    IncomingImage,
    open_compressed_image,
    open_image,
)
from focdepth_ros.messages.reading import focus_sample, stamp_of
from focdepth_ros.stack import FloatImage
from focdepth_ros.sweep_parts.types import FocusSample

BAG_SUFFIXES = (".db3", ".mcap")

_one_at_a_time = Lock()


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its name, the type and the number of its messages."""

    name: str
    kind: str
    count: int


@dataclass(frozen=True)
class OfferedQos:
    """Quality of service of a recorded publisher, in the words of ROS 2, such as ``best_effort``.

    What the recorder could not find out is ``unknown``, or a depth of 0.
    """

    reliability: str
    durability: str
    history: str
    depth: int


@dataclass(frozen=True)
class Topics:
    """Names of the topics of a camera whose focus moves; None: there is none.

    Parameters
    ----------
    images, focus : str
    camera_info, depth, depth_info : str or None
        Calibration, ground truth, and calibration of the camera that the latter is of.
    """

    images: str
    focus: str
    camera_info: str | None = None
    depth: str | None = None
    depth_info: str | None = None


@dataclass(frozen=True, eq=False)
class ImageFrame:
    """An image; `received` is when the recorder got it, in nanoseconds, as for all frames."""

    received: int
    stamp: int
    frame_id: str
    image: IncomingImage


@dataclass(frozen=True)
class FocusFrame:
    """A focus state."""

    received: int
    sample: FocusSample


@dataclass(frozen=True, eq=False)
class CameraInfoFrame:
    """A calibration, as `messages.reading.camera_intrinsics` takes it."""

    received: int
    message: Any


@dataclass(frozen=True, eq=False)
class DepthFrame:
    """A ground truth; `decode` gives (H, W) float32 in metres, NaN where not known."""

    received: int
    stamp: int
    frame_id: str
    decode: Callable[[], FloatImage]


@dataclass(frozen=True, eq=False)
class DepthInfoFrame:
    """A calibration of the camera of the ground truth."""

    received: int
    message: Any


BagFrame = ImageFrame | FocusFrame | CameraInfoFrame | DepthFrame | DepthInfoFrame

#: Called with the reason and the detail of a message that cannot be used.
Complaint = Callable[[str, str], None]


class BagReader:
    """An open bag, to be used in a ``with`` statement; at the latest it is closed when it goes.

    Parameters
    ----------
    path : Path
        A folder with a ``metadata.yaml``, or a single ``.db3`` or ``.mcap`` file.

    Attributes
    ----------
    path : Path
    cut_off : str
        What is wrong with a bag that was cut off, of which what comes before is read.

    Raises
    ------
    BagError
        If it is no bag, or nothing of it can be read; on entering.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut_off = ""
        self._reader: Any = None
        self._types: Any = None
        self._bag = ReadableBag(path)
        self._close: Callable[[], object] = lambda: None

    def __enter__(self) -> BagReader:
        require_rosbags()
        _check_path(self.path)
        try:
            self._open(unpacked)
        except Exception as error:  # a damaged bag fails in many ways
            try:
                self._open(salvaged)
            except Exception:
                raise _unreadable(self.path, error) from error
            self.cut_off = f"{self.path}: {_text(error)}; {self._bag.damage}"
        if lacking := lacks_messages_because(self.path):
            self.cut_off = "; ".join(filter(None, (self.cut_off or f"{self.path}", lacking)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()
        self._bag = ReadableBag(self.path)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All topics, by name."""
        found = [Topic(c.topic, c.msgtype, c.msgcount) for c in self._reader.connections]
        return tuple(sorted(found, key=lambda topic: topic.name))

    @property
    def span(self) -> tuple[int, int]:
        """Times of receipt of the first and the last message, in nanoseconds; (0, 0): none."""
        if not self._reader.message_count:
            return 0, 0
        return self._reader.start_time, self._reader.end_time - 1

    def offered_qos(self, topic: str) -> tuple[OfferedQos, ...]:
        """What the recorded publishers of a topic offered, as far as the bag says."""
        return tuple(
            OfferedQos(
                reliability=profile.reliability.name.lower(),
                durability=profile.durability.name.lower(),
                history=profile.history.name.lower(),
                depth=profile.depth,
            )
            for connection in self._reader.connections
            if connection.topic == topic
            for profile in connection.ext.offered_qos_profiles
        )

    def messages(
        self,
        topics: Collection[str],
        *,
        start: int | None = None,
        stop: int | None = None,
        only: Collection[int] | None = None,
        complain: Complaint | None = None,
    ) -> Iterator[tuple[Topic, int, Any]]:
        """Topic, time of receipt and content of messages, in the order of receipt.

        Parameters
        ----------
        topics : collection of str
        start, stop : int, optional
            Times of receipt in nanoseconds, from and before.
        only : collection of int, optional
            Just those received at these times.
        complain : callable, optional
            Called for a message that is no such message, instead of raising.

        Raises
        ------
        BagError
            Where the bag is damaged.
        """
        for topic, received, data in self.serialised(topics, start=start, stop=stop):
            if only is None or received in only:
                try:
                    message = self._types.deserialize_cdr(data, topic.kind)
                except Exception as error:
                    where = f"{topic.name}, at {received / 1e9:.3f} s"
                    if complain is None:
                        raise BagError(
                            f"{self.path}: damaged message on {where}: {_text(error)}"
                        ) from error
                    complain("damaged message", f"{where}: {_text(error)}")
                    continue
                yield topic, received, message

    def serialised(
        self, topics: Collection[str], *, start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Topic, int, bytes]]:
        """As `messages`, but the bytes of each message as they were recorded."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        known = {c.topic: Topic(c.topic, c.msgtype, c.msgcount) for c in connections}
        last = "its beginning"
        messages = self._reader.messages(connections, start, stop)
        while True:
            try:
                connection, received, data = next(messages)
            except StopIteration:
                return
            except Exception as error:
                raise BagError(f"{self.path}: is damaged after {last}: {_text(error)}") from error
            yield known[connection.topic], received, data
            last = f"the message of {received / 1e9:.3f} s on {connection.topic}"

    def damage(self, topic: Topic, data: bytes) -> str:
        """What is wrong with the bytes of a message; empty if nothing, or its type is not known."""
        if topic.kind not in self._types.fielddefs:
            return ""
        try:
            self._types.deserialize_cdr(data, topic.kind)
        except Exception as error:
            return _text(error)
        return ""

    def frames(
        self, topics: Topics, limits: ImageLimits, complain: Complaint, **span: Any
    ) -> Iterator[BagFrame]:
        """What the topics of a camera say, in the order of receipt; `span` as of `messages`."""
        names = (topics.images, topics.focus, topics.camera_info, topics.depth, topics.depth_info)
        wanted = [name for name in names if name]
        for topic, received, message in self.messages(wanted, complain=complain, **span):
            try:
                yield _frame(topic, received, message, topics, limits)
            except MessageError as error:
                complain(error.reason, f"{topic.name}, at {received / 1e9:.3f} s: {error}")
            except AttributeError as error:
                raise BagError(
                    f"{self.path}: {topic.kind} of {topic.name} is another one than here: {error}"
                ) from error

    def encoding(self, topic: str) -> str:
        """Encoding of the first image of a topic; empty if it has none."""
        for _, _, message in self.messages([topic]):
            return str(message.encoding)
        return ""

    def _open(self, find: Callable[[Path], ReadableBag]) -> None:
        from rosbags.rosbag2 import Reader

        self._close()
        self._bag = find(self.path)
        self._reader = Reader(self._bag.path)
        self._reader.open()
        self._close = weakref.finalize(self, self._reader.close)
        self._types = message_types(self._own_types())

    def _own_types(self) -> dict[str, Any]:
        """Definitions that the bag has of the messages that are needed."""
        from rosbags.interfaces import MessageDefinitionFormat
        from rosbags.typesys import get_types_from_msg

        found: dict[str, Any] = {}
        for connection in self._reader.connections:
            definition = connection.msgdef
            if connection.msgtype in READ and definition.format == MessageDefinitionFormat.MSG:
                found.update(get_types_from_msg(definition.data, connection.msgtype))
        return found


@contextmanager
def kept_open(path: Path) -> Iterator[BagReader]:
    """A bag that stays open until another is asked for: to open one takes longer than a sweep.

    One thread has it at a time.

    Raises
    ------
    BagError
        As `BagReader`.
    """
    with _one_at_a_time:
        yield _opened(path, state_of(path) if path.exists() else None)


@lru_cache(maxsize=1)
def _opened(path: Path, state: object) -> BagReader:
    return BagReader(path).__enter__()  # closed when it goes


def _check_path(path: Path) -> None:
    if not path.exists():
        raise BagError(f"{path}: no such bag; give its folder, or a .db3 or .mcap file")
    if path.is_dir() and not (path / METADATA).is_file():
        raise BagError(
            f"{path}: has no {METADATA}, so it is no bag or its recorder was killed; give the "
            ".db3 or .mcap file in it, or let `ros2 bag reindex` write one"
        )
    if path.is_file() and path.suffix not in BAG_SUFFIXES:
        raise BagError(f"{path}: is no bag; give its folder, or a .db3 or .mcap file")


def _unreadable(path: Path, error: Exception) -> BagError:
    return BagError(
        f"{path}: cannot be read as a bag, or is cut off: {_text(error)}; copy it again, or "
        "try `ros2 bag reindex`"
    )


def _text(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")


def _frame(
    topic: Topic, received: int, message: Any, topics: Topics, limits: ImageLimits
) -> BagFrame:
    if topic.name == topics.focus:
        return FocusFrame(received, focus_sample(message))
    if topic.name == topics.camera_info:
        return CameraInfoFrame(received, message)
    if topic.name == topics.depth_info:
        return DepthInfoFrame(received, message)
    stamp, frame_id = stamp_of(message.header), message.header.frame_id
    if topic.name == topics.depth:
        return DepthFrame(received, stamp, frame_id, partial(depth_image, message, topic.name))
    opened = open_compressed_image if topic.kind == COMPRESSED_IMAGE else open_image
    return ImageFrame(received, stamp, frame_id, opened(message, limits))
