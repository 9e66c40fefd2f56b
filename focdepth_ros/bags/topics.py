"""Which topics of a bag are those of the camera: by their types, or as they are named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from focdepth_ros.bags.message_types import CAMERA_INFO, COMPRESSED_IMAGE, FOCUS_STATE, IMAGE
from focdepth_ros.bags.reading import BagReader, Topic, Topics
from focdepth_ros.bags.rigid_transform import RigidTransform
from focdepth_ros.defaults import DEFAULT_DEPTH_TOLERANCE_S
from focdepth_ros.errors import BagError, OptionError
from focdepth_ros.messages.image_decoding import ImageLimits
from focdepth_ros.sweep_parts.config import Reference, SweepConfig

_GROUND_TRUTH, _DEPTH = "ground_truth", "depth"
_RAW_IMAGES = "image_raw"
_METRES, _MILLIMETRES = "32FC1", "16UC1"


@dataclass(frozen=True)
class BagSettings:
    """How the sweeps of a bag are found.

    Parameters
    ----------
    image_topic, focus_topic, info_topic, depth_topic, depth_info_topic : str
        Where they are empty the topic is found by its type: images and calibration those beside
        the focus states, depth that with ``ground_truth``, or else ``depth``, in its name, and
        the calibration of its camera beside it.
    sweep : SweepConfig
    reference : {"first", "middle", "last"}
        Which slice has the grid and the stamp of the answer, as of `depth_node`.
    limits : ImageLimits
    depth_tolerance : float
        Seconds between the reference slice and a ground truth of it, at most.
    extrinsic : RigidTransform or "same", optional
        How the camera of the depth lies in the frame of the images; ``same`` if the depth is on
        their grid. By default ``/tf_static`` tells where their frames differ.

    Raises
    ------
    OptionError
        If the tolerance is out of its range.
    """

    image_topic: str = ""
    focus_topic: str = ""
    info_topic: str = ""
    depth_topic: str = ""
    depth_info_topic: str = ""
    sweep: SweepConfig = field(default_factory=SweepConfig)
    reference: Reference = "last"
    limits: ImageLimits = field(default_factory=ImageLimits)
    depth_tolerance: float = DEFAULT_DEPTH_TOLERANCE_S
    extrinsic: RigidTransform | Literal["same"] | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.depth_tolerance < math.inf:
            raise OptionError(f"depth_tolerance is {self.depth_tolerance}; it must be seconds >= 0")


def choose_topics(reader: BagReader, settings: BagSettings) -> Topics:
    """The topics of the camera.

    Raises
    ------
    BagError
        If there are no images or no focus states, a topic that is named is not there or of
        another type, or several could be meant.
    """
    choose = _Choice(reader)
    focus = choose.one("focus_topic", settings.focus_topic, (FOCUS_STATE,), choose.of(FOCUS_STATE))
    if focus is None:
        raise choose.lack(f"focus states ({FOCUS_STATE})", "a source of them")
    images = choose.one(
        "image_topic",
        settings.image_topic,
        (IMAGE, COMPRESSED_IMAGE),
        choose.nearest(choose.images(), focus),
    )
    if images is None:
        raise choose.lack(f"images ({IMAGE} or CompressedImage)", "the camera")
    depth = choose.one("depth_topic", settings.depth_topic, (IMAGE,), choose.depths())
    info = choose.one(
        "info_topic", settings.info_topic, (CAMERA_INFO,), choose.infos(images, focus, depth)
    )
    depth_info = choose.one(
        "depth_info_topic",
        settings.depth_info_topic,
        (CAMERA_INFO,),
        choose.only_beside(CAMERA_INFO, depth, but=info),
    )
    return Topics(images, focus, info, depth, depth_info)


class _Choice:
    def __init__(self, reader: BagReader) -> None:
        self._path = reader.path
        self._topics = [topic for topic in reader.topics if topic.count]
        self._encodings = {
            topic.name: reader.encoding(topic.name) for topic in self._topics if topic.kind == IMAGE
        }

    def of(self, *kinds: str) -> list[str]:
        return [topic.name for topic in self._topics if topic.kind in kinds]

    def images(self) -> list[str]:
        """Topics of pictures; a compressed one only where it is not there raw, too."""
        depths = {name for name in self._encodings if self._is_depth(name)}
        raw = [name for name in self.of(IMAGE) if name not in depths]
        packed = [n for n in self.of(COMPRESSED_IMAGE) if n.removesuffix("/compressed") not in raw]
        return raw + [n for n in packed if n.removesuffix("/compressed") not in depths]

    def depths(self) -> list[str]:
        found = [name for name in self._encodings if self._is_depth(name)]
        truths = [name for name in found if _GROUND_TRUTH in name]
        return truths or [name for name in found if _DEPTH in name] or found

    def nearest(self, names: Sequence[str], focus: str) -> list[str]:
        """Those in the namespace of the focus states if there are some, first ``image_raw``."""
        beside = [name for name in names if _namespace(name).startswith(_namespace(focus))]
        raw = [name for name in beside if name.startswith(_namespace(focus) + _RAW_IMAGES)]
        return raw or beside or list(names)

    def beside(self, kind: str, focus: str) -> list[str]:
        return [name for name in self.of(kind) if _namespace(name) == _namespace(focus)]

    def infos(self, images: str, focus: str, depth: str | None) -> list[str]:
        """Beside the images or else the focus states, or the only one that is no other camera's."""
        for other in (images, focus):
            if found := self.beside(CAMERA_INFO, other):
                return found
        # Where other pictures are, or the ground truth, it is of their camera.
        own = images.removesuffix("/compressed")
        others = [*self.of(IMAGE, COMPRESSED_IMAGE), *([depth] if depth else [])]
        taken = {_namespace(name) for name in others if name.removesuffix("/compressed") != own}
        found = [name for name in self.of(CAMERA_INFO) if _namespace(name) not in taken]
        return found if len(found) == 1 else []

    def only_beside(self, kind: str, other: str | None, *, but: str | None) -> list[str]:
        """The topic beside another one, where there is no doubt."""
        found = [name for name in self.beside(kind, other or "") if name != but]
        return found if other and len(found) == 1 else []

    def one(
        self, setting: str, named: str, kinds: Sequence[str], found: Sequence[str]
    ) -> str | None:
        """The topic that is named, or else the one that was found."""
        if named:
            self._check(named, kinds)
            return named
        if len(found) > 1:
            raise BagError(
                f"{self._path}: {' and '.join(found)} could all be the {setting}; name one by "
                f"--{setting.replace('_', '-')}"
            )
        return found[0] if found else None

    def lack(self, what: str, source: str) -> BagError:
        topics = ", ".join(f"{t.name} ({t.kind})" for t in self._topics) or "no messages"
        return BagError(f"{self._path}: has no {what}, only {topics}; record {source}, too")

    def _check(self, name: str, kinds: Sequence[str]) -> None:
        of_name: list[Topic] = [topic for topic in self._topics if topic.name == name]
        if not of_name:
            names = ", ".join(topic.name for topic in self._topics)
            raise BagError(f"{self._path}: has no messages on {name}; it has {names}")
        if of_name[0].kind not in kinds:
            raise BagError(
                f"{self._path}: {name} is of the type {of_name[0].kind}; expected "
                f"{' or '.join(kinds)}"
            )

    def _is_depth(self, name: str) -> bool:
        encoding = self._encodings[name]
        return encoding == _METRES or (encoding == _MILLIMETRES and _DEPTH in name)


def _namespace(topic: str) -> str:
    return topic.rpartition("/")[0] + "/"
