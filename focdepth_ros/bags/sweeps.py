"""The focus sweeps of a bag, put together as `depth_node` does it.

A bag is gone through once to find out what is in it; the images of a sweep are read when it is
asked for, so that a bag of any length can be worked on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focdepth_ros.bags.ground_truth import DepthCamera, depth_camera, truth_on_grid
from focdepth_ros.bags.reading import (
    BagReader,
    CameraInfoFrame,
    DepthFrame,
    DepthInfoFrame,
    FocusFrame,
    ImageFrame,
    Topics,
    kept_open,
)
from focdepth_ros.bags.static_transforms import StaticTransforms
from focdepth_ros.bags.topics import BagSettings, choose_topics
from focdepth_ros.errors import BagError, CalibrationError, MessageError
from focdepth_ros.messages.reading import camera_intrinsics
from focdepth_ros.stack import CameraIntrinsics, FloatImage, FocalStack, Slice
from focdepth_ros.sweep import SweepAssembler
from focdepth_ros.sweep_parts.nearest_truth import nearest_in_time
from focdepth_ros.sweep_parts.types import (
    USUAL,
    USUAL_AT_FIRST,
    DropReason,
    EndReason,
    FrameDropped,
    Sweep,
    SweepDropped,
    SweepEvent,
    SweepFinished,
    seconds,
)

_NANOSECONDS = 10**9  # per second


@dataclass(frozen=True)
class SlicePlace:
    """A slice, and when the recorder got its image."""

    stamp: int
    received: int
    focus_distance: float | None
    lens_position: float | None


@dataclass(frozen=True)
class DepthPlace:
    """A ground truth, and when the recorder got it."""

    stamp: int
    received: int
    frame_id: str


@dataclass(frozen=True, eq=False)
class BagSweep:
    """Where a sweep lies in its bag.

    Parameters
    ----------
    slices : tuple of SlicePlace
        In the order of exposure.
    size : tuple of int
        Height and width of the images.
    frame_id : str
    end_reason : EndReason
    camera_info : CameraInfo message or None
        The newest when the sweep ended.
    depth : DepthPlace or None
        Of the ground truth that is nearest to the reference slice.
    """

    slices: tuple[SlicePlace, ...]
    size: tuple[int, int]
    frame_id: str
    end_reason: EndReason
    camera_info: Any
    depth: DepthPlace | None = None

    def intrinsics(self) -> tuple[CameraIntrinsics | None, str]:
        """Of the camera, or None and why."""
        if self.camera_info is None:
            return None, "the bag has no camera_info of it"
        try:
            return camera_intrinsics(self.camera_info, self.size), ""
        except (MessageError, CalibrationError) as error:
            return None, str(error)


@dataclass(frozen=True, eq=False)
class BagContents:
    """What a bag has for depth from focus.

    Parameters
    ----------
    path : Path
    settings : BagSettings
    topics : Topics
    sweeps : tuple of BagSweep
    dropped : dict of str to int
        Frames and sweeps that were left out, by reason; also those that usually are.
    left_out : tuple of str
        What of them should not be: what is wrong, how often and where.
    depth_info : CameraInfo message or None
        The last of the camera of the ground truth.
    transforms : StaticTransforms
    """

    path: Path
    settings: BagSettings
    topics: Topics
    sweeps: tuple[BagSweep, ...]
    dropped: dict[str, int]
    left_out: tuple[str, ...]
    depth_info: Any
    transforms: StaticTransforms

    def depth_camera(self, sweep: BagSweep) -> DepthCamera | None:
        """The camera of the ground truth of a sweep, if it is not that of the images.

        Raises
        ------
        MessageError
            If it is another one, and its calibration or how it lies is not known.
        """
        if sweep.depth is None:
            return None
        return depth_camera(
            self.settings,
            images_frame=sweep.frame_id,
            depth_frame=sweep.depth.frame_id,
            info=self.depth_info,
            transforms=self.transforms,
        )

    def load(self, sweep: BagSweep) -> tuple[FocalStack, FloatImage | None]:
        """A sweep as focal stack, and its ground truth in metres if there is one.

        Raises
        ------
        BagError
            If the bag cannot be read any more.
        MessageError
            If the ground truth is of a wrong type or damaged, or cannot be registered.
        """
        received = {place.received for place in sweep.slices}
        stamps = {place.stamp for place in sweep.slices}
        span = {"start": min(received), "stop": max(received) + 1, "only": received}
        images: dict[int, ImageFrame] = {}
        depth = None
        with kept_open(self.path) as reader:
            only_images = Topics(self.topics.images, self.topics.focus)
            for frame in reader.frames(only_images, self.settings.limits, _ignore, **span):
                if isinstance(frame, ImageFrame) and frame.stamp in stamps:
                    images.setdefault(frame.stamp, frame)
            if sweep.depth is not None:
                at = sweep.depth.received
                span = {"start": at, "stop": at + 1}
                for frame in reader.frames(self.topics, self.settings.limits, _ignore, **span):
                    if isinstance(frame, DepthFrame) and frame.stamp == sweep.depth.stamp:
                        depth = frame.decode()
        if images.keys() != stamps:
            raise BagError(f"{self.path}: was changed while it was being read; open it again")
        slices = [
            Slice(
                images[place.stamp].image.decode(),
                place.focus_distance,
                place.stamp,
                place.lens_position,
            )
            for place in sweep.slices
        ]
        intrinsics, lack = sweep.intrinsics()
        if depth is not None:
            depth = truth_on_grid(depth, self.depth_camera(sweep), intrinsics, lack)
        whole = Sweep(tuple(slices), sweep.end_reason)
        return whole.stack(intrinsics, reference=self.settings.reference), depth


def find_sweeps(path: Path, settings: BagSettings | None = None) -> BagContents:
    """Go through a bag; where it is damaged, what comes before is found.

    Raises
    ------
    BagError
        If it cannot be opened, or lacks images or focus states.
    """
    settings = BagSettings() if settings is None else settings
    search = _Search(settings)
    transforms = StaticTransforms()
    with BagReader(path) as reader:
        if reader.cut_off:
            search.complain("damaged bag", reader.cut_off)
        topics = choose_topics(reader, settings)
        try:
            transforms = StaticTransforms.of(reader)
            for frame in reader.frames(topics, settings.limits, search.complain):
                search.take(frame)
        except BagError as error:
            search.complain("damaged bag", str(error))
    search.end()
    return BagContents(
        path,
        settings,
        topics,
        tuple(search.sweeps()),
        {**search.assembler.dropped, **search.complaints},
        tuple(search.left_out()),
        search.depth_info,
        transforms,
    )


class _Search:
    """Feeds the assembler with the time of receipt as its clock, as if it all came in now."""

    def __init__(self, settings: BagSettings) -> None:
        self._settings = settings
        self.assembler = SweepAssembler(settings.sweep)
        self.complaints: Counter[str] = Counter()
        self._unusual: Counter[str] = Counter()
        self._first_details: dict[str, str] = {}
        self._found: list[BagSweep] = []
        self._received: dict[int, int] = {}
        self._formats: set[tuple[tuple[int, int], str]] = set()
        self._depths: dict[tuple[int, int], str] = {}  # frame by stamp and time of receipt
        self._camera_info: Any = None
        self.depth_info: Any = None
        self._frame_id = ""
        self._is_ending = False

    def take(self, frame: object) -> None:
        if isinstance(frame, ImageFrame):
            self._take_image(frame)
        elif isinstance(frame, FocusFrame):
            now = frame.received / _NANOSECONDS
            self._handle(self.assembler.add_focus(frame.sample, now=now))
        elif isinstance(frame, CameraInfoFrame):
            self._camera_info = frame.message
        elif isinstance(frame, DepthFrame):
            self._depths[frame.stamp, frame.received] = frame.frame_id
        elif isinstance(frame, DepthInfoFrame):
            self.depth_info = frame.message

    def end(self) -> None:
        self._is_ending = True
        self._handle(self.assembler.flush())

    def complain(self, reason: str, detail: str) -> None:
        self.complaints[reason] += 1
        self._note(reason, detail)

    def sweeps(self) -> Iterable[BagSweep]:
        for sweep in self._found:
            yield BagSweep(**{**vars(sweep), "depth": self._nearest_depth(sweep)})

    def left_out(self) -> Iterable[str]:
        for reason, count in self._unusual.items():
            yield f"{reason} ({count}): {self._first_details[reason]}"

    def _take_image(self, frame: ImageFrame) -> None:
        image = frame.image
        self._formats.add((image.size, image.encoding))
        self._frame_id = frame.frame_id
        before = self._received.get(frame.stamp)
        self._received[frame.stamp] = frame.received
        events = self.assembler.add_image(
            frame.stamp,
            image.decode,
            size=image.size,
            encoding=image.encoding,
            now=frame.received / _NANOSECONDS,
        )
        is_repeated = any(
            isinstance(event, FrameDropped) and event.reason == DropReason.REPEATED_STAMP
            for event in events
        )
        if is_repeated and before is not None:
            self._received[frame.stamp] = before
        self._handle(events)

    def _handle(self, events: Iterable[SweepEvent]) -> None:
        for event in events:
            if isinstance(event, SweepFinished):
                self._found.append(self._place(event.sweep))
            elif isinstance(event, (FrameDropped, SweepDropped)) and not self._is_usual(event):
                self._note(str(event.reason), event.detail)

    def _is_usual(self, event: FrameDropped | SweepDropped) -> bool:
        """Whether it tells of nothing wrong; a recording begins and ends within a sweep."""
        at_the_ends = self._is_ending or (not self._found and len(self._formats) < 2)
        return event.reason in USUAL or (at_the_ends and event.reason in USUAL_AT_FIRST)

    def _note(self, reason: str, detail: str) -> None:
        self._unusual[reason] += 1
        self._first_details.setdefault(reason, detail)

    def _place(self, sweep: Sweep) -> BagSweep:
        slices = tuple(
            SlicePlace(s.stamp, self._received[s.stamp], s.focus_distance, s.lens_position)
            for s in sweep.slices
        )
        size = sweep.slices[0].size
        return BagSweep(slices, size, self._frame_id, sweep.end_reason, self._camera_info)

    def _nearest_depth(self, sweep: BagSweep) -> DepthPlace | None:
        places = sweep.slices
        index = {"first": 0, "middle": len(places) // 2, "last": -1}[self._settings.reference]
        wanted = places[index]
        nearest = nearest_in_time(
            self._depths,
            (wanted.stamp, wanted.received),
            tolerance=self._settings.depth_tolerance,
        )
        return None if nearest is None else DepthPlace(*nearest, self._depths[nearest])


def lack_of_truth(contents: BagContents, sweep: BagSweep) -> str:
    """Why a sweep has no ground truth."""
    if contents.topics.depth is None:
        return (
            f"{contents.path}: has no ground truth (images of 32FC1 in metres, or of 16UC1 in mm "
            "with depth in the name of their topic); record it, or name it by --depth-topic"
        )
    return (
        f"{contents.path}: no ground truth on {contents.topics.depth} within "
        f"{contents.settings.depth_tolerance:g} s of the sweep that ended at "
        f"{seconds(sweep.slices[-1].stamp)}"
    )


def _ignore(reason: str, detail: str) -> None:
    """What cannot be used was already named when the bag was gone through."""
