"""One sweep through a pipeline as a camera would give it, and how long each step took."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

from focdepth_ros.backends.base import spec_of
from focdepth_ros.errors import EvaluationError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import FocalStack


@dataclass(frozen=True)
class SweepTimes:
    """How long the steps of one sweep took.

    Parameters
    ----------
    adds : tuple of float
        Seconds for each frame, in the order of exposure.
    finish : float
        Seconds from then on to the answer.
    """

    adds: tuple[float, ...]
    finish: float

    @property
    def total(self) -> float:
        """Seconds of work in all."""
        return sum(self.adds) + self.finish

    def latency(self, frame_rate: float) -> float:
        """Seconds from the arrival of the last frame to the answer.

        Frames arrive evenly spaced, and each is worked on when it is there and the one before
        is done. So this is the time for the last frame and for the answer, and what was behind
        by then where frames come faster than they are worked on.

        Parameters
        ----------
        frame_rate : float
            Frames per second that arrive.
        """
        done = 0.0
        for number, seconds in enumerate(self.adds):
            done = max(done, number / frame_rate) + seconds
        return done + self.finish - (len(self.adds) - 1) / frame_rate


def timed_sweep(
    pipeline: DepthPipeline, name: str, stack: FocalStack
) -> tuple[DepthEstimate, SweepTimes]:
    """Answer of a pipeline on a stack, slice by slice, and its times.

    Parameters
    ----------
    pipeline : DepthPipeline
    name : str
        Of the backend that is to answer.
    stack : FocalStack

    Raises
    ------
    EvaluationError
        If another backend answered in its place: these would be the figures of that one.
    FocdepthError
        If there is no answer.
    """
    # As new objects they are not known from a sweep before.
    slices = [replace(item) for item in stack.slices]
    adds = []
    started = time.perf_counter()
    run = pipeline.start(spec_of(stack))
    for number in _as_exposed(stack):
        run.add(slices[number])
        _wait_for_gpu()
        before, started = started, time.perf_counter()
        adds.append(started - before)
    estimate = run.finish(reference=slices[stack.reference])
    finish = time.perf_counter() - started
    if estimate.fallback or estimate.backend != name:
        raise EvaluationError(
            f"'{name}' gave no answer, '{estimate.backend}' did: {'; '.join(estimate.warnings)}"
        )
    return estimate, SweepTimes(tuple(adds), finish)


def _as_exposed(stack: FocalStack) -> list[int]:
    """Numbers of the slices in the order in which they were taken, where that is known.

    Alignment, and networks, go from one slice to the next: in another order their answer would be
    another one than that of `depth_node`.
    """
    numbers = list(range(len(stack)))
    if not stack.is_metric:  # their order says what the slice index means
        return numbers
    return sorted(numbers, key=lambda number: stack.slices[number].stamp)


def use_threads(count: int) -> None:
    """Let OpenCV, the graph cut and torch, where a backend has loaded it, use so many threads."""
    import cv2

    cv2.setNumThreads(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def _wait_for_gpu() -> None:
    """What a backend has only told the GPU to do belongs to the frame that it is for."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
