"""The sweeps of a bag in a viewer, with the depth that a backend makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from focdepth_ros.bags.sweeps import find_sweeps
from focdepth_ros.bags.topics import BagSettings
from focdepth_ros.datasets.bag_sweeps import sweep_name
from focdepth_ros.errors import BagError, CalibrationError, FocdepthError, RelativeStackError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.files.results import point_cloud
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import FocalStack
from focdepth_ros.viewer.recording import ViewerRecording


class BagAnswers:
    """The sweeps of a bag, each shown at the stamp of its reference slice.

    Parameters
    ----------
    path : Path
    pipeline : DepthPipeline

    Raises
    ------
    BagError
        If the bag cannot be read, or has no sweeps.
    """

    def __init__(self, path: Path, pipeline: DepthPipeline) -> None:
        self._contents = find_sweeps(path, BagSettings())
        if not self._contents.sweeps:
            raise BagError(f"{path}: no focus sweep was found; see `focdepth bag info {path}`")
        self._pipeline = pipeline
        #: What was left out, and why.
        self.left_out = list(self._contents.left_out)

    def __len__(self) -> int:
        """Number of sweeps."""
        return len(self._contents.sweeps)

    def show(self, recording: ViewerRecording) -> Iterator[None]:
        """Work one sweep out and show it per step."""
        for number, sweep in enumerate(self._contents.sweeps, start=1):
            try:
                stack, _ = self._contents.load(sweep)
                estimate = self._pipeline.estimate(stack)
                _show(sweep_name(number), stack, estimate, recording)
            except FocdepthError as error:
                self.left_out.append(f"{sweep_name(number)}: {error}")
            yield


def _show(
    name: str, stack: FocalStack, estimate: DepthEstimate, recording: ViewerRecording
) -> None:
    stamp = stack.slices[stack.reference].stamp
    facts = {"backend": estimate.backend, "slices": len(stack), **_milliseconds(estimate.timings)}
    recording.show_facts(name, facts, stamp)
    recording.show_figures({f"seconds/{k}": v for k, v in estimate.timings.items()}, stamp)
    recording.show_depth(estimate.depth, stamp, metric=estimate.metric)
    recording.show_confidence(estimate.confidence, stamp)
    if estimate.all_in_focus is not None:
        recording.show_all_in_focus(estimate.all_in_focus, stamp)
    if stack.intrinsics is not None:
        recording.show_camera(stack.intrinsics, stamp)
    try:
        recording.show_cloud(*point_cloud(estimate, stack), stamp)
    except (RelativeStackError, CalibrationError):
        return  # without metres or calibration there is none


def _milliseconds(timings: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{1e3 * seconds:.0f} ms" for name, seconds in timings.items()}
