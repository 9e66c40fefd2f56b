"""The thread of `depth_node` that works on the sweeps and publishes the results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo

from focdepth_ros.backends.base import SweepSpec
from focdepth_ros.errors import CalibrationError, FocdepthError, MessageError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.messages.reading import camera_intrinsics
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.ros.depth_node_parts.outputs import Camera, DepthOutputs, SweepResult
from focdepth_ros.ros.depth_node_parts.sweep_queue import QueuedSweep, SweepQueue
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.parameters.depth import DepthNodeParameters
from focdepth_ros.stack import FocalStack, Slice


class DepthWorker:
    """Works on one sweep after the other, on each from its first slice on.

    Parameters
    ----------
    pipeline : DepthPipeline
    queue : SweepQueue
        Where the sweeps come from; closing it ends the thread.
    outputs : DepthOutputs
    health : NodeHealth
    parameters : DepthNodeParameters
    info_topic : str
        Full name of the topic of ``camera_info``, for messages.
    complain : callable
        Called with errors that nobody has foreseen.
    """

    def __init__(
        self,
        pipeline: DepthPipeline,
        queue: SweepQueue,
        outputs: DepthOutputs,
        health: NodeHealth,
        parameters: DepthNodeParameters,
        *,
        info_topic: str,
        complain: Callable[[Exception], None],
    ) -> None:
        self._pipeline = pipeline
        self._queue = queue
        self._outputs = outputs
        self._health = health
        #: May be replaced at any time; counts from the next result on.
        self.parameters = parameters
        #: The newest one, if any came.
        self.camera_info: CameraInfo | None = None
        self._info_topic = info_topic
        self._complain = complain
        self._thread = threading.Thread(target=self._work, name="depth_worker")

    def start(self) -> None:
        """Begin with loading what the first sweep needs."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended, once the queue is closed."""
        self._thread.join()

    def _work(self) -> None:
        self._attempt(self._warm_up)
        while (sweep := self._queue.next()) is not None:
            self._attempt(partial(self._answer, sweep))

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except FocdepthError as error:
            missing = "all-in-focus image" if self.parameters.aif_only else "depth"
            self._health.problem(f"no {missing}", str(error), Level.ERROR)
        except Exception as error:
            self._complain(error)

    def _warm_up(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        slices = [
            Slice(cv2.GaussianBlur(noise, (0, 0), 0.5 + i).astype(np.uint8), focus_distance=1.0 + i)
            for i in range(4)
        ]
        stack = FocalStack(slices, lens=self.parameters.lens)
        wants_depth = not self.parameters.aif_only
        self._report_fallback(self._pipeline.estimate(stack, depth=wants_depth))

    def _answer(self, queued: QueuedSweep) -> None:
        size = (queued.height, queued.width)
        camera, _ = self._camera(size)
        wants_depth = not self.parameters.aif_only
        run = self._pipeline.start(
            SweepSpec(
                height=queued.height,
                width=queued.width,
                metric=queued.metric,
                by_position=not queued.metric,
                intrinsics=None if camera is None else camera.intrinsics,
                lens=self.parameters.lens,
                all_in_focus=self._outputs.picture_wanted(),
                depth=wants_depth,
            )
        )
        for item in queued:
            run.add(item)
        sweep = queued.finished
        if sweep is None:
            return
        stack = sweep.stack(reference=self.parameters.reference_slice)
        wanted = stack.slices[stack.reference]
        estimate = run.finish(reference=wanted)
        if wants_depth:
            estimate = self._within_range(estimate)
        if self._queue.is_closed:  # a backend that was interrupted is no failure
            return
        fallback = self._report_fallback(estimate)
        # Stamp and frame are those of the slice whose pixel grid the answer has.
        stack = replace(stack, reference=stack.slices.index(run.reference_taken(wanted)))
        self._report_warnings(estimate)

        camera, lacking = self._camera(size)
        result = SweepResult(stack, queued.frame_id, estimate, camera)
        try:
            self._outputs.publish(result)
        except CalibrationError as error:
            lacking = str(error)
        self._health.condition(
            "camera_info",
            None if lacking is None else self._outputs.lacking_without_camera(lacking),
        )
        latency = time.monotonic() - queued.last_arrival
        self._outputs.publish_info(
            result,
            sequence=queued.sequence,
            end_reason=sweep.end_reason,
            fallback_reason=fallback,
            latency=latency,
            dropped=self._health.problem_counts(),
        )
        self._health.count("sweeps answered")
        self._health.set_value("slices", str(len(stack)))
        self._health.set_value("latency after last frame [ms]", f"{1e3 * latency:.1f}")
        self._health.set_value("last step [ms]", f"{1e3 * estimate.timings['finish']:.1f}")

    def _camera(self, size: tuple[int, int]) -> tuple[Camera | None, str | None]:
        """The camera, or why there is none for images of this size."""
        info = self.camera_info
        if info is None:
            return None, f"no camera_info on {self._info_topic}; have the driver publish it"
        try:
            return Camera(info, camera_intrinsics(info, size)), None
        except (MessageError, CalibrationError) as error:
            return None, str(error)

    def _within_range(self, estimate: DepthEstimate) -> DepthEstimate:
        depth, parameters = estimate.depth, self.parameters
        inside = (depth >= parameters.min_range) & (depth <= parameters.max_range)
        return replace(estimate, depth=np.where(inside, depth, np.float32(np.nan)))

    def _report_warnings(self, estimate: DepthEstimate) -> None:
        """What went less well, though the backend that was asked for may have answered."""
        alignment = "not aligned" if estimate.left_out else "alignment warning"
        for reason, warnings in (
            (alignment, estimate.alignment_warnings),
            ("backend warning", estimate.backend_warnings),
        ):
            if warnings:
                self._health.problem(reason, "; ".join(warnings))

    def _report_fallback(self, estimate: DepthEstimate) -> str:
        """Why another backend answered; empty if none did."""
        if not estimate.fallback:
            self._health.condition("backend", None)  # it may have been missing at the start
        else:
            detail = f"to backend '{estimate.backend}': {estimate.fallback}"
            self._health.problem("fell back", detail)
        return estimate.fallback
