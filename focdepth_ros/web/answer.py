"""What a visitor gets: the answer to one focal stack, its pictures, and what a click reads."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.backends.base import Backend, spec_of
from focdepth_ros.backends.registry import choose_backend, create_backend
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import StackError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.evaluation.stack_report import write_stack_report
from focdepth_ros.files.image_io import write_image
from focdepth_ros.files.results import point_cloud, write_results
from focdepth_ros.geometry import intrinsics_from_field_of_view
from focdepth_ros.pictures.depth_pictures import (
    as_colour,
    colour_confidence,
    colour_depth,
    depth_range,
)
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.refocus import Refocuser
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray

#: Called with the share of the work that is done, and what is done next.
Progress = Callable[[float, str], None]

# Width from which on a picture fills its place on the page.
_SCREEN_WIDTH = 800
# The alignments that need no files or calibration.
ALIGNMENTS = ("auto", "none", "ecc", "homography", "flow")
_MOST_POINTS = 250_000
#: Assumed field of view, as of a telephone's camera.
DEFAULT_DEGREES = 60.0


@dataclass(frozen=True)
class Question:
    """How a stack is to be worked on.

    Parameters
    ----------
    backend : str
        Name of a backend, or auto.
    alignment : str
        One of `ALIGNMENTS`.
    min_confidence : float
        Pixels of lower confidence are left out.
    degrees : float
        Horizontal field of view for the points of a camera that is not known.
    """

    backend: str = "auto"
    alignment: str = "auto"
    min_confidence: float = DEFAULT_MIN_CONFIDENCE
    degrees: float = DEFAULT_DEGREES


@dataclass(frozen=True)
class Reading:
    """What is known of one pixel.

    Parameters
    ----------
    depth : float
        Metres, or the slice index of a relative stack; NaN where not known.
    confidence : float
    slice_index : float
        Where in the stack the pixel is sharpest, from 0.
    """

    depth: float
    confidence: float
    slice_index: float


class Cloud(NamedTuple):
    """Points for the 3-D view, thinned out evenly where there are many.

    Parameters
    ----------
    points : (H, W, 3) float32
        Metres in the optical frame, NaN where not known.
    colours : (H, W, 3) uint8 RGB
    spacing : float
        Between neighbouring points at one metre, in metres.
    half_width : float
        Half the width of what is seen at one metre, in metres.
    """

    points: NDArray[np.float32]
    colours: ImageArray
    spacing: float
    half_width: float


@dataclass(frozen=True, eq=False)
class Answer:
    """An estimate with everything that the page shows of it.

    Parameters
    ----------
    stack : FocalStack
    estimate : DepthEstimate
    metrics : mapping of str to float
        Errors against the true depth; empty where that is not known.
    truth : (H, W) float32 or None
        Metres, where known.
    question : Question
        How it was asked.
    view_assumed : bool
        Whether the field of view of the cloud is that of the question, and not of the camera.
    title : str
        What the stack is called.
    """

    stack: FocalStack
    estimate: DepthEstimate
    metrics: Mapping[str, float] = field(default_factory=dict)
    truth: FloatImage | None = None
    question: Question = Question()
    view_assumed: bool = False
    title: str = "Focal stack"

    def seen_across(self, degrees: float) -> Answer:
        """The same with another field of view, where that is assumed.

        Raises
        ------
        CalibrationError
            If the angle is not in (0, 180) degrees.
        """
        if not self.view_assumed:
            return self
        height, width = self.stack.size
        intrinsics = intrinsics_from_field_of_view(degrees, width, height)
        return replace(
            self,
            stack=replace(self.stack, intrinsics=intrinsics),
            question=replace(self.question, degrees=degrees),
        )

    @cached_property
    def depth_limits(self) -> tuple[float, float]:
        """Nearest and farthest depth of the colours."""
        return depth_range(self.estimate.depth)

    @cached_property
    def sharp(self) -> ImageArray:
        """The all-in-focus image, (H, W, 3) uint8."""
        image = self.estimate.all_in_focus
        return self.slice_picture(self.stack.reference) if image is None else image

    @cached_property
    def refocuser(self) -> Refocuser:
        """Made when it is first used."""
        return Refocuser(self.estimate, self.stack)

    @property
    def enlargement(self) -> int:
        """How many times larger than the pixels of the stack the page shows its pictures."""
        width: int = self.estimate.depth.shape[1]
        return max(1, math.ceil(_SCREEN_WIDTH / width))

    def on_screen(self, picture: ImageArray, at: tuple[int, int] | None = None) -> ImageArray:
        """A picture of the stack's size as the page shows it.

        It is not left to browsers to enlarge small pictures: where Gradio takes a click to be
        holds only for those that are shrunk.

        Parameters
        ----------
        picture : (H, W, 3) uint8 RGB
        at : (int, int), optional
            Column and row of a pixel to put a ring around.
        """
        factor = self.enlargement
        height, width = picture.shape[:2]
        size = (factor * width, factor * height)
        shown = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        if at is None:
            return shown
        return _marked(shown, *(round((place + 0.5) * factor) for place in at))

    def depth_picture(self) -> ImageArray:
        """Depth in colours, (H, W, 3) uint8."""
        estimate = self.estimate
        return colour_depth(estimate.depth, metric=estimate.metric, limits=self.depth_limits)

    def confidence_picture(self) -> ImageArray:
        """Confidence in colours, (H, W, 3) uint8."""
        return colour_confidence(self.estimate.confidence)

    def slice_picture(self, index: int) -> ImageArray:
        """A slice as it was taken, (H, W, 3) uint8; near to far from 0."""
        return as_colour(self.stack.slices[index].image)

    def read(self, x: int, y: int) -> Reading:
        """Depth and confidence at a pixel; one beyond the border counts as the nearest."""
        height, width = self.estimate.depth.shape
        at = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        estimate = self.estimate
        return Reading(
            float(estimate.depth[at]),
            float(estimate.confidence[at]),
            float(estimate.slice_index[at]),
        )

    @cached_property
    def cloud(self) -> Cloud:
        """What the 3-D view shows.

        Raises
        ------
        RelativeStackError, CalibrationError
            If there are no metres, or the lens distorts in an unknown way.
        """
        points, colours = point_cloud(self.estimate, self.stack)
        step = max(1, math.ceil(math.sqrt(self.estimate.depth.size / _MOST_POINTS)))
        points, colours = points[::step, ::step], colours[::step, ::step]
        across = points[..., 0] / points[..., 2]
        if np.isnan(across).all():
            raise StackError("no pixel is known well enough; lower the least confidence")
        return Cloud(
            points,
            colours,
            spacing=float(np.nanmedian(np.diff(across, axis=1))),
            half_width=float(np.nanmax(np.abs(across))),
        )

    def write_files(self, folder: Path) -> dict[str, Path]:
        """Write what can be downloaded: single files, and all of them in ``everything.zip``.

        Returns
        -------
        dict of str to Path
            By file name.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        settings = {
            "backend": self.question.backend,
            "alignment": self.question.alignment,
            "min_confidence": self.question.min_confidence,
        }
        if self.view_assumed:
            settings["assumed field of view [°]"] = self.question.degrees
        metrics = self.metrics or None
        written = write_results(
            folder, self.estimate, self.stack, metrics=metrics, details={"settings": settings}
        )
        files = {name: folder / name for name in written.files}
        overview, report = folder / "overview.jpg", folder / "report.html"
        truth = self.truth if self.estimate.metric else None
        sheet = picture_sheet(self.stack, self.estimate, truth=truth)
        write_image(overview, sheet)
        write_stack_report(
            report, f"Depth of {self.title}", self.stack, self.estimate,
            truth=truth, metrics=metrics, settings=settings, notes=self.notes, sheet=sheet,
        )  # fmt: skip
        everything = folder / "everything.zip"
        with zipfile.ZipFile(everything, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for path in (report, overview, *files.values()):
                packed.write(path, path.name)
        return {**files, report.name: report, everything.name: everything}

    @property
    def notes(self) -> list[str]:
        """What is to be said of it beside the warnings of the estimate."""
        if not self.view_assumed:
            return []
        return [
            "The camera is not known: the point cloud assumes that it sees "
            f"{self.question.degrees:g} degrees across."
        ]


def work_out(
    stack: FocalStack,
    truth: FloatImage | None,
    question: Question,
    progress: Progress,
    *,
    title: str = "Focal stack",
) -> Answer:
    """Depth of a stack, as `focdepth estimate` gives it.

    Parameters
    ----------
    stack : FocalStack
        Without intrinsics and lens it gets the field of view of the question, for the 3-D view.
    truth : (H, W) float32 or None
        Metres, to compare a metric answer with.
    question : Question
    progress : callable
        What it raises ends the work, also if no `Exception`.
    title : str
        What the stack is called.

    Raises
    ------
    FocdepthError
        If a setting cannot be, or no backend could answer.
    """
    backend = _backend(choose_backend(question.backend))
    pipeline = DepthPipeline(
        backend,
        alignment=AlignmentConfig(method=question.alignment),
        min_confidence=question.min_confidence,
    )
    run = pipeline.start(spec_of(stack))
    steps = len(stack) + backend.steps
    done = 0

    def advance(words: str) -> None:
        nonlocal done
        done += 1
        progress(min(done / steps, 1.0), words)

    backend.on_step = advance if backend.steps > 1 else None
    try:
        for number, item in enumerate(stack.slices, 1):
            run.add(item)
            advance(f"Slice {number} of {len(stack)}")
        progress(done / steps, f"Depth by {backend.name}")
        estimate = run.finish(reference=stack.slices[stack.reference])
    finally:
        backend.on_step = None
    metrics = depth_metrics(estimate.depth, truth) if truth is not None and estimate.metric else {}
    assumed = stack.is_metric and stack.intrinsics is None and stack.lens is None
    answer = Answer(stack, estimate, metrics, truth, question, assumed, title)
    return answer.seen_across(question.degrees)


def _marked(picture: ImageArray, x: int, y: int) -> ImageArray:
    """A copy of a picture with a ring around a pixel, light on dark so that it shows anywhere."""
    copy = picture.copy()
    radius = max(4, round(0.012 * max(picture.shape[:2])))
    for thickness, colour in ((3, (0, 0, 0)), (1, (255, 255, 255))):
        cv2.circle(copy, (x, y), radius, colour, thickness, cv2.LINE_AA)
    return np.asarray(copy, np.uint8)


@lru_cache(maxsize=2)
def _backend(name: str) -> Backend:
    """A backend that is kept: loading a network takes seconds."""
    return create_backend(name)
